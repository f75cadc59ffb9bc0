"""What a mirror keeps of policies."""

from gpupool.runtime import mirror


def test_a_policy_is_its_kind_name_pool_and_version() -> None:
    meta = {"name": "gpupool-lab-pods", "resourceVersion": "9", "labels": {"gpupool.dev/pool": "lab"}}
    found = mirror._policy("ValidatingAdmissionPolicy")({"metadata": meta})
    assert (found.kind, found.name, found.pool, found.version) == (
        "ValidatingAdmissionPolicy",
        "gpupool-lab-pods",
        "lab",
        "9",
    )
