"""A tenant who wants to keep idle GPUs, or a rival's: what forged series come to."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from gpupool.collector.prometheus.usage import UsageReader
from gpupool.model.objects import Key
from gpupool.model.plan import Plan
from gpupool.model.reasons import DataState
from gpupool.model.usage import Usage
from gpupool.telemetry.metrics import Metrics
from integration.telemetry.watching import Exporters, Watch, eventually, finds, used
from localplane.cluster import Cluster

HOME = {"namespace": "gpu-operator"}
TENANT = {"namespace": "tenant-of-bad-will"}
SILENT = "none"


@pytest.fixture
def exporters(plane: Cluster, watch: Watch) -> Iterator[Exporters]:
    with Exporters(plane, watch.namespace) as made:
        yield made


def believing(watch: Watch, *namespaces: str, own: tuple[str, ...] = ()) -> None:
    watch.reader = UsageReader(watch.reader._client, exporter_namespaces=namespaces, own_jobs=own)


async def test_a_tenant_who_takes_the_exporters_name_is_told_and_nothing_rests_on_either(
    watch: Watch, exporters: Exporters
) -> None:
    exporters.add("gpus", lambda: watch.line("victim", 1, holder="exported_"), **HOME)
    watch.believe("gpus")
    watch.run("victim", SILENT)
    await watch.until_seen("victim", 4, busy=True)
    exporters.add("gpus", lambda: watch.line("victim", 0, holder="exported_"), **TENANT)
    usage = await watch.until(lambda u: u.reason == "ForeignTargets", "the second namespace is told")
    assert not usage.fresh
    assert "are in namespaces gpu-operator, tenant-of-bad-will" in usage.problem
    assert "prometheus.exporterNamespaces" in usage.problem


async def test_where_the_exporters_namespace_is_named_a_tenants_is_ignored_and_shown(
    watch: Watch, exporters: Exporters
) -> None:
    exporters.add("gpus", lambda: watch.line("victim", 1, holder="exported_"), **HOME)
    exporters.add("gpus", lambda: watch.line("victim", 0, holder="exported_"), **TENANT)
    watch.believe("gpus")
    believing(watch, "gpu-operator")
    watch.run("victim", SILENT)
    use = await watch.until_seen("victim", 5, busy=True)
    assert use.busy_seconds == use.seen_seconds
    told = finds("Targets that call themselves job gpus elsewhere are ignored")
    await watch.until_state(DataState.OK, says=lambda usage: usage.fresh and told(usage))


async def test_a_tenant_who_is_the_only_one_to_speak_of_a_rival_is_not_heard(
    watch: Watch, exporters: Exporters, other_node: str
) -> None:
    exporters.add("gpus", lambda: watch.line("other", 1, hostname=other_node, holder="exported_"), **HOME)
    exporters.add("gpus", lambda: watch.line("victim", 0, holder="exported_"), **TENANT)
    watch.believe("gpus")
    believing(watch, "gpu-operator")
    watch.run("victim", SILENT)
    usage = await watch.until(lambda u: u.reason == "NoSeries", "the unscraped node is told")
    assert all(u.seen_seconds == 0 for u in usage.pods)


async def test_a_copy_of_a_series_to_the_letter_hides_nothing(watch: Watch, exporters: Exporters) -> None:
    same = {"instance": f"gpus-of-{watch.namespace}"}
    exporters.add("gpus", lambda: watch.line("elsewhere", 1))  # another node's, which nobody copies
    exporters.add("gpus", lambda: watch.line("victim", 1), **same)
    watch.believe("gpus")
    watch.run("victim", SILENT)
    await watch.until_seen("victim", 5, busy=True)
    exporters.add("gpus", lambda: watch.line("victim", 0), **same)
    told = finds(f"Two exporters write the same series of {watch.namespace}/victim")
    await watch.until_state(DataState.CONFLICTING, says=told)


async def test_gpus_that_a_pod_does_not_have_make_it_conflicting_and_no_busier(
    watch: Watch, exporters: Exporters
) -> None:
    def text() -> str:
        honest = watch.line("hoarder", 0)
        return honest + "".join(
            watch.line("hoarder", 1, UUID=f"GPU-made-up-{n}", gpu=str(n)) for n in range(7)
        )

    exporters.add("gpus", text)
    watch.believe("gpus")
    watch.run("hoarder", SILENT)
    usage = await watch.until_state(DataState.CONFLICTING, says=lambda usage: len(usage.pods) == 1)
    (use,) = usage.pods
    assert use.busy_seconds <= 10 + 2 * 3


async def test_our_own_series_are_read_from_our_own_job_alone(watch: Watch, exporters: Exporters) -> None:
    metrics = Metrics()
    own = f"gpupool-{watch.namespace}"
    forged = (
        f'gpupool_request_used_gpus{{namespace="{watch.namespace}",request="",pool="{watch.pool.name}",'
        'resource="nvidia.com/gpu"} 64\n'
    )
    exporters.add(own, lambda: metrics.render().decode())
    exporters.add("tenants-job", lambda: forged)
    believing(watch, own=(own,))
    watch.run("work")

    def publish() -> bool:
        metrics.publish(Plan(watch.pool.name), watch.snapshot(usage))
        return True

    usage = await watch.usage()
    key = Key(watch.namespace, "")
    usage = await watch.until(lambda u: publish() and key in u.peaks, "the peak is recorded")
    assert usage.peaks[key].used == 1
    query = f'gpupool_request_used_gpus{{namespace="{watch.namespace}"}} == 64'

    async def forgery() -> bool:
        return bool(await watch.reader._client.query(query))

    await eventually(forgery, lambda: "Prometheus holds the forgery")


async def test_a_second_operator_in_a_tenants_namespace_is_told(watch: Watch, exporters: Exporters) -> None:
    own = f"gpupool-{watch.namespace}"
    exporters.add(own, lambda: "gpupool_leader 1\n", namespace="gpupool-system")
    exporters.add(own, lambda: "gpupool_leader 1\n", **TENANT)
    believing(watch, own=(own,))
    usage = await watch.until(lambda u: u.reason == "ForeignTargets", "the impostor is told")
    assert "the operator's own, are in namespaces gpupool-system, tenant-of-bad-will" in usage.problem


async def test_rolling_pods_buys_no_immunity(watch: Watch, exporters: Exporters) -> None:
    metrics = Metrics()
    own = f"gpupool-{watch.namespace}"
    exporters.add(own, lambda: metrics.render().decode())
    believing(watch, own=(own,))
    minute = timedelta(minutes=1)  # in which the dead are remembered, however slowly they come and go
    watch.pool = replace(watch.pool, reclaim=replace(watch.pool.reclaim, window=minute, lookback=2 * minute))

    def publish(usage: Usage) -> None:
        metrics.publish(Plan(watch.pool.name), watch.snapshot(usage))

    def seen(pod: str, usage: Usage) -> bool:
        publish(usage)
        own = used(usage, Key(watch.namespace, pod))
        return own is not None and own.seen_seconds >= 3

    def counted(usage: Usage) -> bool:
        publish(usage)
        dead = [u for u in usage.pods if not u.alive]
        return len(dead) > 1 and sum(u.held_seconds for u in dead) > 0

    for turn in range(4):
        watch.run(f"short-{turn}", "0")
        await watch.until(partial(seen, f"short-{turn}"), f"short-{turn} is seen")
        await watch.until_gone(f"short-{turn}")
    usage = await watch.until_state(DataState.OK, says=counted)  # the dead pods' hours count
    assert sum(u.busy_seconds for u in usage.pods) == 0
    assert sum(u.seen_seconds for u in usage.pods) > 3
