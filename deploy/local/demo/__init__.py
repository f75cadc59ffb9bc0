"""`make demo`: a governed cluster from nothing, told as a story in which every line is read back."""
