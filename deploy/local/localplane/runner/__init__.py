"""The kubelet of the chart's own pods: it runs them as local processes and reports what they do.

What a pod finds here differs from a real node in five ways, all told by environment variables, because
a local process has no mount namespace and no network namespace of its own:

* `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` lead to the API server;
* `GPUPOOL_SERVICEACCOUNT_DIR` is the directory with `token`, `ca.crt` and `namespace`;
* `GPUPOOL_MOUNT_<VOLUME>` is the directory of each volume (upper case, dashes as underscores);
* `GPUPOOL_METRICS_PORT`, `GPUPOOL_HEALTH_PORT` and `GPUPOOL_METRICS_API_PORT`, where the pod sets them, are
  replaced by free ports, and probes and the Prometheus target follow;
* `TMPDIR` is private to the pod.
"""
