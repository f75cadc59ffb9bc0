"""A wrong manifest is refused at apply time, and the refusal names field, value and fix."""

import pytest

from localplane.cluster import Cluster
from localplane.kube import Kube, KubeError
from support.manifests import Mistake, create, good, install_crds, mistakes

KINDS = ("gpupool", "capacityrequest", "inferenceslo")
ALL = [mistake for kind in KINDS for mistake in mistakes(kind)]


@pytest.fixture(scope="module", autouse=True)
def _crds(plane: Cluster) -> None:
    with plane.kube() as kube:
        install_crds(kube)


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(ALL) >= 100
    assert len({mistake.name for mistake in ALL}) == len(ALL)


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_that_mistakes_start_from_is_accepted(kube: Kube, kind: str) -> None:
    assert create(kube, good(kind), dry_run=True)["metadata"]["uid"]


@pytest.mark.parametrize("mistake", ALL, ids=lambda mistake: mistake.name)
def test_a_wrong_manifest_is_refused_with_field_value_and_fix(kube: Kube, mistake: Mistake) -> None:
    with pytest.raises(KubeError) as refusal:
        create(kube, mistake.manifest, dry_run=True)
    assert refusal.value.status in {400, 422}
    missing = [text for text in mistake.says if text not in refusal.value.message]
    assert not missing, f"{missing} not in: {refusal.value.message}"


@pytest.mark.parametrize("field", ["pool", "resource"])
@pytest.mark.parametrize(
    ("before", "after"), [("a", "b"), (None, "a"), ("a", None)], ids=["changed", "set", "unset"]
)
def test_what_a_request_asks_for_cannot_move(
    kube: Kube, field: str, before: str | None, after: str | None
) -> None:
    def value(letter: str | None) -> str | None:
        return f"example.com/{letter}" if letter and field == "resource" else letter

    request = good("capacityrequest")
    name = f"moves-{field}-{before}-{after}".lower()
    request["metadata"]["name"] = name
    if before:
        request["spec"][field] = value(before)
    create(kube, request)
    path = f"/apis/gpupool.dev/v1alpha1/namespaces/default/capacityrequests/{name}"
    try:
        with pytest.raises(KubeError) as refusal:
            kube.patch(path, {"spec": {field: value(after)}})
        assert refusal.value.status == 422
        old, new = (value(letter) or "(not set)" for letter in (before, after))
        assert f"{field} cannot change from {old} to {new}: delete this request" in refusal.value.message
        assert kube.get(path)["spec"].get(field) == value(before)
    finally:
        kube.delete(path)


def test_a_new_number_of_gpus_is_accepted_beside_a_fixed_pool(kube: Kube) -> None:
    request = good("capacityrequest")
    request["metadata"]["name"] = "grows"
    request["spec"]["pool"] = "lab"
    create(kube, request)
    path = "/apis/gpupool.dev/v1alpha1/namespaces/default/capacityrequests/grows"
    try:
        assert kube.patch(path, {"spec": {"gpus": 96}})["spec"]["gpus"] == 96
    finally:
        kube.delete(path)


def test_a_promise_stays_with_its_workload(kube: Kube) -> None:
    slo = good("inferenceslo")
    slo["metadata"]["name"] = "stays"
    create(kube, slo)
    path = "/apis/gpupool.dev/v1alpha1/namespaces/default/inferenceslos/stays"
    try:
        with pytest.raises(KubeError) as refusal:
            kube.patch(path, {"spec": {"targetRef": {"name": "search"}}})
        said = "targetRef cannot change from Deployment/chat to Deployment/search: delete this InferenceSLO"
        assert refusal.value.status == 422
        assert said in refusal.value.message
        assert kube.patch(path, {"spec": {"window": "7d"}})["spec"]["window"] == "7d"
    finally:
        kube.delete(path)


def test_a_status_of_an_unknown_phase_is_refused(kube: Kube) -> None:
    request = good("capacityrequest")
    request["metadata"]["name"] = "phase"
    create(kube, request)
    path = "/apis/gpupool.dev/v1alpha1/namespaces/default/capacityrequests/phase"
    try:
        with pytest.raises(KubeError, match=r"status\.phase.*Reclaiming.*Granted"):
            kube.patch(f"{path}/status", {"status": {"phase": "Reclaiming"}})
    finally:
        kube.delete(path)
