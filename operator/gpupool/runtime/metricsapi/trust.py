"""Who may ask: the API server's front proxy, known by its client certificate, and nobody else.

The API server has authenticated and authorized the user before it passes a request on; whoever comes past it
has not. So it is the one client here, and what it says of the user is not looked at.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from gpupool.runtime.metricsapi.answers import Answer, refusal

CONFIG: Final = ("extension-apiserver-authentication", "kube-system")
"""The ConfigMap, and its namespace, in which the API server publishes its front proxy."""


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """The front proxy: who signs its certificate, and the names that are allowed; none allows any."""

    authority: str
    names: frozenset[str] = frozenset()


def read(config: Mapping[str, Any]) -> FrontProxy:
    """Read the ConfigMap.

    Raises:
        ValueError: the API server has no front proxy, or what is published cannot be used.
    """
    data = config.get("data") or {}
    authority = data.get("requestheader-client-ca-file", "")
    if not authority.strip():
        raise ValueError("the API server has no aggregation layer: --requestheader-client-ca-file is not set")
    try:
        ssl.create_default_context(cadata=authority)
    except ssl.SSLError as error:
        raise ValueError(f"the front proxy's certificate authority cannot be read: {error}") from error
    names = json.loads(data.get("requestheader-allowed-names") or "[]")
    return FrontProxy(authority, frozenset(map(str, names)))


def refused(proxy: FrontProxy, certificate: Mapping[str, Any] | None) -> Answer | None:
    """Why a client is not answered; None where it is the front proxy.

    Args:
        proxy: who it is.
        certificate: the client's, verified by TLS against the authority; None for no certificate.
    """
    if not certificate:
        text = "ask through the API server: only its front proxy is answered here"
        return refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized", text)
    name = common_name(certificate)
    if proxy.names and name not in proxy.names:
        return refusal(HTTPStatus.FORBIDDEN, "Forbidden", f"{name!r} is not the API server's front proxy")
    return None


def common_name(certificate: Mapping[str, Any]) -> str:
    """The common name in a certificate as `ssl` shows it."""
    rows = (pair for part in certificate.get("subject", ()) for pair in part)
    return next((value for key, value in rows if key == "commonName"), "")
