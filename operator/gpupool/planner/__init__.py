"""From a snapshot to a plan: the same code in the operator, the simulator and the command line."""
