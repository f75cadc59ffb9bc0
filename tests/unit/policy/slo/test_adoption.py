"""An HPA is taken over once, given back as it was, and not fought about."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.model.hpanote import HIGH, LOW
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.scalerwrites import Adopt
from gpupool.model.steering import Limits, Originals, Scaler, ScalerKind
from gpupool.policy.slo.adoption import Fight, adopt, give_back, merged
from support.builders import DAY, NOW

SLO = Key("chat-prod", "slo")
THEIRS, OURS = Limits(1, 9), Limits(2, 4, "{}")
FREE = Scaler(
    Key("chat-prod", "chat"),
    "uid",
    "7",
    ObjectRef("apps/v1", "Deployment", "chat"),
    THEIRS,
    writers=("argocd",),
)
TAKEN = replace(FREE, limits=OURS, originals=Originals(THEIRS, OURS), writers=())


def test_a_first_write_takes_the_fields_over_and_notes_what_was_there() -> None:
    found = adopt(SLO, FREE, OURS, NOW)
    assert found == Adopt(SLO, FREE.key, "uid", "7", Originals(THEIRS, OURS), force=True)
    assert isinstance(found, Adopt)
    assert found.limits == OURS


def test_what_stands_as_it_should_is_not_written() -> None:
    assert adopt(SLO, TAKEN, OURS, NOW) is None


def test_a_change_of_ours_takes_nothing_over() -> None:
    wanted = Limits(2, 5)
    assert adopt(SLO, TAKEN, wanted, NOW) == Adopt(
        SLO, FREE.key, "uid", "", Originals(THEIRS, wanted), force=False
    )
    shared = replace(TAKEN, writers=("helm",))
    found = adopt(SLO, shared, wanted, NOW)
    assert isinstance(found, Adopt)
    assert (found.force, found.version) == (True, "7"), "who owns the same value would make it a conflict"


def test_the_first_rewrite_becomes_its_owners_value_and_is_answered_once() -> None:
    edited = replace(TAKEN, limits=replace(OURS, high=8), writers=("kubectl",))
    found = adopt(SLO, edited, OURS, NOW)
    note = Originals(Limits(1, 8), OURS, (NOW,))
    assert found == Adopt(SLO, FREE.key, "uid", "7", note, force=True)


@pytest.mark.parametrize("writers", [(), ("argocd-controller",)])
def test_the_second_rewrite_ends_it_with_what_to_write_where(writers: tuple[str, ...]) -> None:
    note = Originals(THEIRS, OURS, (NOW - timedelta(hours=23),))
    found = adopt(SLO, replace(TAKEN, limits=THEIRS, originals=note, writers=writers), OURS, NOW)
    assert isinstance(found, Fight)
    for text in (
        "ignoreDifferences",
        "RespectIgnoreDifferences",
        "kustomize.toolkit.fluxcd.io/ssa",
        "Advise",
    ):
        assert text in found.message
    assert found.message.startswith(writers[0] if writers else "somebody else")
    assert len(found.message) <= 1024


def test_a_day_later_it_is_tried_again() -> None:
    note = Originals(THEIRS, OURS, (NOW - DAY,))
    found = adopt(SLO, replace(TAKEN, limits=THEIRS, originals=note), OURS, NOW)
    assert isinstance(found, Adopt)
    assert found.note.rewrites == (NOW,)


def test_a_note_that_was_taken_off_is_a_rewrite() -> None:
    found = adopt(SLO, replace(TAKEN, noted=False), OURS, NOW)
    assert isinstance(found, Adopt)
    assert found.note == Originals(THEIRS, OURS, (NOW,))


@pytest.mark.parametrize(
    ("stands", "found"),
    [
        (OURS, THEIRS),
        (Limits(3, 4, "{}"), Limits(3, 9)),
        (Limits(2, 6, "{}"), Limits(1, 6)),
        (Limits(2, 4), Limits(1, 9)),
        (Limits(2, 4, "new"), Limits(1, 9, "new")),
    ],
)
def test_its_owner_gets_back_what_was_there_or_what_was_written_since(stands: Limits, found: Limits) -> None:
    note = Originals(THEIRS, OURS)
    assert merged(stands, note) == found
    given = give_back(replace(TAKEN, limits=stands), note)
    assert (given.scaler, given.uid, given.limits, given.note) == (FREE.key, "uid", found, note)


def test_what_was_not_said_is_left_out_again_and_what_was_taken_out_is_a_rewrite() -> None:
    said = frozenset({LOW, HIGH})
    keda = replace(FREE, kind=ScalerKind.SCALED_OBJECT, limits=Limits(0, 100, unsaid=said))
    found = adopt(SLO, keda, OURS, NOW)
    assert isinstance(found, Adopt)
    assert (found.kind, found.note.theirs.unsaid) == (ScalerKind.SCALED_OBJECT, said)
    taken = replace(keda, limits=OURS, originals=found.note)
    assert give_back(taken, found.note).limits == keda.limits
    edited = replace(taken, limits=Limits(0, 8, OURS.behavior, unsaid=frozenset({LOW})))
    assert merged(edited.limits, found.note) == Limits(0, 8, "", unsaid=frozenset({LOW}))
    assert isinstance(adopt(SLO, edited, OURS, NOW), Adopt)


def test_a_fight_over_a_scaled_object_names_its_fields() -> None:
    note = Originals(THEIRS, OURS, (NOW,))
    keda = replace(TAKEN, kind=ScalerKind.SCALED_OBJECT, limits=THEIRS, originals=note, writers=("argocd",))
    found = adopt(SLO, keda, OURS, NOW)
    assert isinstance(found, Fight)
    for text in (
        "argocd rewrote ScaledObject chat twice",
        "group: keda.sh, kind: ScaledObject",
        "/spec/minReplicaCount, /spec/maxReplicaCount",
        "/spec/advanced/horizontalPodAutoscalerConfig/behavior",
    ):
        assert text in found.message
    assert len(found.message) <= 1024
