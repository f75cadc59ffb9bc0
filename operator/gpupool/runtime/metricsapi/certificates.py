"""The serving certificate: made in this process, trusted by name in the APIService, and never stored.

Its key leaves the process only as a file of a moment, because `ssl` reads keys from files. A new certificate
is published beside the old one before it is shown to anybody.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID: Final = timedelta(days=90)
EARLY: Final = timedelta(days=30)
"""Before its end a certificate is replaced."""
SKEW: Final = timedelta(hours=1)
"""What clocks may differ."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A certificate that signs itself, and its key (PEM)."""

    certificate: bytes
    key: bytes
    ends: datetime


def make(names: tuple[str, ...], now: datetime) -> Serving:
    """A new certificate.

    Args:
        names: DNS names of the server; the first is its common name too, where it fits.
        now: the API server's time.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Serving(built.public_bytes(serialization.Encoding.PEM), private, now + VALID)


class Rotation:
    """Which certificate is shown, and which are to be trusted.

    Args:
        make: a new certificate at a moment.
    """

    def __init__(self, make: Callable[[datetime], Serving]) -> None:
        self._make = make
        self._shown: Serving | None = None
        self._next: Serving | None = None

    def shown(self, now: datetime) -> Serving:
        """The certificate to show; when it is about to end a next one is made, to be trusted first."""
        if self._shown is None or self._shown.ends <= now:
            self._shown, self._next = self._make(now), None
        if self._next is None and self._shown.ends - now <= EARLY:
            self._next = self._make(now)
        return self._shown

    @property
    def bundle(self) -> bytes:
        """All that are to be trusted."""
        return b"".join(c.certificate for c in (self._shown, self._next) if c is not None)

    def trusted(self) -> None:
        """The bundle is published: the next certificate may be shown."""
        if self._next is not None:
            self._shown, self._next = self._next, None


def context(serving: Serving, authority: str) -> ssl.SSLContext:
    """TLS of the server: its certificate, and whose client certificates are verified.

    A client without one is let in, so that it can be told what is wrong.
    """
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    found.verify_mode = ssl.CERT_OPTIONAL
    found.load_verify_locations(cadata=authority)
    with TemporaryDirectory(prefix="gpupool-") as folder:  # readable by us alone
        chain = Path(folder) / "chain.pem"
        chain.write_bytes(serving.key + serving.certificate)
        found.load_cert_chain(chain)
    return found
