"""The gate of InferenceSLOs over random pools: nobody loses anything by it, and every "no" is explained."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.diagnosis import Confidence, Help
from gpupool.model.objects import Pod, Request
from gpupool.model.plan import Plan, Status
from gpupool.model.pool import SloGate
from gpupool.model.recording import read, write
from gpupool.model.snapshot import Snapshot
from gpupool.model.standing import Kept, Limit, Standing
from gpupool.planner.planner import make_plan
from support.builders import (
    MINUTE,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    granted,
    nodes,
    pods,
)
from support.standings import a_standing, a_workload

TEAMS = ("vision", "nlp", "speech")
TOTAL = 32
GATES = {"SloMet", "ReplicasDoNotHelp", "SloUnknown"}


def a_random_standing(dice: random.Random, name: str, team: str, running: int) -> Standing:
    kept = Kept(
        "ttft", 99.0, 99.5, dice.choice((-50.0, 20.0, 80.0)), spending=dice.random() < 0.3, coverage=100.0
    )
    return a_standing(
        name,
        namespace=team,
        ready=running,
        looked=dice.choice((None, NOW - MINUTE, NOW - 60 * MINUTE)) if dice.random() < 0.3 else NOW,
        state=dice.choice(("OK", "OK", "NoTraffic", "Missing")),
        met=dice.choice(tuple(Status)),
        healthy=dice.choice(tuple(Status)),
        objectives=(kept,),
        limit=Limit("KVCacheBound", dice.choice(tuple(Confidence)), dice.choice(tuple(Help))),
        needed=dice.choice((None, 0, 2, 6)),
        workload=dice.choice((None, a_workload(name, running, namespace=team))),
    )


def a_random_scene(seed: int) -> Snapshot:
    """Three teams of a few requests, each with some pods, most of them with an endpoint."""
    dice = random.Random(seed)  # noqa: S311 - the same again
    shares = tuple(a_share(team, dice.choice((0, 4, 12)), weight=dice.randint(1, 3)) for team in TEAMS)
    requests: list[Request] = []
    running: list[Pod] = []
    walls, left = dict.fromkeys(TEAMS, 0), TOTAL
    endpoints: list[Standing] = []
    for team in TEAMS:
        for number in range(dice.randint(1, 3)):
            name = f"{team}-{number}"
            more: dict[str, Any] = {"preemptible": dice.random() < 0.6, "min_gpus": 1, "namespace": team}
            have = min(left, dice.choice((0, 2, 4)))
            ask = have + dice.choice((0, 1, 4, 12))
            if have or dice.random() < 0.5:
                asked = dice.choice((have, ask)) or None
                found = granted(name, have, of=max(1, ask), asked=asked, **more)
            else:
                found = a_request(name, max(1, ask), **more)
                have = 0
            requests.append(replace(found, min_gpus=min(dice.choice((1, found.gpus)), found.gpus)))
            use = dice.randint(0, have)
            running += pods(use, name, team, node=f"node-{dice.randint(1, 4)}")
            walls[team] += have
            left -= have
            if dice.random() < 0.8:
                endpoints.append(a_random_standing(dice, name, team, use))
    pool = a_pool(*shares, slo_gate=dice.choice((SloGate.ENFORCE, SloGate.ENFORCE, SloGate.WARN)))
    quotas = {t: a_quota(n, sum(p.key.namespace == t for p in running)) for t, n in walls.items()}
    return a_snapshot(
        pool, *requests, nodes=nodes(4), pods=tuple(running), endpoints=tuple(endpoints), quotas=quotas
    )


def committed(plan: Plan) -> int:
    return sum(r.allowance for r in plan.requests)


@pytest.mark.parametrize("seed", range(150))
def test_nobody_loses_nothing_is_oversold_and_every_no_is_explained(seed: int) -> None:
    scene = a_random_scene(seed)
    plan, free = make_plan(scene), make_plan(replace(scene, endpoints=()))
    before = {r.key: r.remembered.granted or 0 for r in scene.requests}
    asked = {r.key: r.gpus for r in scene.requests}
    assert committed(plan) <= TOTAL
    for status, other in zip(plan.requests, free.requests, strict=True):
        least = min(before[status.key], other.granted)
        assert status.granted >= least, f"{status.key} lost GPUs by the gate\n{plan}"
        if status.verdict.reason in GATES:
            assert status.granted < asked[status.key]
            assert "InferenceSLO" in status.verdict.message
            assert scene.pool.slo_gate is SloGate.ENFORCE
            assert status.verdict.arithmetic
    assert make_plan(read(write(scene))) == plan


@pytest.mark.parametrize("seed", range(60))
def test_off_and_without_urgency_it_is_as_if_there_were_no_endpoints(seed: int) -> None:
    scene = a_random_scene(seed)
    calm = tuple(replace(e, healthy=Status.UNKNOWN) for e in scene.endpoints)
    off = replace(scene, pool=replace(scene.pool, slo_gate=SloGate.OFF), endpoints=calm)
    found = {r.key: r.granted for r in make_plan(off).requests}
    assert found == {r.key: r.granted for r in make_plan(replace(scene, endpoints=())).requests}
