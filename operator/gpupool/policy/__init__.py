"""The rules, one kind per file: pure functions over a snapshot."""
