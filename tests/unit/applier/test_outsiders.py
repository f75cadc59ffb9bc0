"""The objects about pods outside the pools: what they name, whom they leave alone, when they go."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from gpupool.applier.policies.outside_probe import GATE, kept_name, kept_pod, outsider_probes
from gpupool.applier.policies.outsider_policies import OutsiderSpec, outsider_policies
from gpupool.model.marks import POOL_LABEL
from gpupool.model.outsiders import OutsiderPool, SetOutsiders
from support.builders import a_pool

LAB = OutsiderPool("lab", "uid-lab", ("nvidia.com/gpu",), cpu_pods=False, counts=True)
FARM = OutsiderPool("farm", "uid-farm", ("amd.com/gpu",), cpu_pods=True, counts=False)
SPEC = OutsiderSpec(
    SetOutsiders(deny=True, pools=(FARM, LAB), homes={"nlp": "farm"}),
    exempt_namespaces=("monitoring",),
    break_glass_group="sre",
)


def objects(spec: OutsiderSpec = SPEC) -> dict[tuple[str, str], Any]:
    built: list[Any] = json.loads(json.dumps(outsider_policies(spec)))
    return {(o["kind"].removeprefix("ValidatingAdmission"), o["metadata"]["name"]): o for o in built}


def actions(spec: OutsiderSpec) -> dict[str, list[str]]:
    return {
        name: o["spec"]["validationActions"]
        for (kind, name), o in objects(spec).items()
        if kind == "PolicyBinding"
    }


def test_pods_are_denied_and_templates_only_warned() -> None:
    assert actions(SPEC) == {
        "gpupool-outsiders": ["Deny", "Audit"],
        "gpupool-devices": ["Deny", "Audit"],
        "gpupool-outsiders-at-apply": ["Warn", "Audit"],
        "gpupool-outsiders-probe": ["Deny"],
        "gpupool-devices-probe": ["Deny"],
    }


def test_where_nobody_is_refused_yet_the_probes_still_are() -> None:
    warned = replace(SPEC, asked=replace(SPEC.asked, deny=False))
    assert actions(warned)["gpupool-outsiders"] == ["Warn", "Audit"]
    assert actions(warned)["gpupool-outsiders-probe"] == ["Deny"]


def test_kube_system_is_exempt_whatever_is_configured() -> None:
    bound = objects(replace(SPEC, exempt_namespaces=()))["PolicyBinding", "gpupool-outsiders"]
    (selects,) = bound["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert selects == {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}


def test_kubelets_and_the_break_glass_group_pass() -> None:
    for (kind, _), each in objects().items():
        if kind == "Policy":
            conditions = [c["name"] for c in each["spec"]["matchConditions"]]
            assert conditions[:2] == ["not-kubelets", "not-break-glass"]


def test_they_go_with_the_last_pool_that_brought_them_and_carry_no_pools_name() -> None:
    for each in objects().values():
        owners = each["metadata"]["ownerReferences"]
        assert [(o["name"], o["uid"], o.get("controller")) for o in owners] == [("lab", "uid-lab", None)]
        assert each["metadata"]["labels"][POOL_LABEL] == ""
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "gpupool"


def test_no_policy_needs_an_object_of_ours_to_exist() -> None:
    text = json.dumps(outsider_policies(SPEC))
    assert "paramKind" not in text
    assert "paramRef" not in text


def test_same_facts_same_bytes() -> None:
    one, two = ({"a": "lab", "b": "farm"}, {"b": "farm", "a": "lab"})
    texts = {
        json.dumps(outsider_policies(replace(SPEC, asked=replace(SPEC.asked, homes=homes))))
        for homes in (one, two)
    }
    assert len(texts) == 1


def test_a_cluster_without_namespaces_to_tell_apart_has_a_policy_too() -> None:
    plain = replace(SPEC, asked=replace(SPEC.asked, homes={}))
    assert ("Policy", "gpupool-outsiders") in objects(plain)


def test_each_way_in_is_probed_and_one_pod_must_pass() -> None:
    probes = {p.name: p for p in outsider_probes(SPEC)}
    both = replace(SPEC, asked=replace(SPEC.asked, pools=(replace(FARM, counts=True), LAB)))
    gpus: list[Any] = [p.manifest["spec"] for p in outsider_probes(both) if p.row == 21]
    asked = [list(s["containers"][0]["resources"]["limits"]) for s in gpus]
    assert asked == [["amd.com/gpu"], ["nvidia.com/gpu"]], "each resource is proved"
    assert [name for name, p in probes.items() if not p.expect_denied] == ["outsider"]
    assert {p.row for p in probes.values()} == {0, 1, 2, 4, 16, 21, 22}
    allowing = replace(SPEC, asked=replace(SPEC.asked, pools=(replace(LAB, cpu_pods=True),)))
    assert "cpu-pod-tolerates" not in {p.name for p in outsider_probes(allowing)}, "it may"


def test_the_kept_pod_never_runs_and_goes_with_its_pool() -> None:
    pod: Any = kept_pod("gpupool-probe", a_pool())
    assert pod["metadata"]["name"] == kept_name("lab")
    assert pod["spec"]["schedulingGates"] == [{"name": GATE}]
    assert pod["metadata"]["ownerReferences"][0]["uid"] == "uid-lab"
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
