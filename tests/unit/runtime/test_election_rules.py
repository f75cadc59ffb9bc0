"""The rules of the election: who may take the Lease and when, until when one leads, and under which epoch."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.runtime.election.rules import LONGEST, Election, Record, Term, Timing, read, same_pod

TIMING = Timing(duration=10.0, give_up=6.0, renew=2.0, retry=1.0)
OTHER = Record("b_1", transitions=4, duration=10.0, renewed="12:00:00")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def an_election(record: Record | None = None, *, at: float = 0.0, identity: str = "a_1") -> Election:
    election = Election(identity, TIMING)
    election.seen(record, at)
    return election


# ------------------------------------------------------------------ before


def test_a_lease_of_somebody_else_is_free_only_after_its_duration_without_a_change() -> None:
    election = an_election(OTHER)
    assert not election.may_take(10.0, 0)
    assert election.may_take(10.1, 0)
    election.seen(replace(OTHER, renewed="12:00:02"), 9.0)
    assert not election.may_take(19.0, 0)
    assert election.may_take(19.1, 0)


def test_an_edit_of_anything_but_the_term_is_no_sign_of_life() -> None:
    election = an_election(replace(OTHER, version="7"))
    election.seen(replace(OTHER, version="8"), 9.0)
    assert election.may_take(10.1, 0)


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_a_lease_without_a_duration_is_waited_for_all_the_same(seconds: float) -> None:
    election = an_election(replace(OTHER, duration=seconds))
    assert not election.may_take(1.0, 0)
    assert election.may_take(1.1, 0)


def test_nobody_waits_for_ever_for_what_somebody_wrote_into_a_lease() -> None:
    election = an_election(replace(OTHER, duration=1e9))
    assert not election.may_take(LONGEST, 0)
    assert election.may_take(LONGEST + 1, 0)


@pytest.mark.parametrize("holder", ["", "a_1", "a_0"])
def test_a_lease_that_was_given_back_or_is_our_pods_is_free_at_once(holder: str) -> None:
    assert an_election(replace(OTHER, holder=holder)).may_take(0.0, 5)


def test_the_first_leader_of_a_cluster_waits_for_nobody() -> None:
    assert an_election(None).may_take(0.0, 0)


def test_a_lease_that_was_deleted_may_still_be_trusted_by_its_leader() -> None:
    marked, remembered = an_election(None), an_election(OTHER, at=-100.0)
    remembered.seen(None, 0.0)
    for election, floor in ((marked, 5), (remembered, 0)):
        assert not election.may_take(10.0, floor)
        assert election.may_take(10.1, floor)


def test_what_was_never_looked_at_is_not_taken() -> None:
    assert not Election("a_1", TIMING).may_take(100.0, 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("pod-1_x", "pod-1_y", True),
        ("pod-1_x", "pod-2_x", False),
        ("my_pod_x", "my_pod_y", True),
        ("_x", "_y", False),
        ("x", "y", False),
    ],
)
def test_processes_without_a_pod_are_never_taken_for_each_other(one: str, other: str, *, same: bool) -> None:
    assert same_pod(one, other) is same


# ------------------------------------------------------------------ epochs


def test_another_leader_is_another_epoch_and_the_same_one_is_not() -> None:
    assert an_election(OTHER).claim(0) == 5
    assert an_election(replace(OTHER, holder="")).claim(0) == 5
    assert an_election(replace(OTHER, holder="a_0")).claim(0) == 5
    assert an_election(replace(OTHER, holder="a_1")).claim(0) == 4, "our own write, whose answer was lost"


def test_an_epoch_never_falls_below_what_stands_in_the_cluster() -> None:
    assert an_election(None).claim(0) == 0
    assert an_election(None).claim(7) == 7
    assert an_election(OTHER).claim(70) == 70
    deleted = an_election(OTHER)
    deleted.seen(None, 1.0)
    assert deleted.claim(0) == 5


# ------------------------------------------------------------------ while


def test_a_leader_leads_from_when_it_asked_until_it_gives_up() -> None:
    election = an_election(None)
    assert (election.epoch, election.leads(0.0)) == (0, False)
    election.confirmed(Record("a_1", 4, 10.0), sent=1.0)
    assert election.epoch == 5
    assert election.leads(6.9)
    assert not election.leads(7.0)
    election.confirmed(Record("a_1", 4, 10.0, renewed="later"), sent=5.0)
    assert election.leads(10.9)
    election.end()
    assert not election.leads(5.0)
    assert election.epoch == 5


def test_a_late_answer_to_an_old_renewal_prolongs_nothing() -> None:
    election = an_election(None)
    election.confirmed(Record("a_1", 0, 10.0), sent=0.0)
    election.confirmed(Record("a_1", 0, 10.0, renewed="x"), sent=2.0)
    assert not election.leads(30.0), "frozen for half a minute while the answer lay in the socket"


# ------------------------------------------------------------------ how it is written


def test_a_lease_is_written_as_everybody_writes_leases() -> None:
    term = Term("a_1", transitions=4, seconds=10.0)
    body = term.body("gpupool", "system", NOON, version="7")
    assert body["metadata"]["resourceVersion"] == "7"
    assert body["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "gpupool"
    assert body["spec"] == {
        "holderIdentity": "a_1",
        "leaseDurationSeconds": 10,
        "acquireTime": "2026-11-21T12:00:00.000000Z",
        "renewTime": "2026-11-21T12:00:00.000000Z",
        "leaseTransitions": 4,
    }
    again = Term("a_1", 4, 10.0, acquired="then").body("gpupool", "system", NOON)
    assert (again["spec"]["acquireTime"], "resourceVersion" in again["metadata"]) == ("then", False)
    assert Term("", 4, 0.0).body("gpupool", "system", NOON)["spec"]["leaseDurationSeconds"] == 1


def test_what_is_read_is_what_was_written_and_what_is_missing_counts_as_nothing() -> None:
    body = Term("a_1", transitions=4, seconds=10.0).body("gpupool", "system", NOON, version="7")
    found = read(body)
    assert (found.holder, found.transitions, found.duration, found.version) == ("a_1", 4, 10.0, "7")
    assert found.epoch == 5
    empty = read({"metadata": {"resourceVersion": "9"}, "spec": {"leaseTransitions": -3}})
    assert empty == Record("", 0, 0.0)


# ------------------------------------------------------------------ never two


@dataclass
class Lease:
    """A server's Lease, the highest epoch that quotas carry, and the moment of the game."""

    record: Record | None = None
    floor: int = 0
    version: int = 0
    now: float = 0.0


@dataclass
class Player:
    """A candidate whose clock began somewhere and runs a little fast or slow."""

    election: Election
    offset: float
    pace: float

    def clock(self, lease: Lease) -> float:
        return self.offset + self.pace * lease.now

    def look(self, lease: Lease) -> None:
        self.election.seen(lease.record, self.clock(lease))

    def write(self, lease: Lease, late: float) -> None:
        """Take or renew; the answer comes late, and the server refuses who has not seen the last change."""
        sent = self.clock(lease)
        leads = self.election.leads(sent)
        if not leads and not self.election.may_take(sent, lease.floor):
            return
        seen = self.election.record.version if self.election.record else ""
        if seen != (lease.record.version if lease.record else ""):
            return
        lease.now += late
        lease.version += 1
        number = self.election.epoch - 1 if leads else self.election.claim(lease.floor)
        name = self.election.identity
        lease.record = Record(name, number, TIMING.duration, "", f"{lease.version}", f"{lease.version}")
        self.election.confirmed(lease.record, sent)
        lease.floor = max(lease.floor, lease.record.epoch)


steps = st.tuples(
    st.integers(0, 2), st.sampled_from(("look", "write", "delete", "rest")), st.floats(0.0, 12.0)
)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.95, 1.05)), min_size=3, max_size=3),
    st.lists(steps, max_size=60),
)
def test_no_history_has_two_leaders_and_every_new_one_has_a_higher_epoch(
    clocks: list[tuple[float, float]], history: list[tuple[int, str, float]]
) -> None:
    lease = Lease()
    players = [Player(Election(f"pod{i}_x", TIMING), *clock) for i, clock in enumerate(clocks)]
    epochs: dict[int, str] = {}
    for index, doing, seconds in history:
        player = players[index]
        match doing:
            case "look":
                player.look(lease)
            case "write":
                player.write(lease, late=seconds / 4)
            case "delete":
                # Design 0015 names what is left: a Lease that goes before a standby has ever seen it.
                if all(p.election.record == lease.record for p in players):
                    lease.record = None
            case _:
                lease.now += seconds
        leading = [p for p in players if p.election.leads(p.clock(lease))]
        assert len(leading) <= 1
        for one in leading:
            name = epochs.setdefault(one.election.epoch, one.election.identity)
            assert name == one.election.identity
            assert one.election.epoch == max(epochs)
