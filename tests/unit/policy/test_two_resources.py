"""Pods that ask for two governed resources: each is booked, measured, shown and kept on its own."""

from dataclasses import replace
from typing import Any

from gpupool.model.objects import Key, Namespace, Node, Pod, Quota
from gpupool.model.plan import SetQuota
from gpupool.model.pool import Pool
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import Peak
from gpupool.planner.planner import make_plan
from gpupool.policy.attribution import REQUEST_LABEL, attribute, gpus
from gpupool.policy.measure import measure
from gpupool.telemetry import catalog
from gpupool.telemetry.poolseries import pool_series
from support.builders import DAY, GPU, NOW, a_pool, a_share, a_timer, granted, pods, sampled, status_of

MIG = "nvidia.com/mig-1g.10gb"
WHOLE, SLICES = Key("vision", "whole"), Key("vision", "slices")
NOBODY = Key("vision", "")


def both(count: int = 4, **more: Any) -> tuple[Pod, ...]:
    """Pods with a GPU, a slice and a network device each."""
    return tuple(replace(p, gpus={GPU: 1, MIG: 1, "rdma/hca": 1}) for p in pods(count, "fit", **more))


def the_pool() -> Pool:
    share = replace(a_share("vision"), guaranteed={GPU: 8, MIG: 8})
    return a_pool(share, resources=(GPU, MIG))


def snapshot(found: tuple[Pod, ...], *names: str, due: bool = True) -> Snapshot:
    """Requests for four GPUs and for four slices, whose notices promised to leave one, and fall due now."""
    timer = a_timer(Stage.WARNED, NOW - NOW, target=1) if due else None
    asked = {
        "whole": granted("whole", 4, timer=timer),
        "slices": granted("slices", 4, resource=MIG, timer=timer),
    }
    timers = {} if timer is None else dict.fromkeys(names, timer) | {f"Namespace/unattributed/{MIG}": timer}
    hard = {GPU: 4, MIG: 4}
    quota = Quota(
        hard=hard,
        status_hard=hard,
        used={GPU: len(found), MIG: len(found)},
        resource_version="7",
        timers=timers,
        implicit={} if "slices" in names else {MIG: 4},
        created=NOW - 20 * DAY,
        pool="lab",
    )
    usage = sampled(found, peaks={WHOLE: 0, SLICES: 0})
    usage = replace(usage, peaks={**usage.peaks, NOBODY: Peak(0, 9e9, 9e9)})
    return Snapshot(
        now=NOW,
        uninterrupted_since=NOW - DAY,
        pool=the_pool(),
        nodes=(Node("node-1", {GPU: 8, MIG: 8}, pool_label="lab"),),
        namespaces=(Namespace("vision", "vision", "lab", quota),),
        requests=tuple(asked[n] for n in names),
        pods=found,
        usage=usage,
    )


def walls(found: Snapshot) -> dict[str, int]:
    """The walls once the plan is written."""
    quota = found.namespaces[0].quota
    assert quota is not None
    writes = [a for a in make_plan(found).actions if isinstance(a, SetQuota)]
    return dict(writes[0].hard if writes else quota.hard)


def test_slices_of_pods_that_hold_gpus_too_are_not_lent_while_they_are_used() -> None:
    found = snapshot(both(), "whole", "slices")
    assert walls(found) == {GPU: 4, MIG: 4}
    told = make_plan(found)
    assert [status_of(told, n).used for n in ("whole", "slices")] == [4, 4]
    assert [status_of(told, n).held for n in ("whole", "slices")] == [4, 4]


def test_slices_that_no_request_answers_for_are_unattributed_and_not_taken() -> None:
    found = snapshot(both(), "whole")
    books = attribute(found)
    assert (gpus(books.of(NOBODY), MIG), gpus(books.of(NOBODY), GPU)) == (4, 0)
    assert walls(found) == {GPU: 4, MIG: 4}
    told = make_plan(found).status
    assert told is not None
    assert told.unattributed == {GPU: 0, MIG: 4}


def test_a_label_names_the_request_of_one_resource_and_the_rules_go_on_for_the_other() -> None:
    found = both(labels={REQUEST_LABEL: "whole"})
    books = attribute(snapshot(found, "whole", "slices"))
    assert [[p.gpus for p in books.of(k)] for k in (WHOLE, SLICES)] == [[{GPU: 1}] * 4, [{MIG: 1}] * 4]


def test_samples_of_a_pod_are_shared_by_its_requests() -> None:
    found = snapshot(both(), "whole", "slices")
    found = replace(found, usage=sampled(tuple(replace(p, gpus={GPU: 1, MIG: 1}) for p in found.pods)))
    measures = measure(found, attribute(found))
    for key in (WHOLE, SLICES):
        of = measures.of(key)
        assert (of.busy, of.busy_seconds, of.coverage) == (4, 4 * 3600.0, 100)
    assert measures.around("vision").busy == 8


def test_each_resource_of_a_pod_is_exported_with_its_own_request() -> None:
    found = snapshot(both(1), "whole", "slices", due=False)
    series = pool_series(make_plan(found), found)[catalog.POD]
    assert {labels[-1]: labels[3] for labels in series} == {GPU: "whole", MIG: "slices"}
