"""Least privilege, proved: every rule of the operator is used, and nothing is asked that no rule allows."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from chart import exercise
from chart.auditing import Access, Audit, allowed, granted, options, refused, withheld
from localplane import release
from localplane.errors import PlaneError
from localplane.kube import Kube
from support.plane import eventually, temporary_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localplane.cluster import Cluster

FULL = os.environ.get("GPUPOOL_FAULTS") == "full"
SAMPLE = ("create pods/eviction", "create resourcequotas", "watch capacityrequests.gpupool.dev")
"""What is taken away in every run; under GPUPOOL_FAULTS=full it is everything, one after the other."""
SHARES = 4 if FULL else 1
"""Into how many tests that is cut, so that several planes can share it."""
PATIENCE = 60.0
"""Seconds until the operator has tried what a step did not wait for, its start on a busy machine included."""
TRIES = 2
"""Times that a rule is taken away before it counts as not missed."""


@dataclass
class Uses:
    """What the rules allow, what each step of the exercise used first, and what was refused."""

    may: set[Access]
    first: dict[str, set[Access]] = field(default_factory=dict)
    denied: set[Access] = field(default_factory=set)

    @property
    def used(self) -> set[Access]:
        """Over all steps."""
        return set().union(*self.first.values())

    def step(self, access: Access) -> str:
        """The first step that needs it."""
        return next(name for name, found in self.first.items() if access in found)


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """The log that the cluster of this module writes."""
    return Audit(tmp_path_factory.mktemp("audit") / "audit.log")


@pytest.fixture(scope="module")
def plane(audit: Audit) -> Iterator[Cluster]:
    """A cluster that writes down what the operator asks."""
    with temporary_cluster(options(audit.file.parent)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def uses(plane: Cluster, audit: Audit) -> Uses:
    """The exercise with all rules in place."""
    with plane.kube() as kube:
        release.install(plane, exercise.VALUES, quiet=True)
        found = Uses(granted(kube))
        stage = exercise.stage(plane, kube)
        try:
            for name in exercise.STEPS:
                exercise.run(stage, name)
                events = audit.news()
                found.first[name] = allowed(events) - found.used
                found.denied |= refused(events)
        finally:
            stage.end()
    return found


@pytest.mark.timeout(1200)
def test_every_rule_is_used_and_nothing_is_asked_beyond_them(uses: Uses) -> None:
    missing, unused = sorted(map(str, uses.denied)), sorted(map(str, uses.may - uses.used))
    assert not missing, f"asked for and not granted by charts/gpupool/templates/rbac.yaml: {missing}"
    assert not unused, f"granted and never used, take it out of charts/gpupool/templates/rbac.yaml: {unused}"


@pytest.mark.timeout(3600 if FULL else 1200)
@pytest.mark.parametrize("share", range(SHARES))
def test_without_any_one_rule_something_fails(
    plane: Cluster, kube: Kube, audit: Audit, uses: Uses, share: int
) -> None:
    chosen = [a for a in sorted(uses.may & uses.used) if FULL or str(a) in SAMPLE][share::SHARES]
    assert len(chosen) >= len(SAMPLE)
    unfelt = [str(access) for access in chosen if not _felt(plane, kube, audit, uses, access)]
    assert not unfelt, f"nothing was refused and nothing failed without: {unfelt}"
    print(f"rules taken away one at a time: {len(chosen)} of {len(uses.may)}, each was missed")


def _felt(plane: Cluster, kube: Kube, audit: Audit, uses: Uses, access: Access) -> bool:
    """Whether it is missed; a machine that was too busy for a step is asked once more."""
    return any(_fails_without(plane, kube, audit, uses, access) for _ in range(TRIES))


def _fails_without(plane: Cluster, kube: Kube, audit: Audit, uses: Uses, access: Access) -> bool:
    """Whether the API server refuses exactly that access in the step that needs it."""

    def missed() -> bool:
        return any(access.covers(asked) for asked in refused(audit.news()))

    release.install(plane, exercise.VALUES, quiet=True)
    stage = exercise.stage(plane, kube)
    try:
        for name in exercise.STEPS:
            if name == uses.step(access):
                break
            exercise.run(stage, name)
        stage.enough = missed
        with withheld(kube, access), suppress(AssertionError):
            with suppress(AssertionError, PlaneError):  # of the step; what it asked may be told yet
                exercise.run(stage, uses.step(access))
            eventually(missed, f"{access} is missed", PATIENCE)
            return True
    except exercise.EnoughError:
        return True
    finally:
        stage.end()
    return False
