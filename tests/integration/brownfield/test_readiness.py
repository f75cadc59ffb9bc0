"""A switch to Enforce waits until what runs would be let in, and says who stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from integration.isolation.asking import PROBE_NAMESPACE
from support.gpupods import USE, pod_spec
from support.marks import ADMISSION, POOL_LABEL, marks, two_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localplane.kube import Kube
    from support.story import Story

Json = dict[str, Any]
WILD: Json = {"tolerations": [{"operator": "Exists"}]}
PATIENCE = 120


def deploy(story: Story, team: str, name: str, replicas: int = 1, **spec: Any) -> None:
    """A Deployment whose template has more than the asked GPU."""
    labels = {"app": name}
    story.kube.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": team},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
                "template": {
                    "metadata": {"labels": labels, "annotations": {USE: "50"}},
                    "spec": {**pod_spec(1), "terminationGracePeriodSeconds": 1, **spec},
                },
            },
        }
    )


def running(story: Story, team: str, app: str) -> list[str]:
    """Running pods of an app that are not on their way out."""
    pods = story.kube.list(f"/api/v1/namespaces/{team}/pods", labels=f"app={app}")
    return [
        p["metadata"]["name"]
        for p in pods
        if p["status"].get("phase") == "Running" and "deletionTimestamp" not in p["metadata"]
    ]


def readiness(story: Story, *reasons: str) -> Json:
    """Wait until readiness has one of these reasons."""
    return story.until(
        lambda: c if (c := story.condition("ReadyToEnforce")).get("reason") in reasons else None,
        lambda: f"readiness is {' or '.join(reasons)} (now {story.condition('ReadyToEnforce')})",
        PATIENCE,
    )


def enforced(story: Story) -> None:
    """Wait until the pool is enforced as its spec stands; what it says instead is told where it is not."""
    story.until_enforced(PATIENCE)


def only_policies_stand(story: Story) -> bool:
    """Nothing but policies is there, and none of them denies outside the probe namespace."""
    found = marks(story.kube, story.name)
    bindings = story.kube.list(
        f"{ADMISSION}/validatingadmissionpolicybindings", labels=f"{POOL_LABEL}={story.name}"
    )
    denying = [b for b in bindings if "Deny" in b["spec"]["validationActions"]]
    probing = [
        b["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0]["values"] for b in denying
    ]
    return all("admissionpolic" in m for m in found) and all(p == [PROBE_NAMESPACE] for p in probing)


def failed_creates(story: Story, team: str) -> list[str]:
    events = story.kube.list(f"/api/v1/namespaces/{team}/events", fields="reason=FailedCreate")
    return [e["message"] for e in events]


def test_enforce_waits_for_a_template_that_would_be_denied_until_it_is_mended(story: Story) -> None:
    story.until_nobody_enforces()  # a namespace without a pool may have GPUs then
    story.add_nodes(1)
    team = story.team("a")
    deploy(story, team, "wild", **WILD)
    deploy(story, team, "tame")
    story.until(lambda: running(story, team, "wild") and running(story, team, "tame"), "both run", PATIENCE)
    earlier = failed_creates(story, team)  # while the pools of earlier stories went
    story.pool(shares=[story.share(team, 8)])
    found = readiness(story, "WouldBeDenied")
    assert found["status"] == "False"
    assert "Enforce waits" in found["message"]
    assert f"{team} Deployment/wild: spec.tolerations has an entry without a key" in found["message"]
    assert "tame" not in found["message"]
    (row,) = story.pool_status()["wouldBeDenied"]
    assert (row["namespace"], row["owner"]) == (team, "Deployment/wild")
    assert "name the keys" in row["message"], "the line that mends it"
    assert story.pool_status()["effectivePolicy"]["mode"] == "Recommend"
    assert story.condition("Enforced")["status"] == "False"
    assert only_policies_stand(story)
    about = f"involvedObject.name={story.name},reason=EnforceWaits"
    story.until(
        lambda: story.kube.list("/api/v1/namespaces/default/events", fields=about),
        "an Event says so",
        PATIENCE,
    )

    deploy(story, team, "wild", replicas=2, **WILD)
    story.until(lambda: len(running(story, team, "wild")) == 2, "what would be denied still scales", PATIENCE)
    assert set(failed_creates(story, team)) == set(earlier)

    deploy(story, team, "wild", replicas=2, tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}])
    enforced(story)
    assert story.pool_status()["effectivePolicy"]["mode"] == "Enforce"
    assert "wouldBeDenied" not in story.pool_status()
    assert set(failed_creates(story, team)) == set(earlier)

    # The gate is for entering: what comes later is told, and nobody is released for it.
    deploy(story, team, "late", **WILD)
    found = readiness(story, "WouldBeDenied")
    assert "waits" not in found["message"]
    assert story.pool_status()["effectivePolicy"]["mode"] == "Enforce"
    enforced(story)
    story.until(
        lambda: set(failed_creates(story, team)) - set(earlier), "and the template is denied", PATIENCE
    )


def test_a_pool_with_nothing_running_is_ready_at_once_and_the_annotation_asks_nobody(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    assert story.condition("ReadyToEnforce")["reason"] == "NothingRuns"
    story.pool("Observe", shares=[story.share(team, 8)])
    story.until(lambda: not marks(story.kube, story.name), "nothing is left", PATIENCE)
    story.until_nobody_enforces()
    deploy(story, team, "wild", **WILD)
    story.until(lambda: running(story, team, "wild"), "it runs", PATIENCE)
    readiness(story, "NotRehearsed")
    path = f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}"
    story.kube.patch(path, {"metadata": {"annotations": {"gpupool.dev/enforce-now": "true"}}})
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    assert "Enforced all the same" in readiness(story, "WouldBeDenied")["message"]


def test_recommend_tells_beforehand_and_writes_nothing_that_denies(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    deploy(story, team, "wild", replicas=0, **WILD)
    nightly = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {}}}}
    template = {"spec": {**pod_spec(1), "restartPolicy": "Never", "nodeName": story.nodes[0]}}
    nightly["jobTemplate"] = {"spec": {"template": template}}
    metadata = {"name": "nightly", "namespace": team}
    story.kube.create({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": nightly})
    story.pool("Recommend", shares=[story.share(team, 8)])
    story.until(
        lambda: (
            {r["owner"] for r in story.pool_status().get("wouldBeDenied", [])}
            == {"Deployment/wild", "CronJob/nightly"}
        ),
        "one at rest would be denied when it wakes, and one that has made no Job yet",
        PATIENCE,
    )
    assert "CronJob/nightly: spec.nodeName is" in readiness(story, "WouldBeDenied")["message"]
    bindings = story.kube.list(
        f"{ADMISSION}/validatingadmissionpolicybindings", labels=f"{POOL_LABEL}={story.name}"
    )
    assert {a for b in bindings for a in b["spec"]["validationActions"]} == {"Warn", "Audit"}
    story.kube.delete(f"/apis/batch/v1/namespaces/{team}/cronjobs/nightly")
    deploy(story, team, "wild", replicas=0, tolerations=[])
    assert readiness(story, "NoDenial")["status"] == "True"


@pytest.fixture
def narrow_probe_namespace(kube: Kube) -> Iterator[None]:
    """A probe namespace in which a platform's own tools have put their usual limits."""
    made: list[Json] = [
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "platform", "namespace": PROBE_NAMESPACE},
            "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"memory": "64Mi"}}]},
        },
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "platform", "namespace": PROBE_NAMESPACE},
            "spec": {"hard": {"pods": "0", "requests.cpu": "1"}},
        },
    ]
    for manifest in made:
        kube.create(manifest)
    yield
    for kind in ("limitranges", "resourcequotas"):
        kube.delete(f"/api/v1/namespaces/{PROBE_NAMESPACE}/{kind}/platform")


def test_what_the_probe_namespace_would_judge_otherwise_does_not_count(
    story: Story, narrow_probe_namespace: None
) -> None:
    del narrow_probe_namespace
    story.until_nobody_enforces()
    story.add_nodes(1)
    team = story.team("a")
    story.kube.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder", "namespace": team}}
    )
    big: Json = {
        "name": "main",
        "image": "work",
        "securityContext": {"privileged": True, "runAsUser": 0},
        "resources": {"limits": {"nvidia.com/gpu": 1, "cpu": "16", "memory": "64Gi"}},
        "volumeMounts": [{"name": "host", "mountPath": "/host"}],
    }
    deploy(
        story,
        team,
        "heavy",
        containers=[big],
        hostNetwork=True,
        serviceAccountName="builder",
        volumes=[{"name": "host", "hostPath": {"path": "/"}}],
    )
    story.until(lambda: running(story, team, "heavy"), "it runs", PATIENCE)
    story.pool(shares=[story.share(team, 8)])
    enforced(story)
    assert readiness(story, "NoDenial")["status"] == "True"


def test_where_nothing_injects_people_add_the_lines_while_enforce_waits(
    story: Story, without_mutation: None
) -> None:
    del without_mutation
    story.until_nobody_enforces()
    story.add_nodes(1)
    team = story.team("a")
    deploy(story, team, "serve")
    bare = story.run(team, "note", 1)
    story.until(lambda: running(story, team, "serve") and running(story, team, "note"), "both run", PATIENCE)
    earlier = failed_creates(story, team)
    story.pool(shares=[story.share(team, 8)])
    message = readiness(story, "WouldBeDenied")["message"]
    assert "Deployment/serve" in message
    assert "is missing" in message
    assert f"nodeSelector: {{gpupool.dev.node-restriction.kubernetes.io/pool: {story.name}}}" in message
    assert "note" not in message, "nobody can mend a pod that runs"
    story.until(
        lambda: f"label of node {story.nodes[0]}" in marks(story.kube, story.name),
        "nodes carry the label, so that people can select it",
        PATIENCE,
    )
    deploy(story, team, "serve", **two_lines(story.name))
    enforced(story)
    story.until(lambda: running(story, team, "serve"), "it runs on", PATIENCE)
    assert running(story, team, "note") == bare
    assert set(failed_creates(story, team)) == set(earlier)
