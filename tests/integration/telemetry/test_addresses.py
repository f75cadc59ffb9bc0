"""Any Prometheus-compatible address works, with its credentials; a wrong one names its fix."""

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint
from gpupool.collector.prometheus.usage import UsageReader
from gpupool.model.usage import Usage
from integration.telemetry.gateway import Gateway, gateway
from integration.telemetry.watching import eventually as becomes
from localplane.certs import write_certificates
from localplane.cluster import Cluster
from localplane.ports import free_port
from support.plane import eventually
from support.usage import a_pool, moment

USER, PASSWORD = "gpupool", "open sesame"
HASH = "$2b$04$eaXTlRuk7UA8azVNb60d.Otyjply.K4qHdHIY0Eh80vVNs7MxCaOW"
"""What Prometheus is told of the password."""


@dataclass(frozen=True)
class Fortress:
    """A Prometheus of its own behind TLS, a password and a path."""

    url: str
    folder: Path
    """Credentials that open it."""


@pytest.fixture(scope="module")
def fortress(plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    home = tmp_path_factory.mktemp("fortress")
    write_certificates(home / "certs")
    web = {
        "tls_server_config": {"cert_file": "certs/server.crt", "key_file": "certs/server.key"},
        "basic_auth_users": {USER: HASH},
    }
    (home / "web.yaml").write_text(yaml.safe_dump(web))
    exporter = {"targets": [f"127.0.0.1:{plane.port('exporter')}"]}
    scraped = {
        "job_name": "dcgm-exporter",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "static_configs": [exporter],
        "fallback_scrape_protocol": "PrometheusText0.0.4",
    }
    (home / "prometheus.yaml").write_text(yaml.safe_dump({"scrape_configs": [scraped]}))
    port = free_port(frozenset(plane.state().ports.values()))
    process = subprocess.Popen(
        [
            plane.program("prometheus"),
            "--config.file=prometheus.yaml",
            "--storage.tsdb.path=data",
            "--web.config.file=web.yaml",
            "--web.route-prefix=/deep/prometheus",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ],
        cwd=home,
    )
    folder = home / "credentials"
    folder.mkdir()
    (folder / "username").write_text(USER)
    (folder / "password").write_text(PASSWORD)
    (folder / "ca.crt").write_bytes((home / "certs/ca.crt").read_bytes())
    found = Fortress(f"https://127.0.0.1:{port}/deep/prometheus", folder)
    try:
        eventually(lambda: asyncio.run(asked(Endpoint(found.url, folder))).fresh, "it has been scraped", 60)
        yield found
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def proxy(plane: Cluster) -> Iterator[Gateway]:
    with gateway(plane.prometheus_url) as made:
        yield made


async def asked(endpoint: Endpoint) -> Usage:
    async with PrometheusClient(endpoint) as client:
        return await UsageReader(client).read(a_pool(), (), moment())


async def becomes_fresh(endpoint: Endpoint) -> None:
    """Ask until the answer is fresh: one scrape that was late is no wrong address."""
    async with PrometheusClient(endpoint) as client:
        await reads_fresh(UsageReader(client))


async def reads_fresh(reader: UsageReader) -> None:
    """Read until the answer is fresh."""
    seen: list[Usage] = []

    async def look() -> bool:
        seen[:] = [await reader.read(a_pool(), (), moment())]
        return seen[0].fresh

    await becomes(look, lambda: f"fresh use: {seen[0].problem}")


def folder_of(path: Path, **files: str) -> Path:
    for name, text in files.items():
        (path / name.replace("_", ".")).write_text(text)
    return path


async def test_tls_a_password_and_a_path_open_it(fortress: Fortress) -> None:
    await becomes_fresh(Endpoint(fortress.url, fortress.folder))


async def test_without_verification_only_by_explicit_value(fortress: Fortress, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, username=USER, password=PASSWORD)
    usage = await asked(Endpoint(fortress.url, folder))
    assert usage.reason == "PrometheusUnreachable"
    assert "its certificate is not trusted: put its CA as ca.crt" in usage.problem
    await becomes_fresh(Endpoint(fortress.url, folder, insecure=True))


async def test_the_certificates_may_come_later(fortress: Fortress, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, username=USER, password=PASSWORD, ca_crt="not yet")
    async with PrometheusClient(Endpoint(fortress.url, folder)) as client:
        reader = UsageReader(client)
        usage = await reader.read(a_pool(), (), moment())
        assert usage.reason == "PrometheusMisconfigured"
        assert "is no PEM certificate" in usage.problem
        folder_of(tmp_path, ca_crt=(fortress.folder / "ca.crt").read_text())
        await reads_fresh(reader)


async def test_another_authority_is_not_trusted(fortress: Fortress, tmp_path: Path) -> None:
    write_certificates(tmp_path / "other")
    folder = folder_of(tmp_path, ca_crt=(tmp_path / "other/ca.crt").read_text())
    usage = await asked(Endpoint(fortress.url, folder))
    assert "its certificate is not trusted" in usage.problem


@pytest.mark.parametrize(
    ("files", "reason", "says"),
    [
        ({}, "PrometheusRefused", "answered 401"),
        ({"username": USER, "password": "wrong"}, "PrometheusRefused", "prometheus.credentialsSecret"),
    ],
)
async def test_whoever_is_not_let_in_is_told_where_credentials_belong(
    fortress: Fortress, tmp_path: Path, files: dict[str, str], reason: str, says: str
) -> None:
    folder = folder_of(tmp_path, ca_crt=(fortress.folder / "ca.crt").read_text(), **files)
    usage = await asked(Endpoint(fortress.url, folder))
    assert usage.reason == reason
    assert says in usage.problem


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        (("/deep/prometheus", ""), "PrometheusRefused", "path prefix included"),
        (("https://", "http://"), "PrometheusRefused", "let prometheus.url begin with https://"),
        # A resolver that takes its time makes it slow instead.
        (("127.0.0.1", "no-such-host.invalid"), "PrometheusUnreachable PrometheusSlow", "prometheus.url"),
        (("https://", "htps://"), "PrometheusMisconfigured", "must begin with http:// or https://"),
        (("https://", "https://me:me-too@"), "PrometheusMisconfigured", "holds a user or password"),
    ],
)
async def test_each_wrong_part_of_the_address_is_named(
    fortress: Fortress, change: tuple[str, str], reason: str, says: str
) -> None:
    usage = await asked(Endpoint(fortress.url.replace(*change), fortress.folder))
    assert not usage.fresh
    assert usage.reason in reason.split(), usage.problem
    assert says in usage.problem
    assert "me-too" not in usage.problem


async def test_a_server_without_tls_is_told_from_a_wrong_certificate(plane: Cluster) -> None:
    usage = await asked(Endpoint(plane.prometheus_url.replace("http:", "https:")))
    assert usage.reason == "PrometheusUnreachable"
    assert "let prometheus.url begin with http://" in usage.problem


@pytest.mark.parametrize(
    ("fault", "reason", "says"),
    [
        ("down", "PrometheusUnreachable", "does not answer"),
        ("html", "NotPrometheus", "is not Prometheus"),
        ("login", "PrometheusRefused", "redirects to https://login.example/start"),
        ("429", "PrometheusRefused", "raise the limit"),
        ("503", "PrometheusRefused", "answered 503"),
    ],
)
async def test_each_fault_of_a_gateway_is_named(proxy: Gateway, fault: str, reason: str, says: str) -> None:
    proxy.fault = fault
    usage = await asked(Endpoint(proxy.url))
    assert not usage.fresh
    assert usage.reason == reason
    assert says in usage.problem
    proxy.mend()
    await becomes_fresh(Endpoint(proxy.url))


async def test_an_answer_after_the_time_limit_is_none(proxy: Gateway) -> None:
    proxy.fault = "slow"
    usage = await asked(Endpoint(proxy.url, read=1.0))
    assert usage.reason == "PrometheusSlow"
    assert "does not answer within 1s" in usage.problem


async def test_a_token_is_read_again_when_it_was_changed(proxy: Gateway, tmp_path: Path) -> None:
    proxy.token = "first-token"  # noqa: S105 - an example
    folder = folder_of(tmp_path, token="first-token\n")  # noqa: S106 - an example
    async with PrometheusClient(Endpoint(proxy.url, folder)) as client:
        reader = UsageReader(client)
        await reads_fresh(reader)
        proxy.token = "second-token"  # noqa: S105 - an example
        usage = await reader.read(a_pool(), (), moment())
        assert usage.reason == "PrometheusRefused"
        assert "first-token" not in usage.problem
        folder_of(tmp_path, token="second-token\n")  # noqa: S106 - an example
        await reads_fresh(reader)


async def test_headers_of_a_tenant_arrive(proxy: Gateway) -> None:
    await becomes_fresh(Endpoint(proxy.url, headers={"X-Scope-OrgID": "gpu"}))
    assert proxy.heard["X-Scope-OrgID"] == "gpu"
