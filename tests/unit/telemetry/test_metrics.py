"""The operator's own metrics: what is there after a plan, and what is gone with its object."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gpupool.collector.prometheus.ownqueries import POD_GPUS, POD_LABELS, REQUEST_LABELS, USED_GPUS
from gpupool.model.objects import Key, Namespace, Node, Pod, Priority, Quota, Request, Timer
from gpupool.model.plan import Condition, Plan, PoolStatus, RequestStatus, ShareRow, Status, Verdict
from gpupool.model.reasons import Phase, Reason, Stage
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import Usage
from gpupool.telemetry import catalog, document
from gpupool.telemetry.catalog import CATALOG, Kind
from gpupool.telemetry.metrics import Metrics, ReflectorReading
from support.usage import a_pool, moment

NOW = moment(1_000_000)
GPU = "nvidia.com/gpu"


def a_pod(
    name: str, *, node: str | None = "n1", running: bool = True, gpus: int = 2, request: str = ""
) -> Pod:
    labels = {"gpupool.dev/request": request} if request else {}
    return Pod(Key("team", name), name, {GPU: gpus}, node, running=running, labels=labels)


def a_request(name: str = "train") -> Request:
    return Request(
        key=Key("team", name),
        uid=name,
        generation=1,
        created=NOW,
        gpus=8,
        min_gpus=8,
        team="vision",
        contact="x",
        expected_utilization=80,
        resource=GPU,
        priority=Priority.NORMAL,
    )


def a_snapshot(
    pool: str = "lab", *pods: Pod, requests: tuple[Request, ...] = (), fresh: bool = True
) -> Snapshot:
    return Snapshot(
        now=NOW,
        uninterrupted_since=NOW,
        pool=a_pool(pool),
        nodes=(Node("n1", {GPU: 8}),),
        namespaces=(Namespace("team", "vision"), Namespace("kube-system", None, system=True)),
        requests=requests,
        pods=pods,
        usage=Usage(fresh=fresh),
    )


def a_status(name: str = "train", pool: str = "lab", **fields: object) -> RequestStatus:
    status = RequestStatus(Key("team", name), 1, Phase.GRANTED, pool, GPU, Verdict(Reason.GRANTED, ""), ())
    return replace(status, **fields)  # type: ignore[arg-type]


def a_pool_status() -> PoolStatus:
    row = ShareRow("vision", True, ("team",), {GPU: 4}, {GPU: 8}, {GPU: 6}, {GPU: 1}, {GPU: 5}, {GPU: 3})
    return PoolStatus(
        generation=1,
        total={GPU: 8},
        usable={GPU: 7},
        granted={GPU: 6},
        lent={GPU: 1},
        held={GPU: 5},
        busy={GPU: 3},
        unattributed={GPU: 2},
        overcommitted={GPU: 0},
        shares=(row,),
        queue=(),
        counts={},
        conditions=(),
    )


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.render().decode()
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, tuple(sorted(labels.items()))))


def test_the_pool_and_its_shares_show_their_numbers() -> None:
    metrics = Metrics()
    metrics.publish(Plan("lab", status=a_pool_status()), a_snapshot())
    pool = {"pool": "lab", "resource": GPU}
    shown = {
        name: value(metrics, f"gpupool_pool_{name}_gpus", **pool)
        for name in ("total", "usable", "granted", "lent", "held", "busy", "unattributed")
    }
    assert shown == {
        "total": 8,
        "usable": 7,
        "granted": 6,
        "lent": 1,
        "held": 5,
        "busy": 3,
        "unattributed": 2,
    }
    assert value(metrics, "gpupool_overcommitted_gpus", **pool) == 0
    share = {**pool, "team": "vision"}
    assert value(metrics, "gpupool_share_guaranteed_gpus", **share) == 4
    assert value(metrics, "gpupool_share_limit_gpus", **share) == 8
    assert value(metrics, "gpupool_share_busy_gpus", **share) == 3


def test_conditions_and_quotas_that_are_not_in_force_are_shown_for_alerts() -> None:
    metrics = Metrics()
    standing, lowered = ({GPU: 4}, {GPU: 4}), ({GPU: 2}, {GPU: 4})
    spaces = [
        Namespace(f"n{i}", "vision", quota=Quota(*q, used={})) for i, q in enumerate((standing, lowered))
    ]
    snapshot = replace(a_snapshot(), namespaces=(*spaces, Namespace("bare", "vision")))
    status = replace(a_pool_status(), conditions=(Condition("Enforced", Status.FALSE, "Open", "x"),))
    metrics.publish(Plan("lab", status=status), snapshot)
    condition = {"pool": "lab", "type": "Enforced", "status": "False", "reason": "Open"}
    assert value(metrics, "gpupool_pool_condition", **condition) == 1
    assert value(metrics, "gpupool_pool_unconfirmed_quotas", pool="lab") == 1


def test_a_request_shows_its_numbers_and_not_what_is_unknown() -> None:
    metrics = Metrics()
    deadline = Timer(Stage.WARNED, NOW, NOW + timedelta(hours=1))
    status = a_status(
        granted=8, allowance=6, used=5, held=4, busy=None, demand=2, coverage=100, timer=deadline
    )
    metrics.publish(Plan("lab", requests=(status,)), a_snapshot(requests=(a_request(),)))
    labels = {"namespace": "team", "request": "train", "pool": "lab", "resource": GPU}
    names = ("granted", "allowance", "used", "held", "busy", "demand")
    assert [value(metrics, f"gpupool_request_{n}_gpus", **labels) for n in names] == [8, 6, 5, 4, None, 2]
    assert value(metrics, "gpupool_request_coverage_percent", **labels) == 100
    assert value(metrics, "gpupool_request_efficiency_percent", **labels) is None
    due = value(metrics, "gpupool_reclaim_deadline_timestamp_seconds", namespace="team", request="train")
    assert due == 1_003_600


def test_pods_are_booked_on_their_request_and_the_rest_is_unattributed() -> None:
    metrics = Metrics()
    pods = (
        a_pod("booked", request="train"),
        a_pod("loose", gpus=1),
        a_pod("waiting", node=None, gpus=3),
        a_pod("elsewhere", node="n9"),
        a_pod("starting", running=False),
    )
    # Two requests: nothing is booked merely for being alone in the namespace.
    snapshot = a_snapshot("lab", *pods, requests=(a_request(), a_request("other")))
    metrics.publish(Plan("lab"), snapshot)
    place = {"namespace": "team", "node": "n1", "pool": "lab", "resource": GPU}
    assert value(metrics, POD_GPUS, **place, pod="booked", request="train") == 2
    assert value(metrics, POD_GPUS, **place, pod="loose", request="") == 1
    held = [labels for name, labels in samples(metrics) if name == POD_GPUS]
    assert len(held) == 2
    used = {"pool": "lab", "resource": GPU, "request": ""}
    assert value(metrics, USED_GPUS, namespace="team", **used) == 1 + 3 + 2 + 2
    assert value(metrics, USED_GPUS, namespace="kube-system", **used) is None


def test_a_quiet_namespace_says_zero_so_that_its_history_is_known() -> None:
    metrics = Metrics()
    metrics.publish(Plan("lab"), a_snapshot())
    assert value(metrics, USED_GPUS, namespace="team", request="", pool="lab", resource=GPU) == 0


def test_series_vanish_with_their_objects() -> None:
    metrics = Metrics()
    full = a_snapshot("lab", a_pod("booked", request="train"), requests=(a_request(),))
    metrics.publish(Plan("lab", status=a_pool_status(), requests=(a_status(granted=8),)), full)
    metrics.publish(Plan("other", status=a_pool_status()), a_snapshot("other"))
    metrics.publish(Plan("lab", status=a_pool_status()), a_snapshot())
    assert not [labels for _, labels in samples(metrics) if ("request", "train") in labels]
    metrics.forget("lab")
    assert not [labels for _, labels in samples(metrics) if ("pool", "lab") in labels]
    assert value(metrics, "gpupool_pool_total_gpus", pool="other", resource=GPU) == 8


def test_requests_are_counted_by_phase_with_zeros() -> None:
    metrics = Metrics()
    statuses = (a_status("a"), a_status("b"), a_status("c", phase=Phase.QUEUED))
    metrics.publish(Plan("lab", requests=statuses), a_snapshot(fresh=False))
    counts = {p: value(metrics, "gpupool_requests", pool="lab", phase=p) for p in Phase}
    assert counts == {
        Phase.PENDING: 0,
        Phase.QUEUED: 1,
        Phase.GRANTED: 2,
        Phase.PARTIAL: 0,
        Phase.REFUSED: 0,
    }
    assert value(metrics, "gpupool_telemetry_fresh", pool="lab") == 0
    assert value(metrics, "gpupool_last_cycle_timestamp_seconds", pool="lab") == 1_000_000


def test_one_request_in_the_plans_of_two_pools_is_rendered_without_duplicates() -> None:
    metrics = Metrics()
    timer = Timer(Stage.LENT, NOW, NOW)
    for pool in ("lab", "other"):
        status = a_status(pool=pool, timer=timer)
        metrics.publish(Plan(pool, requests=(status,)), a_snapshot(pool, requests=(a_request(),)))
    lines = [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]
    names = [line.rpartition(" ")[0] for line in lines]
    assert len(names) == len(set(names))


def test_doings_are_counted() -> None:
    metrics = Metrics()
    metrics.step_took("plan", 0.3)
    metrics.cycle_ended("ok")
    metrics.wrote("ResourceQuota", "patch", "Conflict")
    metrics.recheck_refused("Moved")
    metrics.prometheus_asked("ok", 0.1)
    metrics.prometheus_asked("partial", 0.1)
    metrics.watch_reflectors(lambda: [ReflectorReading("pods", 2, 30, 1, 4, 0.5)])
    assert value(metrics, "gpupool_cycle_duration_seconds_bucket", step="plan", le="0.5") == 1
    assert value(metrics, "gpupool_cycle_duration_seconds_bucket", step="plan", le="0.25") == 0
    assert value(metrics, "gpupool_cycles_total", result="ok") == 1
    assert value(metrics, "gpupool_writes_total", kind="ResourceQuota", verb="patch", result="Conflict") == 1
    assert value(metrics, "gpupool_recheck_refusals_total", reason="Moved") == 1
    assert value(metrics, "gpupool_prometheus_queries_total") == 2
    assert value(metrics, "gpupool_prometheus_errors_total", reason="partial") == 1
    assert value(metrics, "gpupool_reflector_events_total", kind="pods") == 30
    assert value(metrics, "gpupool_reflector_age_seconds", kind="pods") == 0.5
    assert not [name for name, _ in samples(metrics) if name.endswith("_created")]


def test_what_is_read_back_is_what_is_exported() -> None:
    assert (catalog.USED.name, catalog.POD.name) == (USED_GPUS, POD_GPUS)
    renamed = {"job", "exported_namespace", "exported_pod"}
    assert set(POD_LABELS) == {*catalog.POD.labels, *renamed}
    assert set(REQUEST_LABELS) == {*catalog.USED.labels, "job", "exported_namespace"}


@pytest.mark.parametrize("metric", CATALOG, ids=lambda m: m.name)
def test_each_metric_is_named_by_convention_and_explained(metric: catalog.Metric) -> None:
    assert metric.name.startswith("gpupool_")
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.help.endswith(".")
    assert len(set(metric.labels)) == len(metric.labels)
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)


def test_the_page_of_metrics_is_current_and_a_stale_one_is_found(tmp_path: Path) -> None:
    assert document.main(["--check"]) == 0
    assert document.main(["--check", "--root", str(tmp_path)]) == 1
    assert document.main(["--root", str(tmp_path)]) == 0
    assert (tmp_path / document.PAGE).read_text() == document.page()
