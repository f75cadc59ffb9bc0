"""What can go wrong with a replay."""

from localplane.errors import PlaneError


class ReplayError(PlaneError):
    """The replay cannot be played or measured; the text says what to mend."""
