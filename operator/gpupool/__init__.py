"""gpupool: GPU capacity as a governed, shared, finite resource."""

__version__ = "0.1.0"
