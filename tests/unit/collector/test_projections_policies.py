"""What is kept of policies."""

from gpupool.collector import projections


def test_a_policy_is_its_kind_name_pool_and_version() -> None:
    meta = {"name": "gpupool-lab-pods", "resourceVersion": "9", "labels": {"gpupool.dev/pool": "lab"}}
    found = projections.policy_facts("ValidatingAdmissionPolicy")({"metadata": meta})
    assert (found.kind, found.name, found.pool, found.version) == (
        "ValidatingAdmissionPolicy",
        "gpupool-lab-pods",
        "lab",
        "9",
    )
