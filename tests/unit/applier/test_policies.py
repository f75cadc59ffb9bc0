"""The objects a pool's policies are made of, and what each stage leaves out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gpupool.applier.policies import PoolPolicySpec, pool_policies, probe_pods
from gpupool.applier.policies.spec import policy_name
from gpupool.model.marks import POOL_LABEL

SPEC = PoolPolicySpec(
    pool="lab",
    uid="6e3f0b1c-0000-0000-0000-000000000001",
    resources=("nvidia.com/gpu",),
    enforce=True,
    mutate=True,
    exempt_namespaces=("kube-system", "gpu-operator"),
    break_glass_group="gpupool:break-glass",
)


def objects(spec: PoolPolicySpec) -> dict[tuple[str, str], dict[str, Any]]:
    """The policies by kind and name."""
    built: list[dict[str, Any]] = json.loads(json.dumps(pool_policies(spec)))
    return {(o["kind"], o["metadata"]["name"]): o for o in built}


def names(spec: PoolPolicySpec) -> set[str]:
    return {f"{kind}/{name}" for kind, name in objects(spec)}


def test_a_pool_that_only_observes_has_no_policy() -> None:
    assert pool_policies(replace(SPEC, enforce=False)) == []


def test_enforce_has_a_policy_for_pods_one_for_templates_one_that_injects_and_a_probe() -> None:
    assert names(SPEC) == {
        "ValidatingAdmissionPolicy/gpupool-lab-pods",
        "ValidatingAdmissionPolicyBinding/gpupool-lab-pods-enforce",
        "ValidatingAdmissionPolicyBinding/gpupool-lab-pods-probe",
        "ValidatingAdmissionPolicy/gpupool-lab-templates",
        "ValidatingAdmissionPolicyBinding/gpupool-lab-templates",
        "MutatingAdmissionPolicy/gpupool-lab-inject",
        "MutatingAdmissionPolicyBinding/gpupool-lab-inject",
        "MutatingAdmissionPolicyBinding/gpupool-lab-inject-probe",
    }


def test_without_mutation_nothing_injects() -> None:
    assert not any(name.startswith("Mutating") for name in names(replace(SPEC, mutate=False)))


def test_recommend_only_warns_and_never_mutates() -> None:
    built = objects(replace(SPEC, enforce=False, recommend_namespaces=("b", "a")))
    assert {kind for kind, _ in built} == {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    for (kind, _), each in built.items():
        if kind == "ValidatingAdmissionPolicyBinding":
            assert each["spec"]["validationActions"] == ["Warn", "Audit"]
            selector = each["spec"]["matchResources"]["namespaceSelector"]
            (named,) = selector["matchExpressions"]
            probing = each["metadata"]["name"] == "gpupool-lab-pods-recommend-probe"
            assert named == {
                "key": "kubernetes.io/metadata.name",
                "operator": "In",
                "values": ["gpupool-probe"] if probing else ["a", "b"],
            }
            assert "matchLabels" not in selector


def test_a_rehearsal_has_what_enforce_would_deny_and_inject_in_the_probe_namespace_alone() -> None:
    rehearsing = replace(SPEC, enforce=False, rehearse=True)
    assert names(rehearsing) == {
        "ValidatingAdmissionPolicy/gpupool-lab-pods",
        "ValidatingAdmissionPolicyBinding/gpupool-lab-pods-probe",
        "MutatingAdmissionPolicy/gpupool-lab-inject",
        "MutatingAdmissionPolicyBinding/gpupool-lab-inject-probe",
    }
    found, whole = objects(rehearsing), objects(SPEC)
    assert all(whole[key] == each for key, each in found.items()), "and says the same, word for word"


def test_a_pool_with_shares_at_both_stages_has_both_sets() -> None:
    both = replace(SPEC, recommend_namespaces=("trial",))
    recommend_only = replace(both, enforce=False)
    assert names(both) == names(SPEC) | names(recommend_only)


def test_only_exempt_namespaces_to_recommend_is_none() -> None:
    only_exempt = replace(SPEC, enforce=False, recommend_namespaces=("kube-system",))
    assert pool_policies(only_exempt) == []


@pytest.mark.parametrize(
    ("mutate", "labelled", "asked"), [(True, True, False), (False, False, False), (False, True, True)]
)
def test_recommend_asks_for_a_selector_only_when_enforce_would_and_nodes_are_labelled(
    mutate: bool, labelled: bool, asked: bool
) -> None:
    spec = replace(SPEC, enforce=False, recommend_namespaces=("a",), mutate=mutate, nodes_labelled=labelled)
    policy = objects(spec)["ValidatingAdmissionPolicy", "gpupool-lab-pods-recommend"]
    rules = [v["message"] for v in policy["spec"]["validations"]]
    assert any("spec.nodeSelector" in rule for rule in rules) is asked


def test_every_object_is_labelled_and_goes_with_its_pool() -> None:
    for each in objects(replace(SPEC, recommend_namespaces=("a",))).values():
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "gpupool"
        assert labels["app.kubernetes.io/name"] == "gpupool"
        assert labels[POOL_LABEL] == "lab"
        (owner,) = each["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("GpuPool", "lab", SPEC.uid)
        assert owner["blockOwnerDeletion"] is False


def test_no_policy_needs_an_object_of_ours_to_exist() -> None:
    text = json.dumps(pool_policies(replace(SPEC, recommend_namespaces=("a",))))
    assert "paramKind" not in text
    assert "paramRef" not in text


def test_every_binding_names_a_policy_of_the_same_pool() -> None:
    built = objects(replace(SPEC, recommend_namespaces=("a",)))
    for (kind, _), each in built.items():
        if kind.endswith("Binding"):
            assert (kind.removesuffix("Binding"), each["spec"]["policyName"]) in built


def test_only_the_probe_bindings_read_a_label_that_people_could_set() -> None:
    for (_, name), each in objects(SPEC).items():
        selects_objects = "objectSelector" in each["spec"].get("matchResources", {})
        assert selects_objects is (name in {"gpupool-lab-pods-probe", "gpupool-lab-inject-probe"})


def test_a_failed_mutation_denies_nobody_and_a_failed_validation_does() -> None:
    built = objects(SPEC)
    assert built["MutatingAdmissionPolicy", "gpupool-lab-inject"]["spec"]["failurePolicy"] == "Ignore"
    assert built["ValidatingAdmissionPolicy", "gpupool-lab-pods"]["spec"]["failurePolicy"] == "Fail"


def test_same_spec_same_bytes_whatever_the_order_of_namespaces() -> None:
    one = replace(SPEC, recommend_namespaces=("a", "b"), exempt_namespaces=("x", "y"))
    two = replace(SPEC, recommend_namespaces=("b", "a", "b"), exempt_namespaces=("y", "x"))
    assert json.dumps(pool_policies(one)) == json.dumps(pool_policies(two))


@pytest.mark.parametrize("pool", ["a", "a-pods", "pods", "a-pods-recommend", "templates-recommend"])
def test_two_pools_never_share_a_name(pool: str) -> None:
    whole = {"recommend_namespaces": ("n",)}
    mine = names(replace(SPEC, pool=pool, **whole))  # type: ignore[arg-type]
    others = [p for p in ("a", "a-pods", "pods", "a-pods-recommend", "templates-recommend") if p != pool]
    for other in others:
        assert not mine & names(replace(SPEC, pool=other, **whole))  # type: ignore[arg-type]


def test_without_a_break_glass_group_only_kubelets_pass() -> None:
    policy = objects(replace(SPEC, break_glass_group=""))["ValidatingAdmissionPolicy", "gpupool-lab-pods"]
    conditions = [c["name"] for c in policy["spec"]["matchConditions"]]
    assert conditions == ["not-kubelets", "placement-changed", "asks-for-a-gpu"]


def test_a_pool_without_resources_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one resource"):
        replace(SPEC, resources=())


def test_the_pod_left_to_injection_is_the_only_probe_that_is_mutated() -> None:
    mutated = [p for p in probe_pods(SPEC) if "gpupool.dev/probe-inject" in str(p.manifest)]
    assert [p.name for p in mutated] == ["left-to-injection"]
    assert "nodeSelector" not in str(mutated[0].manifest)
    assert not [p for p in probe_pods(replace(SPEC, mutate=False)) if p.name == "left-to-injection"]


def test_probes_try_each_row_and_the_good_pods_in_the_probe_namespace() -> None:
    probes = probe_pods(SPEC)
    assert [p.name for p in probes if not p.expect_denied] == ["well-placed", "left-to-injection"]
    assert {p.row for p in probes} == {0, 1, 2, 4, 9}
    for probe in probes:
        manifest: dict[str, Any] = probe.manifest
        assert manifest["metadata"]["namespace"] == "gpupool-probe"
        assert manifest["metadata"]["labels"]["gpupool.dev/probe"] == "lab"
        assert probe.policy == policy_name("lab", "pods")


def test_a_pool_named_like_the_probes_foreign_pool_is_still_told_apart() -> None:
    for probe in probe_pods(replace(SPEC, pool="another-pool")):
        if probe.name == "another-pools-selector":
            selector = json.loads(json.dumps(probe.manifest))["spec"]["nodeSelector"]
            assert list(selector.values()) == ["yet-another-pool"]
