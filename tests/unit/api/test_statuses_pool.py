"""The status of a GpuPool: the table, the queue, the policy that holds."""

from dataclasses import replace
from typing import Any

from gpupool.api import statuses
from gpupool.api.v1alpha1 import GpuPoolStatus
from gpupool.model.objects import Key
from gpupool.model.plan import Condition, PoolStatus, QueueRow, ShareRow, Status
from gpupool.model.pool import Mode, Pool, Recall
from gpupool.model.reasons import Reason
from support.builders import GPU, HOUR, MINUTE, NOW, a_pool, a_share

MIG = "nvidia.com/mig-1g.10gb"
ROW = ShareRow(
    team="vision",
    declared=True,
    namespaces=("vision-lab",),
    guaranteed={GPU: 32},
    limit={GPU: 64},
    granted={GPU: 40},
    lent={GPU: 8},
    held={GPU: 20},
    busy={GPU: 12},
)
WAITING = QueueRow(Key("nlp", "bert"), "nlp", GPU, 16, 1, Reason.WAITING_FOR_CAPACITY, NOW - HOUR)
STATUS = PoolStatus(
    generation=3,
    total={GPU: 64},
    usable={GPU: 56},
    granted={GPU: 40},
    lent={GPU: 8},
    held={GPU: 20},
    busy={GPU: 12},
    unattributed={GPU: 2},
    overcommitted={GPU: 0},
    shares=(ROW,),
    queue=(WAITING,),
    counts={"requests": 2, "pending": 0, "queued": 1, "granted": 1, "partial": 0, "refused": 0},
    conditions=(Condition("Ready", Status.TRUE, "Ready", "8 nodes."),),
    waiting={GPU: 16},
)
LAB = a_pool(a_share("vision", 32))


def written(status: PoolStatus, pool: Pool = LAB, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body, which must be what the schema of the API takes; empty maps would be stored as null."""
    body = statuses.pool_status(pool, status, before or {}, NOW)
    GpuPoolStatus.model_validate(body)
    _no_holes(body)
    return body


def _no_holes(value: Any) -> None:
    assert value is not None
    if isinstance(value, dict):
        for inner in value.values():
            assert inner not in ({}, [])
            _no_holes(inner)
    if isinstance(value, list):
        for inner in value:
            _no_holes(inner)


def test_every_number_travels() -> None:
    body = written(STATUS)
    assert body["capacity"] == {"total": {GPU: 64}, "usable": {GPU: 56}}
    assert body["summary"] == {"usable": 56, "granted": 40, "lent": 8, "held": 20, "busy": 12, "queued": 16}
    assert body["shares"] == [
        {
            "team": "vision",
            "declared": True,
            "namespaces": ["vision-lab"],
            "guaranteed": {GPU: 32},
            "limit": {GPU: 64},
            "granted": {GPU: 40},
            "lent": {GPU: 8},
            "held": {GPU: 20},
            "busy": {GPU: 12},
        }
    ]
    assert body["queue"][0] == {
        "namespace": "nlp",
        "name": "bert",
        "team": "nlp",
        "resource": GPU,
        "gpus": 16,
        "position": 1,
        "reason": "WaitingForCapacity",
        "since": "2030-01-07T11:00:00Z",
    }
    assert (body["unattributed"], body["overcommitted"], body["counts"]["queued"]) == ({GPU: 2}, {GPU: 0}, 1)


def test_the_summary_speaks_of_the_first_resource_alone() -> None:
    pool = a_pool(resources=(MIG, GPU))
    other = replace(WAITING, resource=MIG, gpus=3, key=Key("nlp", "small"), position=2)
    status = replace(STATUS, queue=(WAITING, other), usable={GPU: 56, MIG: 7}, waiting={GPU: 16, MIG: 3})
    found = written(status, pool)["summary"]
    assert (found["usable"], found["queued"], found["held"]) == (7, 3, 0)


def test_a_pool_of_nothing_has_a_status_too() -> None:
    maps = ("total", "usable", "granted", "lent", "held", "busy", "unattributed", "overcommitted", "counts")
    empty = replace(STATUS, shares=(), queue=(), conditions=())
    for name in maps:
        empty = replace(empty, **{name: {}})  # type: ignore[arg-type] # each of them is a map
    body = written(empty, a_pool())
    assert body["summary"]["usable"] == 0
    assert {"capacity", "shares", "queue", "granted", "conditions"} & set(body) == set()


def test_counts_below_zero_and_beyond_the_schema_are_cut() -> None:
    many = tuple(replace(WAITING, key=Key("nlp", f"r{i}"), gpus=100_000, position=i + 1) for i in range(25))
    beyond = replace(STATUS, usable={GPU: -4}, granted={GPU: 10**6}, waiting={GPU: 25 * 100_000}, queue=many)
    body = written(beyond)
    assert body["capacity"]["usable"] == {GPU: 0}
    assert (body["summary"]["usable"], body["summary"]["granted"]) == (0, 100_000)
    assert (len(body["queue"]), body["summary"]["queued"]) == (20, 100_000)


def test_long_tables_end() -> None:
    namespaces = tuple(f"ns-{i}" for i in range(70))
    rows = tuple(replace(ROW, team=f"team-{i}", namespaces=namespaces) for i in range(400))
    body = written(replace(STATUS, shares=rows))
    assert (len(body["shares"]), len(body["shares"][0]["namespaces"])) == (300, 50)


def test_a_stranger_called_like_a_team_has_a_row_of_its_own_name() -> None:
    stranger = replace(ROW, declared=False, namespaces=("vision",), guaranteed={}, limit={})
    longest = replace(stranger, team="v" * 63)
    rows = (ROW, replace(ROW, team="v" * 63), stranger, longest, replace(stranger, team="other"))
    body = written(replace(STATUS, shares=rows))
    names = [(r["team"], r["declared"]) for r in body["shares"]]
    assert names == [
        ("vision", True),
        ("v" * 63, True),
        ("namespace vision", False),
        (f"namespace {'v' * 53}", False),
        ("other", False),
    ]


def test_conditions_keep_their_times_and_those_not_wanted_are_gone() -> None:
    old = "2029-01-01T00:00:00Z"
    before = {
        "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": old},
            {"type": "Conflict", "status": "True", "lastTransitionTime": old},
        ]
    }
    (found,) = written(STATUS, before=before)["conditions"]
    assert (found["type"], found["lastTransitionTime"], found["observedGeneration"]) == ("Ready", old, 3)


def test_the_effective_policy_is_whole_in_every_mode() -> None:
    pool = replace(
        a_pool(mode=Mode.RECOMMEND, reclaim={"mode": Mode.OBSERVE, "window": 90 * MINUTE}),
        quota_mode=Mode.ENFORCE,
        recall=Recall(within=20 * MINUTE, notice=0 * MINUTE),
        taint=False,
    )
    found = statuses.effective_policy(pool)
    assert (found["mode"], found["quota"], found["purpose"]) == (
        "Recommend",
        {"mode": "Enforce"},
        "Experimentation",
    )
    assert found["isolation"] == {
        "mode": "Recommend",
        "taint": False,
        "cpuPods": "Deny",
        "schedulerNames": ["default-scheduler"],
    }
    assert (found["reclaim"]["mode"], found["reclaim"]["window"]) == ("Observe", "1h30m")
    assert found["recall"] == {"within": "20m", "notice": "0s"}
    assert found["telemetry"] == {"jobs": ["dcgm-exporter"]}
    assert set(found["reclaim"]) == {
        "mode",
        "window",
        "lookback",
        "threshold",
        "headroom",
        "coverage",
        "grace",
        "releaseAfter",
        "startupGrace",
    }
