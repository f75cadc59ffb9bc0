"""Why Prometheus did not answer a question, by who can mend it.

::

    PrometheusError
    ├── PrometheusUnreachable   no connection, or no answer in time
    ├── PrometheusRefused       an HTTP status that is not success
    ├── PrometheusBadAnswer     an answer that is not the query API's
    └── PrometheusPartial       an answer that says itself that it is not whole
"""

from typing import ClassVar

from gpupool.errors import Fault, GpupoolError


class PrometheusError(GpupoolError):
    """A question to Prometheus has no good answer; the text is a sentence that says what to do.

    Attributes:
        kind: one word for metrics.
        again: whether asking once more at once may help.
    """

    fault: ClassVar[Fault] = Fault.INSTALL
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class PrometheusUnreachable(PrometheusError):  # noqa: N818 - reads as what happened, like errors.Unreachable
    """No connection, or no answer in time."""

    kind = "unreachable"


class PrometheusRefused(PrometheusError):  # noqa: N818 - same
    """It answered with a status that is not success.

    Attributes:
        status: the HTTP status code.
    """

    kind = "refused"

    def __init__(self, message: str, status: int, *, again: bool = False) -> None:
        super().__init__(message, again=again)
        self.status = status


class PrometheusBadAnswer(PrometheusError):  # noqa: N818 - same
    """What answered does not speak the query API, or speaks it wrongly."""

    kind = "bad_answer"


class PrometheusPartial(PrometheusError):  # noqa: N818 - same
    """The answer carries warnings: parts of the data are missing, so nothing may rest on it (law 1)."""

    kind = "partial"
