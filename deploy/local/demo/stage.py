"""The cluster of the demo and the words to read it: kubectl to act, the API and Prometheus to look."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import httpx

from demo.narrator import Narrator
from localplane.cluster import Cluster
from localplane.kube import Json, Kube
from localplane.paths import CHECKOUT

RESOURCE: Final = "nvidia.com/gpu"
MANIFESTS: Final = "deploy/local/demo/manifests"
KUBECTL_SECONDS: Final = 30.0
GROUP_API: Final = "/apis/gpupool.dev/v1alpha1"
LIVING: Final = frozenset({"Pending", "Running"})


class CommandError(Exception):
    """A command of the story was refused where it should have worked."""


class Stage:
    """One cluster, and the narrator who tells what happens on it."""

    def __init__(self, cluster: Cluster, narrator: Narrator) -> None:
        self.cluster = cluster
        self.narrator = narrator
        self._kube: Kube | None = None
        self.say = narrator.say
        self.expect = narrator.expect
        self.day_began = 0.0
        self.day_ended = 0.0

    @property
    def kube(self) -> Kube:
        """The admin's connection, made when it is first used."""
        if self._kube is None:
            self._kube = self.cluster.kube()
        return self._kube

    def close(self) -> None:
        """Close the connection."""
        if self._kube is not None:
            self._kube.close()

    # ------------------------------------------------------------------ acting

    def kubectl(self, *arguments: str) -> str:
        """Show a kubectl command, run it, and return what it printed.

        Raises:
            CommandError: It failed.
        """
        self.narrator.command(f"kubectl {' '.join(_quoted(arguments))}")
        done = self._run(arguments)
        if done.returncode:
            raise CommandError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout

    def apply(self, manifest: str) -> None:
        """`kubectl apply` of one of the demo's files."""
        self.kubectl("apply", "-f", f"{MANIFESTS}/{manifest}")

    def control(self, **change: Any) -> None:
        """Tell the simulated engines what they play.

        Raises:
            httpx.HTTPError: They refuse it.
        """
        self.narrator.command(f"curl $EXPORTER/control -d '{json.dumps(change)}'")
        url = f"http://127.0.0.1:{self.cluster.port('exporter')}/control"
        httpx.post(url, json=change, trust_env=False).raise_for_status()

    def refusal(self, *arguments: str) -> str:
        """What the API server answers to a command that must fail; empty where it did not."""
        done = self._run(arguments)
        return " ".join(done.stderr.split()) if done.returncode else ""

    def _run(self, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        command = [
            str(self.cluster.program("kubectl")),
            f"--kubeconfig={self.cluster.kubeconfig}",
            *arguments,
        ]
        return subprocess.run(
            command, cwd=CHECKOUT, capture_output=True, text=True, timeout=KUBECTL_SECONDS, check=False
        )

    # ------------------------------------------------------------------ looking

    def pool(self, name: str) -> Json:
        """Status of a pool."""
        return dict(self.kube.get(f"{GROUP_API}/gpupools/{name}").get("status", {}))

    def counts(self, name: str) -> Json:
        """The counts of a pool: usable, granted, lent, held, busy, queued."""
        return dict(self.pool(name).get("summary", {}))

    def share(self, pool: str, team: str) -> Json:
        """One row of a pool's shares, with the counts of GPUs as plain numbers."""
        rows = self.pool(pool).get("shares", [])
        row: Json = next((r for r in rows if r["team"] == team), {})
        return {
            key: value.get(RESOURCE, 0) if isinstance(value, dict) else value for key, value in row.items()
        }

    def request(self, namespace: str, name: str) -> Json:
        """Status of a request, with its decision, reclaim and conditions on the first level."""
        path = f"{GROUP_API}/namespaces/{namespace}/capacityrequests/{name}"
        status = self.kube.get(path).get("status", {})
        reclaim = status.get("reclaim", {})
        conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
        return {
            "stage": reclaim.get("stage"),
            **reclaim,
            **status.get("decision", {}),
            **conditions,
            **status,
        }

    def slo(self, namespace: str, name: str) -> Json:
        """Status of an endpoint, with its decision and the reasons of its conditions on the first level."""
        path = f"{GROUP_API}/namespaces/{namespace}/inferenceslos/{name}"
        status = self.kube.get(path).get("status", {})
        reasons = {c["type"]: c["reason"] for c in status.get("conditions", [])}
        return {**status.get("decision", {}), **reasons, **status}

    def objective(self, namespace: str, name: str) -> Json:
        """The first objective of an endpoint."""
        return dict(next(iter(self.slo(namespace, name).get("objectives", [])), {}))

    def conditions(self, pool: str) -> Json:
        """Conditions of a pool: status by type."""
        return {c["type"]: c["status"] for c in self.pool(pool).get("conditions", [])}

    def quota(self, namespace: str) -> int | None:
        """GPUs that our quota allows in a namespace; None without a quota."""
        found = self.kube.find(f"/api/v1/namespaces/{namespace}/resourcequotas/gpupool")
        return None if found is None else int(found["spec"]["hard"][f"requests.{RESOURCE}"])

    def wall(self, namespace: str) -> int:
        """GPUs up to which the API server lets pods in at this moment: the quota's status, not its spec."""
        found = self.kube.get(f"/api/v1/namespaces/{namespace}/resourcequotas/gpupool")
        return int(found.get("status", {}).get("hard", {}).get(f"requests.{RESOURCE}", 0))

    def pods(self, namespace: str, app: str = "") -> list[Json]:
        """Living pods of a namespace that are not being deleted."""
        found = self.kube.list(f"/api/v1/namespaces/{namespace}/pods", labels=f"app={app}" if app else "")
        return [p for p in found if p["status"].get("phase") in LIVING and not _leaving(p)]

    def running(self, namespace: str, app: str) -> Json:
        """How many pods of an app run, and how many GPUs they hold."""
        pods = [p for p in self.pods(namespace, app) if p["status"].get("phase") == "Running"]
        return {"pods_running": len(pods), "GPUs": sum(gpus_of(p) for p in pods)}

    def events(self, namespace: str, name: str) -> list[Json]:
        """Events about a request, oldest first."""
        found = self.kube.list(
            f"/api/v1/namespaces/{namespace}/events",
            fields=f"involvedObject.kind=CapacityRequest,involvedObject.name={name}",
        )
        return sorted(found, key=lambda e: (e["firstTimestamp"] or "", int(e["metadata"]["resourceVersion"])))

    def prometheus(self, query: str) -> float | None:
        """The value of an instant query that finds one series; None where it finds none."""
        rows = self._prometheus("query", {"query": query})
        return float(rows[0]["value"][1]) if rows else None

    def prometheus_range(self, query: str, start: float, end: float, step: float) -> list[Json]:
        """Series of a range query: each with `metric` and `values` (pairs of time and text)."""
        return self._prometheus("query_range", {"query": query, "start": start, "end": end, "step": step})

    def _prometheus(self, kind: str, parameters: Mapping[str, Any]) -> list[Json]:
        url = f"{self.cluster.prometheus_url}/api/v1/{kind}"
        answer = httpx.get(url, params=dict(parameters), trust_env=False).raise_for_status().json()
        return list(answer["data"]["result"])


def gpus_of(pod: Json) -> int:
    """GPUs that a pod asks for."""
    limits = (c.get("resources", {}).get("limits", {}) for c in pod["spec"]["containers"])
    return sum(int(each.get(RESOURCE, 0)) for each in limits)


def uids(pods: Sequence[Json]) -> frozenset[str]:
    """Which pods these are, whatever they are called."""
    return frozenset(str(p["metadata"]["uid"]) for p in pods)


def moment(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text)


def _leaving(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _quoted(arguments: Sequence[str]) -> list[str]:
    return [f"'{a}'" if any(c in a for c in '{"*') else a for a in arguments]
