"""The local plane: a real Kubernetes control plane as plain processes, for newcomers and tests."""
