"""Where Prometheus is and who we are there."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx

from gpupool.errors import SettingsError
from gpupool.kube.auth import Bearer, FileToken


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Prometheus is and who we are there.

    Attributes:
        url: base URL, with a path prefix where there is one (`https://mimir.example.com/prometheus`).
        token: bearer token, or empty.
        token_file: file with a bearer token that somebody rotates; wins over `token`.
        ca_file: certificates to trust; None for the system's.
        connect: seconds until a connection stands.
        read: seconds until an answer; Prometheus gives up at two minutes itself.
    """

    url: str
    token: str = ""
    token_file: Path | None = None
    ca_file: Path | None = None
    connect: float = 3.0
    read: float = 10.0


class FixedToken:
    """A token that was given as text."""

    slow: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self._text = text

    def get(self, *, renew: bool = False) -> str | None:  # noqa: ARG002 - there is no other one to ask for
        """Give the token."""
        return self._text


def checked_url(url: str) -> str:
    """The URL itself, if it can be one.

    Raises:
        SettingsError: it cannot.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SettingsError(f"prometheus.url {url!r} is no URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise SettingsError(f"prometheus.url {url!r} must begin with http:// or https:// and a host")
    return url


def tls(endpoint: Endpoint) -> ssl.SSLContext:
    """TLS as the endpoint wants it.

    Raises:
        SettingsError: a certificate file is missing or broken.
    """
    try:
        return ssl.create_default_context(cafile=endpoint.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"certificates for {endpoint.url}: {error}") from error


def auth(endpoint: Endpoint) -> Bearer | None:
    """What signs the questions, if anything does."""
    if endpoint.token_file is not None:
        return Bearer(FileToken(endpoint.token_file))
    return Bearer(FixedToken(endpoint.token)) if endpoint.token else None
