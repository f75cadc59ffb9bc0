"""Effects in the status: what is written can be read again, and what is broken begins anew."""

from datetime import UTC, datetime

from gpupool.api import v1alpha1 as api
from gpupool.api.effects import read, written
from gpupool.api.v1alpha1 import inferenceslo_findings as words
from gpupool.model.effects import Effect, Forecast, Lever, Measure

AT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
OPEN = Effect("Quantization", Forecast(Measure.ITL, 33.5, 22.0, Lever.RECIPE, recipe="r1"), AT)
DONE = Effect(
    "Consolidation", Forecast(Measure.RUNNING, 1.5, 3.0, Lever.REPLICAS, 2.0), AT, AT + 60, 2.9, AT + 660
)


def test_what_is_written_is_read_again() -> None:
    body = {"effects": written((OPEN, DONE))}
    api.InferenceSLOStatus.model_validate(body)
    assert read(body) == (OPEN, DONE)
    assert body["effects"][1]["real"] == 2.9
    assert {"since", "real", "measured"}.isdisjoint(body["effects"][0])
    assert body["effects"][0]["predicted"] == 22
    assert isinstance(body["effects"][0]["predicted"], int)


def test_what_is_broken_begins_anew() -> None:
    assert read({"effects": [{"kind": "Luck"}]}) == ()
    assert read({}) == ()


def test_the_words_of_the_api_are_those_of_the_domain() -> None:
    for ours, theirs in ((Measure, words.Measure), (Lever, words.Lever)):
        assert [m.value for m in ours] == [m.value for m in theirs]
