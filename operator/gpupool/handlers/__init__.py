"""Everything that speaks kopf."""
