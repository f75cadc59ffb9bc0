"""Where Prometheus is and who we are there: URL, headers, a folder of credentials that somebody rotates."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from gpupool.errors import SettingsError

TOKEN: Final = "token"  # noqa: S105 - the name of a file
USERNAME: Final = "username"
PASSWORD: Final = "password"  # noqa: S105 - the name of a file
CERTIFICATES: Final = "ca.crt"
NAMES: Final = (TOKEN, USERNAME, PASSWORD, CERTIFICATES)
HIDDEN: Final = "***"
SHORTEST: Final = 4
"""Characters of a secret that is hidden; what is shorter is a word of any text."""

Fingerprint = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Prometheus is and who we are there.

    Attributes:
        url: base URL, with a path prefix where there is one (`https://mimir.example.com/prometheus`).
        folder: where files of NAMES may be: a bearer token, or user and password; certificates to trust.
            They are read when they are needed, so that a Secret may change. None: nobody, the system's trust.
        insecure: do not verify the server's certificate.
        headers: sent with every question, for example `X-Scope-OrgID`.
        connect: seconds until a connection stands.
        read: seconds until an answer; Prometheus gives up at two minutes itself.
    """

    url: str
    folder: Path | None = None
    insecure: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect: float = 3.0
    read: float = 10.0

    def file(self, name: str) -> str:
        """What a file of the folder says, without space around it; empty where it is not there."""
        if self.folder is None:
            return ""
        try:
            return (self.folder / name).read_text().strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"prometheus.credentialsSecret: {name} cannot be read: {error}") from error

    def certificates(self) -> Fingerprint:
        """What changes when the certificates do."""
        try:
            found = (self.folder / CERTIFICATES).stat() if self.folder else None
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size)

    def hide(self, text: str) -> str:
        """A text in which no secret of ours is left, whoever wrote it."""
        secrets = [*self.headers.values()]
        for name in (TOKEN, PASSWORD):
            try:
                secrets.append(self.file(name))
            except SettingsError:
                continue
        for secret in sorted((s for s in secrets if len(s) >= SHORTEST), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text


def checked_url(url: str) -> str:
    """The URL itself, if it can be one.

    Raises:
        SettingsError: it cannot, or it holds a password.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SettingsError(f"prometheus.url {url!r} is no URL: {error}") from error
    if parsed.userinfo:
        raise SettingsError(
            f"prometheus.url of host {parsed.host} holds a user or password, which all would see: put them"
            f" as {USERNAME} and {PASSWORD} into the Secret that prometheus.credentialsSecret names"
        )
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise SettingsError(f"prometheus.url {url!r} must begin with http:// or https:// and a host")
    if parsed.query or parsed.fragment:
        raise SettingsError(f"prometheus.url {url!r} must end with the path: no ? and no #")
    return url


def tls(endpoint: Endpoint) -> ssl.SSLContext:
    """TLS as the endpoint wants it.

    Raises:
        SettingsError: the certificates are none.
    """
    context = ssl.create_default_context()
    if endpoint.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if text := endpoint.file(CERTIFICATES):
        try:
            context.load_verify_locations(cadata=text)
        except ssl.SSLError as error:
            raise SettingsError(
                f"{CERTIFICATES} in prometheus.credentialsSecret or prometheus.caConfigMap is no PEM"
                f" certificate: {error.reason}"
            ) from error
    return context
