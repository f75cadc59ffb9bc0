"""Why Prometheus did not answer a question, by who can mend it.

::

    PrometheusError
    ├── PrometheusMisconfigured   a setting of ours cannot be used
    ├── PrometheusUnreachable     no connection
    │   └── PrometheusSlow        no answer in time
    ├── PrometheusRefused         an HTTP status that is not success
    ├── PrometheusBadAnswer       an answer that is not the query API's
    └── PrometheusPartial         an answer that says itself that it is not whole
"""

from typing import ClassVar

from gpupool.errors import Fault, GpupoolError


class PrometheusError(GpupoolError):
    """A question to Prometheus has no good answer; the text is a sentence that says what to do.

    Attributes:
        kind: one word for metrics.
        reason: the reason of condition TelemetryHealthy.
        again: whether asking once more at once may help.
    """

    fault: ClassVar[Fault] = Fault.INSTALL
    kind: ClassVar[str] = "error"
    reason: ClassVar[str] = "PrometheusMisconfigured"

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class PrometheusMisconfigured(PrometheusError):  # noqa: N818 - reads as what happened, like errors.Unreachable
    """A URL, a token or certificates that cannot be used."""

    kind = "misconfigured"


class PrometheusUnreachable(PrometheusError):  # noqa: N818 - same
    """No connection stands, or it broke."""

    kind = "unreachable"
    reason = "PrometheusUnreachable"


class PrometheusSlow(PrometheusUnreachable):
    """It took longer than a question may."""

    kind = "timeout"
    reason = "PrometheusSlow"


class PrometheusRefused(PrometheusError):  # noqa: N818 - same
    """It answered with a status that is not success.

    Attributes:
        status: the HTTP status code.
    """

    kind = "refused"
    reason = "PrometheusRefused"

    def __init__(self, message: str, status: int, *, again: bool = False) -> None:
        super().__init__(message, again=again)
        self.status = status


class PrometheusBadAnswer(PrometheusError):  # noqa: N818 - same
    """What answered does not speak the query API, or speaks it wrongly."""

    kind = "bad_answer"
    reason = "NotPrometheus"


class PrometheusPartial(PrometheusError):  # noqa: N818 - same
    """The answer carries warnings: parts of the data are missing, so nothing may rest on it (law 1)."""

    kind = "partial"
    reason = "PartialAnswer"
