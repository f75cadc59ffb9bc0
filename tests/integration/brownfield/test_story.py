"""gpupool comes to a cluster with a life of its own, goes all the way to Enforce and back, and leaves.

Nobody is denied, nobody is evicted, and nothing is left: the API server's own record says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from integration.brownfield.town import NAMESPACES, Town, deployment
from integration.brownfield.witness import Audit, standing
from localplane import release
from localplane.paths import CHECKOUT
from support.gpupods import pod_spec
from support.marks import marks
from support.plane import eventually, temporary_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localplane.cluster import Cluster
    from localplane.kube import Kube

Json = dict[str, Any]
POOLS = "/apis/gpupool.dev/v1alpha1/gpupools"
PATIENCE = 120.0
OURS = ("GpuPool", "CapacityRequest")
NEWS = ("gpupool-system", "gpupool.dev")
"""Names of what stays by intention: the release's namespace, the CRDs with the pools and requests in them."""


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Where the API server writes down who wrote what."""
    return Audit.under(tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="module")
def plane(audit: Audit) -> Iterator[Cluster]:
    """A cluster of its own, without gpupool."""
    with temporary_cluster(audit.options()) as cluster:
        yield cluster


class Cast:
    """The cluster, the town in it, and the witness."""

    def __init__(self, cluster: Cluster, kube: Kube, audit: Audit) -> None:
        self.cluster, self.kube, self.audit = cluster, kube, audit
        self.town = Town(kube)

    def pool(self, name: str, mode: str = "Observe", **spec: Any) -> None:
        """Apply a pool as a person does."""
        nodes: Json = {"selector": {"matchLabels": {"town.example/group": name}}}
        if name == "burst":
            nodes["capacity"] = {"declared": {"nvidia.com/gpu": 8}}
            spec["shares"] = [{"team": "burst", "namespaces": ["burst"], "guaranteed": 4}]
        body = {"mode": mode, "nodes": nodes, **spec}
        metadata = {"name": name}
        self.kube.apply(
            {"apiVersion": "gpupool.dev/v1alpha1", "kind": "GpuPool", "metadata": metadata, "spec": body}
        )

    def turn(self, mode: str) -> None:
        """Set the mode of both pools, and nothing else."""
        for name in ("lab", "burst"):
            self.kube.patch(f"{POOLS}/{name}", {"spec": {"mode": mode}})

    def status(self, pool: str = "lab") -> Json:
        """Status of a pool."""
        return dict(self.kube.get(f"{POOLS}/{pool}").get("status", {}))

    def condition(self, kind: str, pool: str = "lab") -> Json:
        """A condition of a pool."""
        return next((c for c in self.status(pool).get("conditions", []) if c["type"] == kind), {})

    def until(self, kind: str, status: str, pool: str = "lab") -> Json:
        """Wait for a condition; returns it."""
        try:
            return eventually(
                lambda: c if (c := self.condition(kind, pool)).get("status") == status else None,
                f"{kind} of pool {pool} is {status}",
                PATIENCE,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {self.status(pool).get('conditions')}") from error

    def a_day(self) -> None:
        """An ordinary day; nobody may be denied anything."""
        self.town.stir()
        assert self.town.refused() == []
        assert self.audit.denied() == []


@pytest.fixture
def cast(plane: Cluster, audit: Audit) -> Iterator[Cast]:
    """Everybody on stage."""
    with plane.kube() as kube:
        yield Cast(plane, kube, audit)


def gpupool(cluster: Cluster, *arguments: str) -> str:
    """What the command line prints."""
    environ = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PYTHONPATH": str(CHECKOUT / "operator")}
    command = [sys.executable, "-m", "gpupool", *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(1800)
def test_gpupool_comes_to_a_living_cluster_and_leaves_it_as_it_was(cast: Cast) -> None:
    cast.town.build()
    before = standing(cast.cluster)
    release.install(cast.cluster, quiet=True)
    observe(cast)
    adopt(cast)
    recommend(cast)
    enforce(cast)
    back(cast)
    release.uninstall(cast.cluster)
    cast.town.calm()
    left(cast, before)


def observe(cast: Cast) -> None:
    """Six lines show who holds what, and nothing is written."""
    for pool in ("lab", "burst"):
        cast.pool(pool)
    held = {"vision": 5, "batch": 1}

    def shown() -> bool:
        rows = {r["team"]: r.get("held", {}).get("nvidia.com/gpu") for r in cast.status().get("shares", [])}
        return all(rows.get(team) == count for team, count in held.items())

    eventually(shown, f"the table shows {held}", PATIENCE)
    cast.a_day()
    assert marks(cast.kube) == []


def adopt(cast: Cast) -> None:
    """Drafts are printed, read, given some room and applied; of every held GPU somebody answers for it."""
    printed = gpupool(cast.cluster, "adopt", "lab", "--prometheus", cast.cluster.prometheus_url)
    drafts = [d for d in yaml.safe_load_all(printed) if d]
    assert [d["kind"] for d in drafts] == ["GpuPool"] + ["CapacityRequest"] * (len(drafts) - 1)
    assert {s["team"] for s in drafts[0]["spec"]["shares"]} >= {"vision", "batch"}
    names = {(d["metadata"]["namespace"], d["metadata"]["name"]) for d in drafts[1:]}
    assert names >= {("vision", "serve"), ("vision", "db"), ("vision", "note"), ("batch", "queued")}
    serve = next(d["spec"] for d in drafts[1:] if d["metadata"]["name"] == "serve")
    assert (serve["gpus"], serve["owner"]["contact"]) == (2, "vision-leads@example.com")
    assert "vision/compute: nvidia.com/gpu 16" in printed
    assert "kubectl delete resourcequota" not in printed
    retiring = gpupool(cast.cluster, "adopt", "lab", "--retire-quota")
    assert "#   kubectl delete resourcequota compute -n vision\n" in retiring
    assert "The other templates were not tried yet" in printed
    assert "nothing that is known" not in printed, "on the first day nothing was tried"
    would_break(cast)
    for draft in drafts:
        cast.kube.apply(draft, dry_run=True, field_manager="people")
    if ("nlp", "fit") not in names:  # between two pods of the Job nothing was held there
        drafts[0]["spec"]["shares"].append({"team": "nlp", "namespaces": ["nlp"], "guaranteed": 0})
    for draft in drafts[1:]:
        draft["spec"]["gpus"] += 2
    for share in drafts[0]["spec"]["shares"]:
        share["guaranteed"] += 2 if share["team"] == "batch" else 6
    for draft in drafts:
        cast.kube.apply(draft, field_manager="people")
    cast.kube.apply(request("nlp", "quick", 3))
    cast.kube.apply(request("burst", "grow", 4))
    eventually(
        lambda: not any(cast.status().get("unattributed", {"": 1}).values()),
        "every GPU has an owner",
        PATIENCE,
    )
    named = {(f["namespace"], f["name"]) for f in cast.status()["foreign"]}
    assert {("vision", "compute"), ("batch", "queue")} <= named
    assert "batch/queue" in cast.condition("Conflict")["message"]
    assert marks(cast.kube) == []


def would_break(cast: Cast) -> None:
    """A Deployment at rest that tolerates everything is named while the pool only observes."""
    spec = pod_spec(tolerations=[{"operator": "Exists"}])
    made = cast.kube.create(deployment("vision", "wild", 0, spec))
    named = "vision Deployment/wild: spec.tolerations has an entry without a key"
    eventually(
        lambda: named in gpupool(cast.cluster, "adopt", "lab"), "who would be denied is named", PATIENCE
    )
    cast.kube.delete(f"/apis/apps/v1/namespaces/vision/deployments/{made['metadata']['name']}")


def request(namespace: str, app: str, gpus: int) -> Json:
    """A CapacityRequest as a team writes it."""
    return {
        "apiVersion": "gpupool.dev/v1alpha1",
        "kind": "CapacityRequest",
        "metadata": {"name": f"for-{app}", "namespace": namespace},
        "spec": {
            "gpus": gpus,
            "owner": {"team": namespace, "contact": "people@example.com"},
            "workload": {"selector": {"matchLabels": {"app": app}}},
            "expectedUtilization": 50,
        },
    }


def recommend(cast: Cast) -> None:
    """People are warned, templates are tried, nobody is denied."""
    cast.turn("Recommend")
    cast.until("ReadyToEnforce", "True")
    assert {m.split()[0] for m in marks(cast.kube)} == {
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    }
    cast.a_day()


def enforce(cast: Cast) -> None:
    """Walls stand where nobody objects; who objects is named."""
    cast.turn("Enforce")
    for pool in ("lab", "burst"):
        cast.until("Enforced", "True", pool)
    standing_now = marks(cast.kube)
    assert {"quota vision/gpupool", "label of namespace vision", "quota burst/gpupool"} <= set(standing_now)
    assert not any("batch" in m for m in standing_now), "Kueue counts there"
    assert not any("taint" in m for m in standing_now), "the exporter would not come back"
    assert "gpu-operator/dcgm-exporter" in cast.until("DaemonSetsTolerate", "False")["message"]
    eventually(
        lambda: "loners Deployment/stray" in cast.condition("Enforced").get("message", ""),
        "who runs outside the pools, and would be denied, is named",
        PATIENCE,
    )
    cast.a_day()
    eventually(lambda: cast.town.done("fit"), "the Job that began before gpupool came is complete", PATIENCE)


def back(cast: Cast) -> None:
    """One field, and nothing is left."""
    cast.turn("Observe")
    eventually(lambda: not marks(cast.kube), lambda: f"nothing is left of {marks(cast.kube)}", PATIENCE)
    cast.a_day()


def left(cast: Cast, before: dict[str, Json]) -> None:
    """Compare the cluster with what it was, and read the record."""

    def different() -> list[str]:
        after = standing(cast.cluster)
        changed = [f"{n}: {before[n]} -> {after.get(n)}" for n in before if after.get(n) != before[n]]
        news = set(after) - set(before)
        return changed + [n for n in news if not n.startswith(OURS) and not any(x in n for x in NEWS)]

    def kept_pods() -> list[str]:
        pods = [p for n in NAMESPACES for p in cast.kube.list(f"/api/v1/namespaces/{n}/pods")]
        return [p["metadata"]["name"] for p in pods if p["metadata"].get("finalizers")]

    # What the Jobs and the last rolled pods leave goes a moment after their controllers are content.
    eventually(lambda: not different(), lambda: f"everything is as it was: {different()}", PATIENCE)
    eventually(lambda: not kept_pods(), lambda: f"no finalizer keeps a pod: {kept_pods()}", PATIENCE)
    assert cast.town.refused() == []
    assert cast.audit.denied() == []
    assert cast.audit.evictions() == []
