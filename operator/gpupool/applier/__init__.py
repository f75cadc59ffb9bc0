"""Writes: the only layer that changes the cluster, and only the fields gpupool owns."""
