"""Write and read kubeconfig files with embedded certificates."""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localplane.errors import PlaneError

CONTEXT = "gpupool"


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to talk to one API server as one identity."""

    server: str
    """Base URL, for example https://127.0.0.1:20443."""

    authority: bytes
    """PEM of the CA that signed the server's certificate."""

    certificate: bytes = b""
    """PEM of the client certificate, or empty where a token is used."""

    key: bytes = b""
    token: str = ""

    def ssl_context(self) -> ssl.SSLContext:
        """A TLS context that trusts this CA alone and shows the client certificate."""
        context = ssl.create_default_context(cadata=self.authority.decode())
        if self.certificate:
            with tempfile.NamedTemporaryFile() as pair:  # the ssl module reads key material from files only
                pair.write(self.certificate + b"\n" + self.key)
                pair.flush()
                context.load_cert_chain(pair.name)
        return context


def write_kubeconfig(path: Path, server: str, certificates: Path, client: str) -> None:
    """Write a kubeconfig for one of the client certificates in a directory."""
    user = {
        "client-certificate-data": _encoded(certificates / f"{client}.crt"),
        "client-key-data": _encoded(certificates / f"{client}.key"),
    }
    cluster = {"server": server, "certificate-authority-data": _encoded(certificates / "ca.crt")}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": client, "user": user}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": client}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def read_kubeconfig(path: Path) -> Credentials:
    """Read the current context of a kubeconfig.

    Raises:
        PlaneError: The file is missing, or names neither a certificate nor a token.
    """
    try:
        content = yaml.safe_load(path.read_text())
        context = _named(content["contexts"], content["current-context"])["context"]
        cluster = _named(content["clusters"], context["cluster"])["cluster"]
        user = _named(content["users"], context["user"])["user"]
    except (OSError, KeyError, TypeError, StopIteration) as error:
        raise PlaneError(f"no usable kubeconfig at {path}: {error!r}") from error
    return Credentials(
        server=cluster["server"],
        authority=_material(cluster, "certificate-authority"),
        certificate=_material(user, "client-certificate"),
        key=_material(user, "client-key"),
        token=user.get("token", ""),
    )


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def _material(section: dict[str, Any], key: str) -> bytes:
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data)
    return Path(section[key]).read_bytes() if key in section else b""


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
