"""Jobs finish and old pods go away, whatever mode the pool is in when they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from integration.isolation.asking import create, phase, pod, refusal, runs_on, wait_for
from integration.isolation.rig import team_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.isolation.rig import Pool
    from localplane.kube import Kube

TRACKING = "batch.kubernetes.io/job-tracking"


def _job(name: str, pool: Pool, *, run_for: str) -> dict[str, Any]:
    """A Job of one GPU pod that ends by itself; before Enforce it knows nothing of the selector."""
    spec = pod("x", 1, tolerations=[pool.toleration], restartPolicy="Never")["spec"]
    template = {"metadata": {"annotations": {"fake.gpupool.dev/run-for": run_for}}, "spec": spec}
    job = {"completions": 1, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": job}


def _complete(kube: Kube, team: str, name: str) -> bool:
    status = kube.get(f"/apis/batch/v1/namespaces/{team}/jobs/{name}").get("status", {})
    return any(c["type"] == "Complete" and c["status"] == "True" for c in status.get("conditions", []))


def _succeeded(kube: Kube, team: str, name: str) -> int:
    job = kube.get(f"/apis/batch/v1/namespaces/{team}/jobs/{name}")
    return int(job.get("status", {}).get("succeeded", 0))


def _finalizers(kube: Kube, team: str) -> list[str]:
    pods = kube.list(f"/api/v1/namespaces/{team}/pods")
    return [f for p in pods for f in p["metadata"].get("finalizers", [])]


def test_a_job_that_predates_enforcement_completes_under_it(
    kube: Kube, pools: Callable[..., Pool], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    create(kube, team, _job("early", pool, run_for="30s"))  # longer than Enforce takes to stand
    wait_for(lambda: bool(runs_on(kube, team)), "the Job's pod to run")
    assert _finalizers(kube, team) == [TRACKING]
    pool.enforce()
    assert not _complete(kube, team, "early")
    wait_for(lambda: _complete(kube, team, "early"), "the Job to complete under Enforce")
    wait_for(lambda: _finalizers(kube, team) == [], "the tracking finalizer to go")


def test_a_job_completes_across_observe_enforce_and_observe(
    kube: Kube, pools: Callable[..., Pool], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    job = _job("journey", pool, run_for="15s")
    job["spec"]["completions"] = 2
    job["spec"]["template"]["spec"] |= pool.two_lines
    create(kube, team, job)
    wait_for(lambda: len(runs_on(kube, team)) == 1, "the first pod to run under Observe")
    pool.enforce()
    assert _succeeded(kube, team, "journey") == 0
    wait_for(lambda: _succeeded(kube, team, "journey") >= 1, "the first pod to be counted under Enforce")
    wait_for(lambda: runs_on(kube, team) == [pool.nodes[0]], "the second pod to run in its pool")
    pool.observe()
    wait_for(lambda: _complete(kube, team, "journey"), "the Job to complete under Observe")
    wait_for(lambda: _finalizers(kube, team) == [], "the tracking finalizers to go")


def test_a_pod_that_predates_enforcement_can_be_changed_and_deleted(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool)
    client = tenant(pool, team)
    create(client, team, pod("old", 1, tolerations=[{"operator": "Exists"}]))
    wait_for(lambda: phase(kube, team, "old") == "Running", "the old pod to run")
    pool.enforce()
    path = f"/api/v1/namespaces/{team}/pods/old"
    client.patch(path, {"metadata": {"labels": {"seen": "yes"}, "finalizers": ["example.com/wait"]}})
    client.patch(path, {"metadata": {"finalizers": []}})
    had = client.get(path)["spec"]["tolerations"]
    added = {"key": "example.com/maintenance", "operator": "Exists"}
    client.patch(path, {"spec": {"tolerations": [*had, added]}})
    foreign = {"key": "gpupool.dev/pool", "operator": "Exists"}
    worse = {"spec": {"tolerations": [*had, added, foreign]}}
    assert refusal(lambda: client.patch(path, worse)).status == 403
    client.delete(path, grace_seconds=0)
    wait_for(lambda: phase(kube, team, "old") == "", "the old pod to be gone")
