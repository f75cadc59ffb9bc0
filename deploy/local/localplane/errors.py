"""What can go wrong with the local plane, said so that a person can act on it."""


class PlaneError(Exception):
    """Base of all errors of this package; its text is the whole message for the user."""


class ToolchainError(PlaneError):
    """A program could not be compiled, or no usable Go was found."""


class PartError(PlaneError):
    """A part of the plane did not start, did not become ready, or did not stop in time."""


class UnknownPartError(PlaneError):
    """The user named a part that does not exist."""


class ReleaseError(PlaneError):
    """The chart was not installed, or what it installs does not answer."""
