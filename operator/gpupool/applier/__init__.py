"""Writes: carries out plans, and changes only the fields gpupool owns."""
