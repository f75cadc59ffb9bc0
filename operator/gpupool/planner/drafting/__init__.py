"""What `gpupool adopt` proposes: shares and requests drafted from what runs."""
