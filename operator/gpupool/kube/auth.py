"""Credentials: in the cluster from the ServiceAccount's files, elsewhere from a kubeconfig."""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from typing_extensions import override

from gpupool.errors import SettingsError

SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_MAX_AGE = 60.0  # seconds: the kubelet rotates the file well before the token expires


class TokenSource(Protocol):
    """Where a bearer token comes from.

    Attributes:
        slow: getting one may take seconds (a program is run), so it is done in a thread.
    """

    slow: ClassVar[bool]

    def get(self, *, renew: bool = False) -> str | None:
        """Give the token, or None where a certificate speaks for us. May block.

        Args:
            renew: the last token was refused; do not answer from memory.
        """


class FileToken:
    """A token in a file that somebody else rotates."""

    slow: ClassVar[bool] = False

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._text = ""
        self._read_at = float("-inf")

    def get(self, *, renew: bool = False) -> str | None:
        """Give the token, read again when the copy is older than a minute.

        Raises:
            SettingsError: the file cannot be read and there is no earlier copy.
        """
        if renew or self._monotonic() - self._read_at > TOKEN_MAX_AGE:
            self._read()
        return self._text

    def _read(self) -> None:
        try:
            self._text = self._path.read_text().strip()
        except OSError as error:
            # A rotation swaps a symlink; a copy in hand outlives a moment without a file.
            if not self._text:
                raise SettingsError(f"cannot read the token {self._path}: {error}") from error
        self._read_at = self._monotonic()


class KubeconfigToken:
    """A token of a kubeconfig user: written there, or given by an exec plugin and renewed by it.

    Attributes:
        settings: what was loaded last, a `kubernetes.client.Configuration`.
    """

    slow: ClassVar[bool] = True

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self.settings = load()

    def get(self, *, renew: bool = False) -> str | None:
        """Give the token; an expired one is renewed by the plugin."""
        if renew:
            self.settings = self._load()
        header: str | None = self.settings.get_api_key_with_prefix("BearerToken")
        return header.removeprefix("Bearer ") if header else None


class Bearer(httpx.Auth):
    """Signs requests with the present token of a source; a refused token is asked for anew once."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def headers(self, *, renew: bool = False) -> dict[str, str]:
        """The header that says who we are; empty where a certificate does.

        Args:
            renew: the last token was refused.
        """
        if self._source.slow:
            token = await asyncio.to_thread(self._source.get, renew=renew)
        else:
            token = self._source.get(renew=renew)
        return {"Authorization": f"Bearer {token}"} if token else {}

    @override
    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers.update(await self.headers())
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            request.headers.update(await self.headers(renew=True))
            yield request


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach an API server and who we are there.

    Attributes:
        base_url: for example `https://10.96.0.1:443`.
        token: where the bearer token comes from, or None.
        ca_file: certificates to trust; None for the system's.
        cert_file: client certificate, or None.
        key_file: its key, or None.
        insecure: do not verify the server (only when a kubeconfig says so).
        server_name: name expected in the server's certificate, when not the URL's host.
        proxy: proxy URL that the kubeconfig names, or None.
        namespace: the namespace we live in, or the kubeconfig context's.
    """

    base_url: str
    token: TokenSource | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    insecure: bool = False
    server_name: str | None = None
    proxy: str | None = None
    namespace: str = "default"

    def ssl_context(self) -> ssl.SSLContext:
        """TLS as these credentials want it.

        Raises:
            SettingsError: a certificate file is missing or broken.
        """
        try:
            return self._ssl_context()
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"certificates for {self.base_url}: {error}") from error

    def _ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def connection_fields(self) -> dict[str, Any]:
        """The same as keyword arguments of `kopf.ConnectionInfo`.

        The token is the present one: kopf logs in again, and so asks again, when it is refused.
        """
        fields = {
            "server": self.base_url,
            "ca_path": self.ca_file,
            "insecure": self.insecure or None,
            "certificate_path": self.cert_file,
            "private_key_path": self.key_file,
            "proxy_url": self.proxy,
            "token": self.token.get(renew=True) if self.token else None,
            "default_namespace": self.namespace,
        }
        return {name: value for name, value in fields.items() if value is not None}


def load(environ: Mapping[str, str] = os.environ) -> Credentials:
    """Find credentials: a kubeconfig that KUBECONFIG names, else the pod's own, else the default kubeconfig.

    Raises:
        SettingsError: none is usable; the message says where was looked.
    """
    if "KUBERNETES_SERVICE_HOST" in environ and "KUBECONFIG" not in environ:
        return in_cluster(environ)
    return from_kubeconfig(environ.get("KUBECONFIG"))


def in_cluster(environ: Mapping[str, str] = os.environ) -> Credentials:
    """Credentials of the pod's ServiceAccount.

    Args:
        environ: KUBERNETES_SERVICE_HOST and _PORT; GPUPOOL_SERVICEACCOUNT_DIR where the files are
            elsewhere than a kubelet puts them.

    Raises:
        SettingsError: a variable or a file is missing.
    """
    folder = Path(environ.get("GPUPOOL_SERVICEACCOUNT_DIR", SERVICE_ACCOUNT_DIR))
    try:
        host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    except KeyError as error:
        raise SettingsError(f"not in a cluster: {error} is not set") from error
    if not (folder / "ca.crt").is_file():
        raise SettingsError(f"no ServiceAccount files in {folder}")
    token = FileToken(folder / "token")
    token.get()
    return Credentials(
        base_url=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        token=token,
        ca_file=str(folder / "ca.crt"),
        namespace=_namespace(folder),
    )


def _namespace(folder: Path) -> str:
    path = folder / "namespace"
    return path.read_text().strip() if path.is_file() else "default"


def from_kubeconfig(path: str | None = None, context: str | None = None) -> Credentials:
    """Credentials of a kubeconfig's context: certificates, token, token file or exec plugin.

    Args:
        path: file, or several joined as in KUBECONFIG; None for the default place.
        context: None for the current one.

    Raises:
        SettingsError: no such file or context, or it cannot be read.
    """
    # Imported here: the client package costs 0.2 s and 30 MB, which the operator in its pod need not pay.
    client: Any = import_module("kubernetes.client")
    config: Any = import_module("kubernetes.config")

    def read() -> Any:
        settings = client.Configuration(proxy="")  # "": the environment's proxy is judged below
        try:
            config.load_kube_config(path, context, settings, persist_config=False)
        except (config.ConfigException, OSError, ValueError) as error:
            raise SettingsError(f"kubeconfig {path or '(default)'}: {error}") from error
        return settings

    source = KubeconfigToken(read)
    found = source.settings
    return Credentials(
        base_url=found.host,
        token=source if source.get() else None,
        ca_file=found.ssl_ca_cert or None,
        cert_file=found.cert_file or None,
        key_file=found.key_file or None,
        insecure=not found.verify_ssl,
        server_name=found.tls_server_name or None,
        proxy=found.proxy or _environment_proxy(found.host),
        namespace=_context_namespace(path, context),
    )


def _environment_proxy(url: str) -> str | None:
    """HTTPS_PROXY, as kubectl reads it: NO_PROXY is kept, loopback is never proxied."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.startswith("127.") or host == "::1" or proxy_bypass(host):
        return None
    return getproxies().get(urlsplit(url).scheme)


def _context_namespace(path: str | None, context: str | None) -> str:
    config: Any = import_module("kubernetes.config")
    contexts, current = config.list_kube_config_contexts(path)
    chosen = next((c for c in contexts if c["name"] == context), current)
    return str(chosen["context"].get("namespace", "default"))
