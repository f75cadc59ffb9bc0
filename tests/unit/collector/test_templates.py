"""What is kept of a pod for the rehearsal, and which templates are alive."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gpupool.collector import controllers
from gpupool.collector.assemble import Projections, world
from gpupool.collector.controllers import Controller
from gpupool.collector.templates import of_pod, template
from gpupool.model.objects import Key, ObjectRef, Pod
from gpupool.model.world import Template
from support.builders import GPU, NOW

Json = dict[str, Any]
ASKS = {"limits": {GPU: 1}}


def container(name: str = "main", **more: Any) -> Json:
    return {"name": name, "image": "work", "resources": ASKS, **more}


def kept(text: str) -> Json:
    found: Json = json.loads(text)
    return found


def test_only_what_admission_judges_is_kept() -> None:
    spec = {
        "containers": [
            container(
                command=["sleep"],
                env=[{"name": "A"}],
                resources={"limits": {GPU: 2, "cpu": "4"}, "requests": {"memory": "1Gi", GPU: 2}},
                securityContext={"privileged": True},
            )
        ],
        "initContainers": [{"name": "side", "restartPolicy": "Always", "image": "x"}],
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "schedulerName": "volcano",
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
        "serviceAccountName": "builder",
        "volumes": [{"name": "home", "hostPath": {"path": "/"}}],
        "hostNetwork": True,
        "securityContext": {"runAsUser": 0},
        "priority": 7,
        "nodeName": "",
    }
    labels = {"app": "train", "gpupool.dev/request": "train"}
    assert kept(template({"metadata": {"labels": labels}, "spec": spec})) == {
        "labels": {"gpupool.dev/request": "train"},
        "spec": {
            "containers": [{"name": "main", "resources": {"limits": {GPU: "2"}, "requests": {GPU: "2"}}}],
            "initContainers": [{"name": "side", "restartPolicy": "Always", "resources": {}}],
            "nodeSelector": {"zone": "a"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "schedulerName": "volcano",
            "priorityClassName": "high",
            "runtimeClassName": "nvidia",
        },
    }


def test_a_template_without_devices_is_not_rehearsed_and_one_with_claims_is() -> None:
    plain = {"spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "1"}}}]}}
    assert template(plain) == ""
    claims = [{"name": "gpu", "resourceClaimTemplateName": "one"}]
    claiming = {"name": "web", "resources": {"claims": [{"name": "gpu"}]}}
    found = kept(template({"spec": {"containers": [claiming], "resourceClaims": claims}}))
    assert found["spec"] == {"containers": [claiming], "resourceClaims": claims}


def test_equal_templates_are_the_same_text() -> None:
    one, two = ({"metadata": {"labels": {"app": n}}, "spec": {"containers": [container()]}} for n in "ab")
    assert template(one) is template(two)


def a_raw_pod(kind: str = "", **spec: Any) -> Json:
    owners = [{"kind": kind, "name": "o", "apiVersion": "v1", "controller": True}] if kind else []
    meta = {"name": "p", "namespace": "a", "ownerReferences": owners}
    return {"metadata": meta, "spec": {"containers": [container()], **spec}}


@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet", "Job"])
def test_pods_of_controllers_that_are_read_themselves_are_not_kept(kind: str) -> None:
    assert of_pod(a_raw_pod(kind)) == ""


def test_where_the_scheduler_put_a_pod_is_not_kept_but_what_somebody_wrote_is() -> None:
    bound = a_raw_pod(nodeName="gpu-1")
    assert "nodeName" not in kept(of_pod(bound))["spec"]
    bound["metadata"]["managedFields"] = [
        {"manager": "kubelet", "subresource": "status", "fieldsV1": {"f:status": {}}},
        {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:nodeName": {}}}},
    ]
    assert kept(of_pod(bound))["spec"]["nodeName"] == "gpu-1"


def test_pods_of_a_daemonset_are_one_template_on_all_nodes() -> None:
    assert of_pod(a_raw_pod("DaemonSet", affinity={"nodeAffinity": "gpu-1"})) == of_pod(
        a_raw_pod("DaemonSet", affinity={"nodeAffinity": "gpu-2"})
    )
    assert "affinity" in kept(of_pod(a_raw_pod("RayCluster", affinity={"nodeAffinity": "x"})))["spec"]


# ------------------------------------------------------------------ which are alive

DEPLOYMENT = ObjectRef("apps/v1", "Deployment", "web")


def revision(number: int, text: str, wanted: int = 0) -> Controller:
    ref = ObjectRef("apps/v1", "ReplicaSet", f"web-{number}")
    plain = Controller("a", ref, f"uid-{number}", DEPLOYMENT, {}, {GPU: 1}, wanted)
    return replace(plain, template=text, revision=number)


def alive(*found: Controller, pods: tuple[Pod, ...] = ()) -> list[Template]:
    return list(world(Projections(controllers=found, pods=pods), NOW, frozenset()).templates)


def test_of_a_deployment_the_newest_revision_counts_and_older_ones_that_still_run() -> None:
    assert alive(revision(1, "old"), revision(10, "new"), revision(9, "older")) == [
        Template("a", DEPLOYMENT, "new")
    ]
    assert [t.text for t in alive(revision(1, "old", wanted=2), revision(2, "new"))] == ["old", "new"]


def test_the_same_text_of_the_same_owner_is_one_template() -> None:
    assert len(alive(revision(1, "same", wanted=1), revision(2, "same", wanted=3))) == 1


def test_replicasets_without_revisions_stand_for_themselves() -> None:
    alone = replace(revision(0, "a"), owner=None)
    other = replace(alone, ref=ObjectRef("apps/v1", "ReplicaSet", "other"), template="b")
    assert [t.owner.name for t in alive(alone, other)] == ["web-0", "other"]


def test_pods_show_the_templates_of_controllers_that_are_not_read() -> None:
    ray = ObjectRef("ray.io/v1", "RayCluster", "r")
    head = Pod(Key("a", "head"), "1", {GPU: 1}, owner=ray, template="head")
    bare = Pod(Key("a", "bare"), "2", {GPU: 1}, template="bare")
    ending = Pod(Key("a", "ending"), "3", {GPU: 1}, template="ending", terminating=True)
    owned = Pod(Key("a", "owned"), "4", {GPU: 1}, owner=DEPLOYMENT)
    assert alive(pods=(head, bare, ending, owned)) == [
        Template("a", ray, "head"),
        Template("a", ObjectRef("v1", "Pod", "bare"), "bare", loose=True),
    ]


def raw_template() -> Json:
    return {"spec": {"containers": [container()]}}


def raw(spec: Json, **more: Any) -> Json:
    return {"metadata": {"name": "x", "namespace": "a", "uid": "u", **more}, "spec": spec}


def test_a_job_that_has_ended_makes_no_more_pods() -> None:
    job = raw({"parallelism": 2, "completions": 2, "template": raw_template()})
    running = controllers.job(job)
    assert running is not None
    assert running.template
    ended = controllers.job(job | {"status": {"succeeded": 2}})
    assert ended is not None
    assert ended.template == ""


def test_a_cronjob_stands_for_the_jobs_it_will_make_unless_it_is_suspended() -> None:
    spec = {"jobTemplate": {"spec": {"template": raw_template()}}}
    found = controllers.cronjob(raw(spec))
    assert found is not None
    assert (found.ref, found.wanted) == (ObjectRef("batch/v1", "CronJob", "x"), 0)
    assert [t.owner for t in alive(found)] == [found.ref]
    suspended = controllers.cronjob(raw(spec | {"suspend": True}))
    assert suspended is not None
    assert alive(suspended) == []
    cpu = {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "web"}]}}}}}
    assert controllers.cronjob(raw(cpu)) is None


def test_a_replicaset_carries_the_revision_of_its_deployment() -> None:
    found = controllers.replicaset(raw({"template": raw_template()}, annotations={controllers.REVISION: "7"}))
    assert found is not None
    assert found.revision == 7
