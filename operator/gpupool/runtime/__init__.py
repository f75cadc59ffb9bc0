"""The process: settings, mirrors of the cluster, the cycle per pool."""
