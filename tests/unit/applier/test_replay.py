"""A live template as a dry-run pod, and what is heard in the answers."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from gpupool.applier.policies import PoolPolicySpec
from gpupool.applier.policies.answers import LONGEST, OUTSIDERS, denying, refusal, warning
from gpupool.applier.policies.replay import outsider_replay, replay_pod
from gpupool.applier.policyset import PolicyContext, PolicySet
from gpupool.applier.serverside import Writer
from gpupool.errors import Failure, Forbidden, KubeError, Unreachable
from gpupool.kube.client import KubeClient
from gpupool.model.objects import ObjectRef
from gpupool.model.plan import SetPolicies
from gpupool.model.world import Template
from support.builders import GPU, a_pool

SPEC = PoolPolicySpec(pool="lab", uid="u", resources=(GPU,), enforce=False, rehearse=True, mutate=True)
ASKED = SetPolicies(enforce=False, recommend=("vision",), nodes_labelled=False, mutate=True, rehearse=True)
LABEL = "gpupool.dev.node-restriction.kubernetes.io/pool"


def text(labels: dict[str, str] | None = None, **spec: Any) -> str:
    resources = {"limits": {GPU: "1"}}
    containers = [{"name": "main", "resources": resources}]
    return json.dumps({"labels": labels or {}, "spec": {"containers": containers, **spec}})


def test_the_pod_keeps_the_template_and_what_the_probe_namespace_wants_is_ours() -> None:
    template = text(initContainers=[{"name": "side", "restartPolicy": "Always"}], tolerations=[{"key": "a"}])
    pod = replay_pod(SPEC, template)
    spec = pod["spec"]
    assert pod["metadata"]["namespace"] == SPEC.probe_namespace
    assert "name" not in pod["metadata"], (
        "names are generated: pods of two replicas tried at once do not meet"
    )
    assert spec["tolerations"] == [{"key": "a"}]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec
    (side,), (main,) = spec["initContainers"], spec["containers"]
    assert side["restartPolicy"] == "Always"
    assert main["resources"] == {"limits": {GPU: "1"}}
    assert {c["securityContext"]["allowPrivilegeEscalation"] for c in (side, main)} == {False}


def test_nobody_joins_another_pools_rehearsal_by_a_label_of_his_own() -> None:
    mine = {"gpupool.dev/probe": "theirs", "gpupool.dev/request": "train"}
    labels = replay_pod(SPEC, text(mine))["metadata"]["labels"]
    assert labels["gpupool.dev/probe"] == "lab"
    assert labels["gpupool.dev/request"] == "train"
    assert labels["gpupool.dev/probe-inject"] == "true"
    assert (
        "gpupool.dev/probe-inject"
        not in replay_pod(replace(SPEC, mutate=False), text())["metadata"]["labels"]
    )


def test_a_pod_without_a_controller_gets_the_lines_that_nothing_injects() -> None:
    plain = replace(SPEC, mutate=False)
    spec = replay_pod(plain, text(nodeSelector={"zone": "a"}), loose=True)["spec"]
    assert spec["nodeSelector"] == {"zone": "a", LABEL: "lab"}
    (added,) = spec["tolerations"]
    assert (added["key"], added["value"]) == ("gpupool.dev/pool", "lab")
    again = replay_pod(plain, text(tolerations=[added]), loose=True)["spec"]
    assert again["tolerations"] == [added]
    for other in (replay_pod(plain, text()), replay_pod(SPEC, text(), loose=True)):
        assert "nodeSelector" not in other["spec"], (
            "templates can be mended, and injection is rehearsed itself"
        )


# ------------------------------------------------------------------ answers

DENIED = (
    "pods \"rehearsal-x\" is forbidden: ValidatingAdmissionPolicy 'gpupool-{0}-pods' with binding"
    " 'gpupool-{0}-pods-probe' denied request: spec.nodeName is set"
)
WARNED = (
    "299 - \"Validation failed for ValidatingAdmissionPolicy 'gpupool-{0}-pods-recommend' with binding"
    ' \'gpupool-{0}-pods-recommend-probe\': spec.nodeName is \\"a: b\\""'
)


@pytest.mark.parametrize(
    ("message", "heard"),
    [
        (DENIED.format("lab"), "spec.nodeName is set"),
        (DENIED.format("laboratory"), None),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest": hostNetwork', None),
        ('admission webhook "w.example.com" denied the request: no', ""),
        ('pods "x" is forbidden: exceeded quota: compute, requested: pods=1', ""),
        ("pods is forbidden: User cannot create resource pods", None),
    ],
)
def test_a_403_is_ours_or_comes_after_ours_or_says_nothing(message: str, heard: str | None) -> None:
    assert refusal(denying("lab"), message) == heard


def test_the_policies_for_everybody_are_heard_too() -> None:
    message = "ValidatingAdmissionPolicy 'gpupool-outsiders' with binding 'b' denied request: name the keys"
    assert refusal(denying("lab"), message) == refusal(OUTSIDERS, message) == "name the keys"
    assert refusal(OUTSIDERS, DENIED.format("lab")) is None


def test_a_template_outside_the_pools_plays_in_no_pool() -> None:
    pod = outsider_replay("gpupool-probe", text({"gpupool.dev/probe": "lab"}))
    assert pod["metadata"]["labels"]["gpupool.dev/probe"] == ""
    assert "gpupool.dev/probe-inject" not in pod["metadata"]["labels"]


def test_what_is_said_is_cut_to_what_a_status_takes() -> None:
    found = refusal(denying("lab"), DENIED.format("lab") + "x" * 2000)
    assert found is not None
    assert len(found) == LONGEST


def test_a_warning_of_our_policy_is_heard_and_those_of_others_are_not() -> None:
    assert warning(SPEC, WARNED.format("lab")) == 'spec.nodeName is "a: b"'
    assert warning(SPEC, WARNED.format("other")) == ""
    assert warning(SPEC, '299 - "unknown field"') == ""


# ------------------------------------------------------------------ asking


class Client:
    """Answers one dry run."""

    def __init__(self, error: KubeError | None = None, warns: tuple[str, ...] = ()) -> None:
        self.error, self.warns = error, warns

    async def create(self, _: Any, body: dict[str, Any], *, dry_run: bool, warnings: list[str]) -> None:
        assert dry_run
        assert body["metadata"]["labels"]["gpupool.dev/probe"] == "lab"
        warnings += self.warns
        if self.error:
            raise self.error


def forbidden(message: str) -> Forbidden:
    return Forbidden("POST /pods", Failure(403, "Forbidden", message))


async def rehearsed(client: Client) -> str:
    context = PolicyContext(("kube-system",), "", "gpupool-probe")
    found = PolicySet(cast("KubeClient", client), cast("Writer", None), context, lambda _: {})
    template = Template("vision", ObjectRef("apps/v1", "Deployment", "train"), text())
    return await found.rehearse(a_pool(), ASKED, template)


async def test_let_in_refused_and_warned_about() -> None:
    assert await rehearsed(Client()) == ""
    assert await rehearsed(Client(forbidden(DENIED.format("lab")))) == "spec.nodeName is set"
    warns = ('299 - "unknown field"', WARNED.format("lab"))
    assert await rehearsed(Client(warns=warns)) == 'spec.nodeName is "a: b"'


@pytest.mark.parametrize("error", [forbidden("violates PodSecurity"), Unreachable("POST /pods", Failure())])
async def test_without_an_answer_of_our_policy_nothing_is_known(error: KubeError) -> None:
    with pytest.raises(type(error)):
        await rehearsed(Client(error))
