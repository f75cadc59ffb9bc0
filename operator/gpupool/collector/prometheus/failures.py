"""What went wrong on the way to Prometheus, as a sentence that names the setting and the fix. Pure."""

from typing import Final
from urllib.parse import urlsplit

import httpx

from gpupool.collector.prometheus.answer import quote
from gpupool.collector.prometheus.errors import (
    PrometheusBadAnswer,
    PrometheusRefused,
    PrometheusSlow,
    PrometheusUnreachable,
)

TRANSIENT: Final = frozenset({502, 503, 504})
REDIRECTS: Final = range(300, 400)

_HINTS: Final = {
    400: "if it is about HTTP and HTTPS, let prometheus.url begin with https://",
    401: "give the operator a token, or user and password, by prometheus.credentialsSecret",
    403: "allow the user of prometheus.credentialsSecret to query",
    404: "prometheus.url must be the base under which /api/v1/query is, path prefix included",
    405: "prometheus.url must be the base under which /api/v1/query is, path prefix included",
    422: "the query could not be evaluated; raise query.max-samples if it is about limits",
    429: "it limits how much is asked; raise the limit of this tenant",
}
_TRUST: Final = "put its CA as ca.crt into prometheus.credentialsSecret or prometheus.caConfigMap"
_CONNECTING: Final = (
    ("CERTIFICATE_VERIFY_FAILED", f"its certificate is not trusted: {_TRUST}"),
    ("SSL", "it does not speak TLS as we do: let prometheus.url begin with http:// if it has none"),
    ("Name or service not known", "no such host: check the host in prometheus.url"),
    ("No address associated", "no such host: check the host in prometheus.url"),
    ("Temporary failure in name resolution", "host not resolved: check prometheus.url, and DNS"),
    ("refused", "nothing listens there: check host and port in prometheus.url"),
)  # fmt: skip
_ELSE: Final = "check prometheus.url and the network"


def slow(url: str, seconds: float) -> PrometheusSlow:
    """No answer in time."""
    return PrometheusSlow(
        f"Prometheus at {url} does not answer within {seconds:g}s: see its load, and the network"
    )


def unreachable(url: str, error: Exception) -> PrometheusUnreachable:
    """No connection, or one that broke."""
    detail = quote(error) or type(error).__name__
    hint = next((hint for sign, hint in _CONNECTING if sign in detail), _ELSE)
    return PrometheusUnreachable(f"Prometheus at {url} does not answer ({detail}): {hint}", again=True)


def refused(url: str, response: httpx.Response) -> PrometheusRefused:
    """A status that is not success."""
    status = response.status_code
    if status in REDIRECTS:
        reason = f"redirects to {_place(response.headers.get('Location', 'nowhere'))}"
        hint = "it is a login page, or prometheus.url must be that place"
    else:
        reason, hint = _reason(response), _HINTS.get(status, "see Prometheus' own log")
    text = f"Prometheus at {url} answered {status} ({reason}): {hint}"
    return PrometheusRefused(text, status, again=status in TRANSIENT)


def _place(location: str) -> str:
    """Where a redirection leads, without the question that it carries along."""
    return quote(urlsplit(location)._replace(query="", fragment="").geturl())


def _reason(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return quote(response.text)
    return quote(body.get("error", body) if isinstance(body, dict) else body)


def not_json(url: str, response: httpx.Response) -> PrometheusBadAnswer:
    """A page of something else."""
    text = f"What answers at {url} is not Prometheus, it sends something that is not JSON"
    return PrometheusBadAnswer(f"{text}: {quote(response.text)}: check prometheus.url")
