"""Certificates and keys of one control plane: one CA, one server, and one client for each identity."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID: Final = dt.timedelta(days=365)
FIRST_SERVICE_IP: Final = "10.96.0.1"
SERVER_NAMES: Final = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
SERVER_ADDRESSES: Final = ("127.0.0.1", FIRST_SERVICE_IP)

CLIENTS: Final = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "front-proxy": ("front-proxy", ""),
}
"""File stem to common name and organisation (the user and the group the API server sees)."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def write_certificates(directory: Path) -> None:
    """Write every certificate and key of a control plane, unless they are already there.

    Files: `ca.crt`, `server.crt`/`.key`, one pair per entry of CLIENTS, `sa.key` and `sa.pub`.
    """
    marker = directory / "sa.pub"
    if marker.exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    authority = _make_authority()
    _write(directory / "ca.crt", authority.certificate.public_bytes(serialization.Encoding.PEM))
    _write_pair(directory, "server", authority, "kube-apiserver", "", server=True)
    for stem, (name, group) in CLIENTS.items():
        _write_pair(directory, stem, authority, name, group, server=False)
    signer = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write(directory / "sa.key", _private_pem(signer))
    public = signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(marker, public)


def _make_authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("gpupool-local-ca", "")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder(name, name, key).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    return Authority(builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()), key)


def _write_pair(
    directory: Path, stem: str, authority: Authority, name: str, group: str, *, server: bool
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = _builder(_name(name, group), authority.certificate.subject, key)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if server:
        builder = builder.add_extension(_server_names(), critical=False)
    _write(directory / f"{stem}.key", _private_pem(key))
    signed = builder.sign(authority.key, hashes.SHA256())
    _write(directory / f"{stem}.crt", signed.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - a certificate is valid from the wall clock's now
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + VALID)
    )


def _server_names() -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in SERVER_NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in SERVER_ADDRESSES]
    return x509.SubjectAlternativeName(names)


def _name(common: str, organisation: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(attributes)


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
