"""The cluster of the benchmarks: the operator's process, and an audit log of what it writes."""

import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import yaml

from localplane import release
from localplane.cluster import Cluster
from localplane.processes import Process, marked, wait_until
from localplane.progress import step
from localplane.reaper import guard
from localplane.runner.settings import NAMESPACE
from localplane.state import Options

USER: Final = f"system:serviceaccount:{NAMESPACE}:gpupool"
WRITING: Final = ["create", "update", "patch", "delete", "deletecollection"]
START_SECONDS: Final = 60.0
SCRAPE: Final = "15s"
"""How often Prometheus asks in most installs; what is measured with fewer objects is asked every second."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_USER_TIME, _SYSTEM_TIME = 11, 12
"""Positions in /proc/PID/stat counted after the command's closing parenthesis."""


class Rig:
    """A cluster with the operator, watched from outside.

    Attributes:
        scrape: seconds between two looks of Prometheus at the operator.
    """

    def __init__(self, cluster: Cluster, audit: Path, scrape_interval: str = "1s") -> None:
        self.cluster = cluster
        self.scrape = float(scrape_interval.removesuffix("s"))
        self._audit = audit

    def operator(self) -> Process:
        """The process of the operator that leads.

        Raises:
            RuntimeError: None does.
        """
        with self.cluster.kube() as kube:
            lease = kube.find(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/gpupool") or {}
        holder = str(lease.get("spec", {}).get("holderIdentity") or "")
        for process in marked(self.cluster.layout.root, pods_only=True):
            command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            if b"run" not in command or not any(part.endswith(b"gpupool") for part in command):
                continue
            if (pod := _pod_name(process)) and holder.startswith(f"{pod}_"):
                return process
        raise RuntimeError("no operator leads")

    def until_operator(self) -> Process:
        """The leading process as soon as it is there."""
        wait_until(self._runs, START_SECONDS, every=0.01)
        return self.operator()

    def started(self) -> float:
        """Unix time at which the operator's process began."""
        # Start times count from the boot; /proc/uptime says when that was, to a hundredth of a second.
        booted = time.time() - float(Path("/proc/uptime").read_text().split()[0])
        return booted + self.operator().started / _TICKS

    def rss(self, field: str = "VmRSS") -> float:
        """Memory of the operator in MB; VmHWM is the most it ever had."""
        lines = Path(f"/proc/{self.operator().pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024

    def cpu(self) -> float:
        """CPU seconds that the operator has used since its start."""
        fields = Path(f"/proc/{self.operator().pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS

    def metric(self, name: str) -> float:
        """Sum of one metric's series on the operator's own page; 0 where it has none, or no page yet."""
        try:
            page = httpx.get(self.cluster.metrics_url, trust_env=False, timeout=5).text
        except httpx.HTTPError:
            return 0.0
        lines = (line for line in page.splitlines() if line.startswith((f"{name} ", f"{name}{{")))
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def writes(self, since: int = 0) -> tuple[Counter[str], int]:
        """What the operator asked the API server to write, from the audit log.

        Args:
            since: byte of the log to begin at.

        Returns:
            Writes by verb and resource (dry runs as such), and the byte to go on from.
        """
        with self._audit.open("rb") as log:
            log.seek(since)
            lines = log.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        return Counter(_write(json.loads(line)) for line in whole), since + sum(map(len, whole))

    def _runs(self) -> bool:
        try:
            self.operator()
        except (RuntimeError, OSError):
            return False
        return True


@contextmanager
def bench_cluster(scrape_interval: str = SCRAPE) -> Iterator[Rig]:
    """A cluster with the operator and an audit log of its writes; unmanaged nodes stay Ready for a day."""
    directory = Path(tempfile.mkdtemp(prefix="gpupool-bench-"))
    policy, audit = directory / "audit-policy.yaml", directory / "audit.log"
    policy.write_text(yaml.safe_dump(_audit_policy()))
    guard(directory)
    options = Options(
        scrape_interval=scrape_interval,
        controller_manager_args=("--node-monitor-grace-period=24h",),
        apiserver_args=(f"--audit-policy-file={policy}", f"--audit-log-path={audit}"),
    )
    cluster = Cluster(directory, options=options)
    try:
        with step("control plane") as progress:
            cluster.up()
            progress.result = f"ready, in {directory}"
        release.install(cluster)
        yield Rig(cluster, audit, scrape_interval)
    finally:
        cluster.down()
        shutil.rmtree(directory, ignore_errors=True)


def _pod_name(process: Process) -> str:
    """Of the pod that a process runs for."""
    variables = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    return next((v.decode().partition("=")[2] for v in variables if v.startswith(b"POD_NAME=")), "")


def summary(writes: Counter[str]) -> str:
    """`apply status of gpupools 3, create events 1`."""
    return ", ".join(f"{what} {count}" for what, count in writes.most_common()) or "none"


def real(writes: Counter[str]) -> int:
    """How many of the writes were no dry runs."""
    return sum(count for what, count in writes.items() if not what.startswith("dry run"))


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _audit_policy() -> dict[str, object]:
    ours = {"level": "Metadata", "users": [USER], "verbs": WRITING}
    # The lease is renewed every few seconds, whatever happens.
    lease = {"level": "None", "resources": [{"group": "coordination.k8s.io"}]}
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [lease, ours, {"level": "None"}],
    }


def _write(event: dict[str, object]) -> str:
    about = event["objectRef"]
    assert isinstance(about, dict)
    part = f"/{about['subresource']}" if about.get("subresource") else ""
    dry = "dry run: " if "dryRun=All" in str(event["requestURI"]) else ""
    return f"{dry}{event['verb']} {about['resource']}{part}"
