"""What is kept of policies."""

from typing import Any

import pytest

from gpupool.collector.policies import PolicyFacts, chart_guards, policy_facts
from gpupool.model.chartguards import ChartGuards, GuardBinding

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
OURS = {"app.kubernetes.io/managed-by": "gpupool", "gpupool.dev/pool": "lab"}


def read(kind: str, labels: dict[str, str] | None, **spec: Any) -> PolicyFacts:
    meta: dict[str, Any] = {"name": "gpupool-lab-pods", "resourceVersion": "9"}
    return policy_facts(kind)({"metadata": meta | ({"labels": labels} if labels else {}), "spec": spec})


def test_a_policy_is_its_kind_name_pool_and_version() -> None:
    assert read(POLICY, OURS) == PolicyFacts(POLICY, "gpupool-lab-pods", "lab", "9")


@pytest.mark.parametrize(("actions", "denies"), [(["Deny", "Audit"], True), (["Warn"], False)])
def test_a_binding_names_its_policy_and_says_whether_it_denies(actions: list[str], denies: bool) -> None:
    found = read(BINDING, OURS, policyName="gpupool-lab-pods", validationActions=actions)
    assert (found.policy, found.denies) == ("gpupool-lab-pods", denies)


@pytest.mark.parametrize(
    "labels", [None, {"gpupool.dev/pool": "lab"}, OURS | {"app.kubernetes.io/managed-by": "Helm"}]
)
def test_what_we_do_not_manage_is_of_no_pool(labels: dict[str, str] | None) -> None:
    assert read(POLICY, labels).pool is None


def test_guards_are_what_carries_no_pool_also_not_that_of_all_pools() -> None:
    facts = [
        PolicyFacts(POLICY, "gpupool-use", None, "1"),
        PolicyFacts(BINDING, "gpupool-use", None, "1", denies=True, policy="gpupool-use"),
        PolicyFacts(POLICY, "gpupool-outsiders", "", "1"),
        PolicyFacts(BINDING, "gpupool-lab", "lab", "1", denies=True, policy="gpupool-lab"),
        PolicyFacts("MutatingAdmissionPolicy", "theirs", None, "1"),
    ]
    assert chart_guards(("gpupool-use",), facts) == ChartGuards(
        installed=("gpupool-use",),
        policies=frozenset({"gpupool-use"}),
        bindings={"gpupool-use": GuardBinding("gpupool-use", denies=True)},
    )
