"""A fake DCGM exporter: the series a real install serves, for GPUs that do not exist.

`python -m localplane.exporter --kubeconfig F --port P` watches nodes and pods and serves, for each
GPU of each node, what NVIDIA's dcgm-exporter serves by default. What a pod's GPUs do is written on
the pod: see `localplane.exporter.use`.
"""
