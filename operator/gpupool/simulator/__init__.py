"""A model of the cluster around the planner: quota, pods, scheduler, samples and time, without any I/O."""
