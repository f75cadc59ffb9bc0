"""A recorded trace of GPU activity, played on a governed cluster and measured there."""
