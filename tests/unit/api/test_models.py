"""The models read manifests, judge them like the API server, and write them back."""

import copy
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from gpupool.api.v1alpha1 import CapacityRequest, GpuPool, InferenceSLO, Mode, Priority, explain, write_time
from support import statuses
from support.manifests import EXAMPLES, Json, Mistake, example, good, mistakes

MODELS: dict[str, type[GpuPool] | type[CapacityRequest] | type[InferenceSLO]] = {
    "GpuPool": GpuPool,
    "CapacityRequest": CapacityRequest,
    "InferenceSLO": InferenceSLO,
}
KINDS = tuple(kind.lower() for kind in MODELS)
TWINS = [row for kind in KINDS for row in mistakes(kind) if row.twin]
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("mistake", TWINS, ids=lambda mistake: mistake.name)
def test_a_manifest_that_the_api_server_refuses_is_refused_by_the_model(mistake: Mistake) -> None:
    model = MODELS[mistake.manifest["kind"]]
    with pytest.raises(ValidationError) as refusal:
        model.model_validate(mistake.manifest)
    assert explain(refusal.value)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_example_is_read_and_written_back_without_loss(file: object) -> None:
    manifest = example(str(getattr(file, "stem", "")))
    model = MODELS[manifest["kind"]].model_validate(manifest)
    again = model.to_wire()
    assert MODELS[manifest["kind"]].model_validate(again) == model
    assert {key: again["spec"][key] for key in ("reserve", "gpus") if key in manifest["spec"]} == {
        key: manifest["spec"][key] for key in ("reserve", "gpus") if key in manifest["spec"]
    }


def test_the_lab_pool_reads_as_it_is_meant() -> None:
    spec = GpuPool.model_validate(example("lab-pool")).spec
    assert spec.mode is Mode.ENFORCE
    assert spec.nodes.capacity is not None
    assert spec.nodes.capacity.declared == {"nvidia.com/gpu": 64}
    assert [(share.team, share.guaranteed, share.limit, share.weight) for share in spec.shares] == [
        ("vision", 32, 64, 2),
        ("nlp", 16, None, 1),
    ]
    assert spec.reclaim.mode is Mode.RECOMMEND
    assert spec.reclaim.window == timedelta(hours=1)
    assert spec.reclaim.lookback is None
    assert spec.recall.slack == timedelta(minutes=10)


def test_the_request_reads_as_it_is_meant() -> None:
    spec = CapacityRequest.model_validate(example("train-sam")).spec
    assert (spec.gpus, spec.min_gpus, spec.expected_utilization) == (64, 16, 80)
    assert spec.workload.selector is not None
    assert spec.workload.selector.match_labels == {"app": "train-sam"}
    assert (spec.priority, spec.preemptible, spec.pool) == (Priority.NORMAL, True, None)


def test_unknown_fields_of_a_newer_api_are_read_over() -> None:
    manifest = example("train-sam")
    manifest["spec"]["notBefore"] = "2027-01-01T00:00:00Z"
    manifest["metadata"]["managedFields"] = []
    assert CapacityRequest.model_validate(manifest).spec.gpus == 64


def test_an_explanation_names_field_value_and_fix() -> None:
    manifest = copy.deepcopy(example("lab-pool"))
    manifest["spec"]["shares"][0]["limit"] = 8
    manifest["spec"]["reclaim"]["window"] = "1 hour"
    with pytest.raises(ValidationError) as refusal:
        GpuPool.model_validate(manifest)
    text = explain(refusal.value)
    assert "spec.shares[0]: limit is below guaranteed: raise limit or lower guaranteed" in text
    assert "spec.reclaim.window: '1 hour' is no duration: write whole numbers" in text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOW, "2026-07-01T12:00:00Z"),
        (NOW + timedelta(microseconds=5), "2026-07-01T12:00:00.000005Z"),
        (NOW.astimezone(timezone(timedelta(hours=2))), "2026-07-01T12:00:00Z"),
    ],
)
def test_times_are_written_in_utc_and_exactly(moment: datetime, text: str) -> None:
    assert write_time(moment) == text


@pytest.mark.parametrize(
    "manifest", [good(kind) for kind in KINDS], ids=lambda manifest: str(manifest["kind"])
)
def test_models_are_values_that_cannot_be_changed(manifest: Json) -> None:
    model = MODELS[manifest["kind"]].model_validate(manifest)
    with pytest.raises(ValidationError, match="frozen"):
        model.__setattr__("spec", None)


def test_a_status_leaves_out_what_is_not_known() -> None:
    status = statuses.full_request_status(NOW).model_copy(update={"position": None, "efficiency": None})
    wire = status.to_wire()
    assert "position" not in wire
    assert "efficiency" not in wire
    assert wire["reclaim"]["deadline"] == "2026-07-01T13:00:00Z"
