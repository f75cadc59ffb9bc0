"""What a VPA of an endpoint says, and that nobody is fought over it."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpupool.model.objects import Key, ObjectRef
from gpupool.model.resources import Bounds, LeaveVpa, Vpa, VpaNote, WriteVpa
from gpupool.model.steering import canonical
from gpupool.model.vpanote import read_note, write_note
from gpupool.policy.slo.adoption import Fight
from gpupool.policy.slo.vpa import Whose, adopt, allowed, leave, make, owners, policies, steered
from support.builders import DAY, NOW

REF = ObjectRef("apps/v1", "Deployment", "chat")
WHOSE = Whose(Key("vision", "slo"), "slo-uid", REF)
FOUND = Bounds({"cpu": "1", "memory": "2Gi"}, {"cpu": "2", "memory": "4Gi"})
THEIRS = canonical([{"containerName": "main", "mode": "Auto"}])
OURS = policies(THEIRS, "main", FOUND, limited=None)
FREE = Vpa(Key("vision", "vpa"), "uid", "7", REF, "Initial", THEIRS, writers=("argocd",))
TAKEN = replace(FREE, policies=OURS, note=VpaNote(THEIRS, OURS), writers=())


def rows(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text))


def test_without_an_owners_policy_the_others_are_left_out() -> None:
    ours, rest = rows(policies("", "main", FOUND, limited=False))
    assert ours == {
        "containerName": "main",
        "mode": "Auto",
        "controlledResources": ["cpu", "memory"],
        "controlledValues": "RequestsOnly",
        "minAllowed": FOUND.low,
        "maxAllowed": FOUND.high,
    }
    assert rest == {"containerName": "*", "mode": "Off"}
    limited = rows(policies("", "main", FOUND, limited=True))[0]
    assert limited["controlledValues"] == "RequestsAndLimits"


def test_what_its_owner_says_of_others_and_besides_stays() -> None:
    own = {"containerName": "main", "oomBumpUpRatio": 2, "controlledValues": "RequestsOnly"}
    others = [{"containerName": "proxy", "mode": "Auto"}, {"containerName": "*", "mode": "Auto"}]
    ours, *rest = rows(
        policies(canonical([*others, own]), "main", Bounds({"cpu": "1"}, {"cpu": "2"}), limited=None)
    )
    assert rest == others
    assert (ours["oomBumpUpRatio"], ours["controlledValues"]) == (2, "RequestsOnly")
    assert ours["controlledResources"] == ["cpu"]


def test_its_owners_bounds_and_resources_hold() -> None:
    own = canonical(
        [{"containerName": "main", "maxAllowed": {"cpu": "1500m"}, "controlledResources": ["cpu"]}]
    )
    assert allowed(own, "main", FOUND).high == {"cpu": "1500m", "memory": "4Gi"}
    whole = canonical([{"containerName": "main", "minAllowed": {"cpu": 2}}])
    assert allowed(whole, "main", FOUND).low["cpu"] == "2"
    assert allowed("", "main", FOUND) == FOUND
    assert steered(own, "main", ("cpu", "memory")) == ("cpu",)
    assert steered("", "main", ("memory",)) == ("memory",)
    assert steered(canonical([{"containerName": "main", "mode": "Off"}]), "main", ("cpu",)) == ()


def test_one_that_we_make_restarts_nothing() -> None:
    made = make(WHOSE, OURS)
    assert made == WriteVpa(
        WHOSE.slo, "slo-uid", WHOSE.slo, "", "", REF, "Initial", VpaNote("", OURS, made=True), force=False
    )


def test_a_first_write_takes_over_at_the_version_that_was_seen() -> None:
    found = adopt(WHOSE, FREE, OURS, NOW)
    assert isinstance(found, WriteVpa)
    assert (found.version, found.force, found.mode) == ("7", True, "Initial")
    assert found.note == VpaNote(THEIRS, OURS)


def test_what_stands_is_not_written_and_a_change_takes_nothing_over() -> None:
    assert adopt(WHOSE, TAKEN, OURS, NOW) is None
    wanted = policies(THEIRS, "main", Bounds({"cpu": "3"}, {"cpu": "4"}), limited=None)
    found = adopt(WHOSE, TAKEN, wanted, NOW)
    assert isinstance(found, WriteVpa)
    assert (found.version, found.force, found.note.written) == ("", False, wanted)
    shared = adopt(WHOSE, replace(TAKEN, writers=("helm",)), wanted, NOW)
    assert isinstance(shared, WriteVpa)
    assert (shared.version, shared.force) == ("7", True)


def test_a_rewrite_is_answered_once_a_day() -> None:
    edited = replace(TAKEN, policies=canonical([{"containerName": "main", "mode": "Off"}]))
    found = adopt(WHOSE, edited, OURS, NOW)
    assert isinstance(found, WriteVpa)
    assert found.note == VpaNote(edited.policies, OURS, (NOW,))
    noteless = adopt(WHOSE, replace(TAKEN, noted=False), OURS, NOW)
    assert isinstance(noteless, WriteVpa)
    assert noteless.note.rewrites == (NOW,)


@pytest.mark.parametrize("writers", [(), ("argocd",)])
def test_who_writes_again_wins(writers: tuple[str, ...]) -> None:
    note = VpaNote(THEIRS, OURS, (NOW - timedelta(hours=2),))
    fought = replace(TAKEN, policies=THEIRS, note=note, writers=writers)
    found = adopt(WHOSE, fought, OURS, NOW)
    assert isinstance(found, Fight)
    assert found.message.startswith(writers[0] if writers else "somebody else")
    assert "ignoreDifferences" in found.message
    assert len(found.message) <= 1024
    assert isinstance(adopt(WHOSE, fought, OURS, NOW + DAY), WriteVpa)


def test_it_is_given_back_as_it_was_or_as_somebody_wrote_it() -> None:
    note = TAKEN.note
    assert note is not None
    assert leave(TAKEN, note) == LeaveVpa(TAKEN.key, "uid", THEIRS, note)
    assert owners(replace(TAKEN, policies=""), note) == ""


def test_a_note_is_read_back_as_it_was_written() -> None:
    for note in (VpaNote(THEIRS, OURS, (NOW,)), VpaNote("", OURS, made=True)):
        assert read_note(write_note(note)) == note


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "no json",
        '{"written":3}',
        '{"written":[]}',
        '{"written":[3]}',
        '{"written":[{"containerName":3}]}',
        '{"written":[{"minAllowed":3}]}',
        '{"written":[{"controlledResources":3}]}',
        '{"written":[],"containerPolicies":{}}',
        '{"written":[],"rewrites":["2030-01-01T00:00:00"]}',
    ],
)
def test_a_note_that_somebody_broke_is_none(text: str) -> None:
    assert read_note(text) is None
