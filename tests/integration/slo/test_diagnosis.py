"""Every cause put into an endpoint of its own, beside healthy ones, all at once: what is named of each."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from integration.slo.cases import ANSWERS, CASES, MAY_BE_UNKNOWN
from integration.slo.street import Street, Word
from localplane import release
from localplane.cluster import Cluster
from localplane.nodes import NODES, create_nodes, node_manifest
from support.faultstory import variant
from support.plane import eventually

WINDOW = "30s"
SETTLE = 75.0
"""Seconds from the last pod's start until the window holds nothing else than what is looked for."""
WATCHED = 60.0
"""Seconds in which nothing wrong may be named, not once."""
SAYS_NOTHING = frozenset({"None", "Unknown"})
EARLY = SAYS_NOTHING | {"absent", "ColdStart", "NoTraffic"}
"""What is true of a healthy endpoint in its first seconds."""
NODE_COUNT = 2
RISING = {"crowded": 9.3, "packed": 4.7, "flooded": 20}
"""Requests a second that are too many for two replicas, of which three bear the first two."""
NOT_HELPED = ("infeasibleatbatchone", "routingskew", "deferred")
"""Endpoints whose first tokens are late whatever the replicas."""
PROMISED = 95
"""Percent of the first tokens of each of these."""
SECONDS = 30.0
"""As the window has."""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with an operator that judges a short window."""
    release.install(released_plane, {"cycleInterval": 2, "evaluationWindow": WINDOW}, quiet=True)
    return released_plane


@pytest.fixture(scope="module")
def street(plane: Cluster) -> Iterator[Street]:
    """All endpoints, in one namespace on nodes of their own."""
    names = [f"street-{os.getpid()}-{number}" for number in range(NODE_COUNT)]
    home = f"street-{os.getpid()}"
    with plane.kube() as kube:
        create_nodes(kube, [node_manifest(name, 48, labels={"street": str(os.getpid())}) for name in names])
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
        found = Street(plane, kube, home)
        found.build()
        yield found
        found.load()
        kube.delete(f"/api/v1/namespaces/{home}")
        for name in names:
            kube.delete(f"{NODES}/{name}")


@dataclass(frozen=True)
class Heard:
    """What was said while the window filled, and after; and all that was said last."""

    early: dict[str, Counter[Word]]
    then: dict[str, Counter[Word]]
    last: dict[str, Json]

    def causes(self, name: str) -> Counter[str]:
        """How often each cause was named of an endpoint."""
        return _causes(self.then[name])


@pytest.fixture(scope="module")
def heard(street: Street) -> Heard:
    """Every endpoint, watched from its start on."""
    wanted = {name for name in CASES if name != "coldstart"}
    eventually(lambda: wanted <= street.ready(2), lambda: f"start: {wanted - street.ready(2)}", 120)
    early = street.watched(SETTLE)
    found = Heard(early, street.watched(WATCHED), street.statuses())
    print(table(found))
    print("while the window filled:", {n: dict(_causes(seen)) for n, seen in early.items() if len(seen) > 1})
    return found


def test_what_is_put_in_is_named_and_nothing_else(heard: Heard) -> None:
    early = {n: _causes(seen) for n, seen in heard.early.items() if CASES[n].healthy}
    hasty = {n: dict(seen) for n, seen in early.items() if set(seen) - EARLY}
    assert not hasty, f"said of healthy endpoints while the window filled: {hasty}"
    seen = {name: heard.causes(name) for name in CASES}
    allowed = {n: {case.wanted} | (SAYS_NOTHING - {case.wanted}) for n, case in CASES.items()}
    wrong = {n: dict(causes) for n, causes in seen.items() if set(causes) - allowed[n]}
    assert not wrong, f"named what is not there: {wrong}"
    unnamed = {CASES[n].wanted for n, causes in seen.items() if _mostly(causes) != CASES[n].wanted}
    assert unnamed == MAY_BE_UNKNOWN, f"not named: {sorted(unnamed)}"
    _explained(heard.last)


@pytest.mark.parametrize("name", CASES)
def test_whether_replicas_help_is_never_answered_wrong(heard: Heard, name: str) -> None:
    wanted = CASES[name].wanted
    answers = {word.helps for word in heard.then[name] if word.cause == wanted}
    assert answers <= ANSWERS[wanted]


@pytest.fixture(scope="module")
def risen(heard: Heard, street: Street) -> Street:
    """Load rises at endpoints whose profile is learned."""
    assert all(_mostly(heard.causes(name)) == "None" for name in RISING)
    street.load(**RISING)
    return street


def test_one_replica_more_is_not_said_to_do_where_it_does_not(risen: Street) -> None:
    """Twenty requests a second are six replicas' work; two of them end no more than eight.

    Only those that end are counted: that far more come is known once they wait.
    """
    _until(risen, {"flooded": {Word("QueueBound", "Partly")}})


@variant
def test_a_replica_more_brings_what_was_said_of_it(risen: Street) -> None:
    """A third replica where that is said to help, and where it is said not to.

    Yes while few wait; Partly when so many do that one replica more would not end their queue in a window.
    """
    causes = {"crowded": "QueueBound", "packed": "KVCacheBound"}
    helped = {name: {Word(cause, "Yes"), Word(cause, "Partly")} for name, cause in causes.items()}
    useless = {name: {Word(CASES[name].wanted, "No")} for name in NOT_HELPED}
    _until(risen, helped | useless)
    before = risen.in_time(WINDOW)
    for name in helped | useless:
        risen.scale(name, 3)
    eventually(lambda: risen.ready(3) >= {*helped, *useless}, "three serve", 60)
    _until(risen, {key: {Word("None", "Unknown")} for key in helped} | useless)
    after = risen.in_time(WINDOW)
    print({name: f"{before[name]:.1f} -> {after[name]:.1f} %" for name in helped | useless})
    assert all(before[name] < PROMISED <= after[name] for name in helped)
    assert all(after[name] < PROMISED for name in useless)


def _until(street: Street, words: dict[str, set[Word]]) -> None:
    """Wait until one of these is said of each, for as long as the window is: it holds nothing older then."""
    since = time.monotonic()

    def stand() -> bool:
        nonlocal since
        now = street.words()
        since = since if all(now[name] in said for name, said in words.items()) else time.monotonic()
        return time.monotonic() - since > SECONDS

    eventually(stand, lambda: f"{words} are said: {street.words()}", 240)


def test_a_profile_survives_a_restart(plane: Cluster, street: Street) -> None:
    def samples() -> int:
        (profile, *_) = street.statuses()["plain"].get("profile") or [{}]
        return int(profile.get("requestsPerSecond", {}).get("samples", 0))

    eventually(lambda: samples() >= 1, "something is learned", 120)
    since, before = street.statuses()["plain"]["profile"][0]["since"], samples()
    plane.stop("operator", "KILL")
    plane.start("operator")
    eventually(lambda: samples() > before, "more is learned", 120)
    assert street.statuses()["plain"]["profile"][0]["since"] == since


def _causes(seen: Counter[Word]) -> Counter[str]:
    found: Counter[str] = Counter()
    for word, times in seen.items():
        found[word.cause] += times
    return found


def _mostly(seen: Counter[str]) -> str:
    return seen.most_common(1)[0][0]


def _explained(last: dict[str, Json]) -> None:
    """What is named has its evidence, and what to do; a healthy endpoint has a profile."""
    for name in CASES:
        diagnosis = last[name]["diagnosis"]
        if diagnosis["cause"] in SAYS_NOTHING:
            continue
        assert len(diagnosis["evidence"]) >= 2 or diagnosis["confidence"] == "Low", diagnosis
        assert diagnosis["remedy"], diagnosis
    (profile,) = last["plain"]["profile"]
    assert profile["requestsPerSecond"]["value"] == pytest.approx(4, rel=0.5)
    assert profile["coldStart"]["seconds"]
    assert profile["gpu"]


def table(heard: Heard) -> str:
    """Cause put in by cause named, with how often."""
    rows = ["", f"{'put in':<22} {'endpoint':<22} {'named (times)':<44} {'confidence':<10} replicas help"]
    for name, case in CASES.items():
        seen = " ".join(f"{cause}:{times}" for cause, times in heard.causes(name).most_common())
        helps = " ".join(sorted({word.helps for word in heard.then[name]}))
        sure = heard.last.get(name, {}).get("diagnosis", {}).get("confidence", "")
        rows.append(
            f"{'healthy' if case.healthy else case.wanted:<22} {name:<22} {seen:<44} {sure:<10} {helps}"
        )
    return "\n".join(rows)
