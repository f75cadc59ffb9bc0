"""Every error gpupool raises on purpose, and what its caller should do about it.

::

    GpupoolError
    ├── SettingsError              the installation is wrong: say it at start and stop
    ├── FencedError                a newer leader writes: this process must stop writing
    └── KubeError                  the API server's answer, or its silence
        ├── BadRequest    400 405 406 413 415   our request is malformed: a bug
        ├── Unauthorized  401                   credentials are not accepted (any more)
        ├── Forbidden     403                   RBAC, a policy or a quota says no
        ├── NotFound      404                   the object is not there
        ├── Conflict      409                   the world moved, or another manager owns the field
        │   └── AlreadyExists                   a create met an object of that name
        ├── Gone          410                   the version asked for is compacted: list again
        ├── Invalid       422                   the object breaks its schema or a rule
        ├── TooManyRequests 429                 slow down, or a disruption budget holds
        ├── ServerError   5xx                   the server failed
        └── Unreachable                         no connection, or no answer in time

Each class says in `fault` who can mend it and in `retry` whether the same call may succeed later
without anything being changed. Kinds are told apart by status code and by the machine-readable
`reason` of a Status object, never by the text of a message.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Fault(StrEnum):
    """Who can mend an error."""

    OURS = "ours"  # a bug in gpupool
    INSTALL = "install"  # settings, RBAC, policies, missing CRDs
    RACE = "race"  # nobody: something else changed first, decide again
    SERVER = "server"  # the API server, or the way to it


@dataclass(frozen=True, slots=True)
class Cause:
    """One machine-readable cause of a refusal.

    Attributes:
        reason: for example `DisruptionBudget` or `FieldManagerConflict`.
        field: the path it is about, or empty.
        message: for people.
    """

    reason: str
    field: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the API server said when it refused.

    Attributes:
        status: HTTP status code, 0 when there was no answer.
        reason: `reason` of the Status object, or empty.
        message: for people.
        causes: `details.causes` of the Status object.
        retry_after: seconds the server asks us to wait, or None.
    """

    status: int = 0
    reason: str = ""
    message: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after: float | None = None


class GpupoolError(Exception):
    """The root: what is not one of these is a bug."""

    fault: ClassVar[Fault] = Fault.OURS
    retry: ClassVar[bool] = False


class SettingsError(GpupoolError):
    """A setting, a flag, a credential file or the environment is wrong."""

    fault = Fault.INSTALL


class FencedError(GpupoolError):
    """A write carried an older leader epoch than one already seen."""

    fault = Fault.RACE


class KubeError(GpupoolError):
    """The API server refused, failed or did not answer.

    Attributes:
        call: what was asked, as `PATCH /api/v1/...`.
        failure: what the server said.
        unsure: this attempt, or one before it, may have been carried out all the same.
    """

    unsure = False

    def __init__(self, call: str, failure: Failure) -> None:
        super().__init__(f"{call}: {failure.status or 'no answer'} {failure.message}".rstrip())
        self.call = call
        self.failure = failure

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asks us to wait, or None."""
        return self.failure.retry_after

    def has_cause(self, reason: str) -> bool:
        """Say whether the server names this machine-readable cause."""
        return any(cause.reason == reason for cause in self.failure.causes)


class BadRequest(KubeError):
    """Our request is malformed."""


class Unauthorized(KubeError):
    """The credentials are not accepted."""

    fault = Fault.INSTALL


class Forbidden(KubeError):
    """RBAC, a policy, a quota or a closing namespace says no."""

    fault = Fault.INSTALL


class NotFound(KubeError):
    """The object, or its kind, is not there."""

    fault = Fault.RACE


class Conflict(KubeError):
    """A resourceVersion is old, or another field manager owns a field."""

    fault = Fault.RACE

    @property
    def contested(self) -> tuple[str, ...]:
        """Fields that other managers own; empty when only the resourceVersion was old."""
        return tuple(c.field for c in self.failure.causes if c.reason == "FieldManagerConflict")


class AlreadyExists(Conflict):
    """A create met an object of that name."""


class Gone(KubeError):
    """The version or page asked for is no longer kept by the server: list again."""

    fault = Fault.RACE


class Invalid(KubeError):
    """The object breaks its schema, a CEL rule or a test in a JSON patch."""


class TooManyRequests(KubeError):
    """The server throttles us, or a disruption budget holds an eviction."""

    fault = Fault.SERVER
    retry = True


class ServerError(KubeError):
    """The server failed, or answered something that is not Kubernetes."""

    fault = Fault.SERVER
    unsure = True
    retry = True


class Unreachable(KubeError):
    """No connection, or no answer in time. A write may or may not have happened."""

    fault = Fault.SERVER
    unsure = True
    retry = True


_BY_STATUS: dict[int, type[KubeError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def kube_error(call: str, failure: Failure) -> KubeError:
    """Build the error that belongs to a refusal.

    Args:
        call: what was asked, for people.
        failure: the server's answer; status 0 means there was none.
    """
    return _kind(failure)(call, failure)


def _kind(failure: Failure) -> type[KubeError]:
    if failure.status == 0:
        return Unreachable
    if failure.reason == "AlreadyExists":
        return AlreadyExists
    if 400 <= failure.status < 500:  # noqa: PLR2004 - the range of client errors
        return _BY_STATUS.get(failure.status, BadRequest)
    return ServerError
