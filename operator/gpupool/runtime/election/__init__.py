"""Who leads: the rules of the election, the process's part in it, and the thread that it runs in."""
