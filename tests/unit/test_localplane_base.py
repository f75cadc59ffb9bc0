"""The plane's foundations: paths of objects, certificates, ports, processes, records, program hashes."""

import os
import socket
import ssl
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from localplane import gotool, kind, toolchain
from localplane.certs import CLIENTS, write_certificates
from localplane.cluster import Cluster
from localplane.companions import prometheus_config
from localplane.errors import PlaneError, UnknownPartError
from localplane.kubeconfig import read_kubeconfig, write_kubeconfig
from localplane.parts import PORT_NAMES, part_named
from localplane.paths import Layout
from localplane.ports import free_port, is_free, own_address
from localplane.processes import MARK, Process, identify, marked, spawn, wait_until
from localplane.resources import resource_path
from localplane.state import Options, State, load_state

SLEEPS = [sys.executable, "-c", "import time\nwhile True: time.sleep(1)"]


@pytest.mark.parametrize(
    ("api_version", "kind_name", "namespace", "expected"),
    [
        ("v1", "Pod", "x", "/api/v1/namespaces/x/pods/n"),
        ("v1", "Pod", "", "/api/v1/namespaces/default/pods/n"),
        ("v1", "Node", "", "/api/v1/nodes/n"),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "x",
            "/apis/networking.k8s.io/v1/namespaces/x/networkpolicies/n",
        ),
        ("networking.k8s.io/v1", "Ingress", "x", "/apis/networking.k8s.io/v1/namespaces/x/ingresses/n"),
        ("gpupool.dev/v1alpha1", "GpuPool", "x", "/apis/gpupool.dev/v1alpha1/gpupools/n"),
        (
            "gpupool.dev/v1alpha1",
            "CapacityRequest",
            "x",
            "/apis/gpupool.dev/v1alpha1/namespaces/x/capacityrequests/n",
        ),
    ],
)
def test_a_manifest_says_where_it_lives(
    api_version: str, kind_name: str, namespace: str, expected: str
) -> None:
    metadata = {"name": "n"} | ({"namespace": namespace} if namespace else {})
    assert resource_path({"apiVersion": api_version, "kind": kind_name, "metadata": metadata}) == expected


def test_certificates_carry_the_names_the_api_server_reads_and_are_written_once(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    for stem, (name, group) in CLIENTS.items():
        subject = x509.load_pem_x509_certificate(
            (tmp_path / f"{stem}.crt").read_bytes()
        ).subject.rfc4514_string()
        assert f"CN={name}" in subject
        assert (f"O={group}" in subject) == bool(group)
    assert (tmp_path / "admin.key").stat().st_mode & 0o077 == 0
    before = (tmp_path / "ca.crt").read_bytes()
    write_certificates(tmp_path)
    assert (tmp_path / "ca.crt").read_bytes() == before


def test_a_kubeconfig_is_read_back_and_gives_a_tls_context(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "https://127.0.0.1:1", tmp_path, "admin")
    credentials = read_kubeconfig(path)
    assert credentials.server == "https://127.0.0.1:1"
    assert credentials.certificate == (tmp_path / "admin.crt").read_bytes()
    assert credentials.ssl_context().verify_mode == ssl.CERT_REQUIRED
    assert path.stat().st_mode & 0o077 == 0


def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlaneError, match="nowhere"):
        read_kubeconfig(tmp_path / "nowhere")


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])
    assert is_free(free_port())


def test_the_machines_own_address_is_one_that_can_be_served_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind((own_address(), 0))

    def nowhere(*_: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", nowhere)
    assert own_address() == "127.0.0.1"


def test_a_recycled_pid_is_somebody_elses(tmp_path: Path) -> None:
    process = spawn(SLEEPS, tmp_path / "log", dict(os.environ))
    try:
        assert process.alive
        stranger = replace(process, started=process.started - 1)
        assert not stranger.alive
        stranger.kill()
        assert process.alive
    finally:
        process.kill()
    assert not process.alive


def test_processes_are_found_by_their_mark_and_end_when_asked(tmp_path: Path) -> None:
    process = spawn(SLEEPS, tmp_path / "log", {**os.environ, MARK: str(tmp_path)})
    try:
        assert wait_until(lambda: set(marked(tmp_path)) == {process}, 10)
        assert not list(marked(tmp_path, pods_only=True))
        assert not list(marked(tmp_path / "other"))
    finally:
        process.stop(10)
    assert not process.alive
    assert not list(marked(tmp_path))


def test_the_record_of_a_cluster_survives_the_file(tmp_path: Path) -> None:
    own = identify(os.getpid())
    assert own is not None
    options = Options(controller_manager_args=("--a=b",), exporter_labels=(("pod", "x"),), image="other")
    state = State(options, {"etcd": 1}, {"etcd": own}, {"etcd": "STOP"})
    state.save(tmp_path / "state.json")
    assert load_state(tmp_path / "state.json") == state
    assert load_state(tmp_path / "none.json") is None


def test_processes_of_an_earlier_boot_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    State(processes={"etcd": Process(1, 1)}).save(file)
    file.write_text(file.read_text().replace('"boot": "', '"boot": "before-'))
    loaded = load_state(file)
    assert loaded is not None
    assert not loaded.processes


def test_exporter_labels_and_honor_labels_reach_the_scrape_configuration(tmp_path: Path) -> None:
    labels = (("namespace", "gpu-operator"), ("pod", "dcgm-1"))
    state = State(Options(honor_labels=False, exporter_labels=labels), dict.fromkeys(PORT_NAMES, 1))
    job = prometheus_config(Layout(tmp_path), state)["scrape_configs"][0]
    assert job["job_name"] == "dcgm-exporter"
    assert job["honor_labels"] is False
    assert job["static_configs"] == [{"targets": ["127.0.0.1:1"], "labels": dict(labels)}]


def test_a_familys_hash_changes_with_its_flags_and_its_modules() -> None:
    digests = {family.digest() for family in toolchain.FAMILIES}
    assert len(digests) == len(toolchain.FAMILIES)
    etcd = toolchain.FAMILIES[0]
    assert replace(etcd, tags="other").digest() != etcd.digest()
    assert replace(etcd).digest() == etcd.digest()


def test_a_program_that_is_no_go_has_no_version() -> None:
    assert gotool.go_version("/no/such/go") is None
    assert gotool.go_version("/bin/true") is None


def test_kind_keeps_its_own_control_plane() -> None:
    assert part_named("etcd", Options()).name == "etcd"
    with pytest.raises(UnknownPartError, match="operator, kwok"):
        part_named("etcd", Options(kind=True))


def test_kind_without_the_program_says_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(PlaneError, match="make up CLUSTER=local"):
        kind.require()


def test_an_absent_cluster_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(PlaneError, match="make up"):
        Cluster(tmp_path / "none").state()
