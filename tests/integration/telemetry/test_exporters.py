"""What exporters do wrong, on a real Prometheus: the state it is called, and what people are told to do."""

import time
from collections.abc import Callable, Iterator

import pytest

from gpupool.model.reasons import DataState
from integration.telemetry.watching import ENERGY, Exporters, Watch, finds, fresh
from localplane.cluster import Cluster

SILENT = "none"
"""Use of a pod that the plane's own exporter says nothing of."""


@pytest.fixture
def exporters(plane: Cluster, watch: Watch) -> Iterator[Exporters]:
    with Exporters(plane, watch.namespace) as made:
        yield made


async def test_an_exporter_without_values_is_missing_and_not_idle(
    watch: Watch, faults: Callable[..., None]
) -> None:
    faults(watch.node, nan=True)
    watch.run("work")
    usage = await watch.until(lambda u: u.reason == "NoSeries", "nothing is seen")
    assert not usage.fresh
    await watch.until_state(DataState.MISSING)
    faults()
    await watch.until_state(DataState.OK, says=fresh)


async def test_values_that_become_none_are_partial_at_once_though_the_window_was_good(
    watch: Watch, faults: Callable[..., None]
) -> None:
    watch.run("work")
    await watch.until_state(DataState.OK)
    await watch.until_seen("work", 8)
    faults(watch.node, nan=True)
    await watch.until_state(DataState.PARTIAL, says=finds(f"No usable samples from nodes {watch.node}"))


async def test_without_the_engines_metric_utilisation_counts(
    watch: Watch, faults: Callable[..., None]
) -> None:
    faults(watch.node, missing=["DCGM_FI_PROF_GR_ENGINE_ACTIVE"])
    watch.run("work", "40")
    use = await watch.until_seen("work", 5, busy=True)
    assert use.activity == pytest.approx(40, abs=1)
    await watch.until_state(DataState.OK, says=fresh)


async def test_a_hanging_exporter_is_stale_whatever_it_says(
    watch: Watch, faults: Callable[..., None]
) -> None:
    watch.run("work", "0")
    await watch.until_seen("work", 5)
    faults(watch.node, frozen=True)
    await watch.until_state(DataState.STALE, says=finds(f"Values from nodes {watch.node} do not move at all"))
    faults()
    await watch.until_state(DataState.OK)


async def test_a_hanging_exporter_that_names_the_pod_before_is_not_believed_about_its_successor(
    watch: Watch, exporters: Exporters
) -> None:
    exporters.add("old", lambda: watch.line("web-0", 0, pod_uid="the-one-before", job_label="x"))
    watch.believe("old")
    watch.run("web-0", SILENT)
    told = finds(f"The exporter on nodes {watch.node} names pods of the past")
    await watch.until_state(DataState.PARTIAL, says=told)


async def test_two_jobs_that_agree_about_a_gpu_count_once(watch: Watch, exporters: Exporters) -> None:
    exporters.add("first", lambda: watch.line("work", 0.5))
    exporters.add("second", lambda: watch.line("work", 0.6))
    watch.believe("first", "second")
    watch.run("work", SILENT)
    use = await watch.until_seen("work", 8, busy=True)
    assert use.busy_gpus == 1
    assert use.busy_seconds <= 10
    await watch.until_state(DataState.OK, says=fresh)


async def test_two_exporters_that_disagree_are_conflicting_and_named(
    watch: Watch, exporters: Exporters
) -> None:
    exporters.add("first", lambda: watch.line("work", 0))
    exporters.add("second", lambda: watch.line("work", 1))
    watch.believe("first", "second")
    watch.run("work", SILENT)
    contradiction = f"Exporters contradict each other about {watch.namespace}/work"
    usage = await watch.until_state(DataState.CONFLICTING, says=finds(contradiction))
    told = " ".join(usage.findings)
    assert "first 127.0.0.1:" in told
    assert "second 127.0.0.1:" in told


@pytest.mark.parametrize(
    ("holder", "target"),
    [
        ("exported_", {"namespace": "gpu-operator", "pod": "dcgm-x"}),
        ("pod_", {"namespace": "gpu-operator"}),
    ],
)
async def test_labels_are_understood_however_an_install_names_them(
    watch: Watch, exporters: Exporters, holder: str, target: dict[str, str]
) -> None:
    def text() -> str:
        told = watch.line("work", 1, holder=holder)
        return told.replace("pod_pod=", "pod_name=").replace(
            "hostname=", "Hostname=" if holder else "hostname="
        )

    exporters.add("renamed", text, **target)
    watch.believe("renamed")
    watch.run("work", SILENT)
    await watch.until_seen("work", 4, busy=True)
    await watch.until_state(DataState.OK, says=fresh)


async def test_a_metric_under_a_name_that_nobody_knows_is_named_as_missing(
    watch: Watch, exporters: Exporters
) -> None:
    exporters.add("renamed", lambda: watch.line("work", 1, name="gpu_busy_ratio"))
    watch.believe("renamed")
    watch.run("work", SILENT)
    usage = await watch.until(lambda u: u.reason == "NoSeries", "the names are missing")
    assert "shows neither DCGM_FI_PROF_GR_ENGINE_ACTIVE nor DCGM_FI_DEV_GPU_UTIL" in usage.problem


async def test_an_exporter_that_was_restarted_elsewhere_goes_on_where_it_was(
    plane: Cluster, watch: Watch
) -> None:
    watch.believe("moved")
    watch.run("work", SILENT)
    with Exporters(plane, f"{watch.namespace}-a") as before:
        before.add("moved", lambda: watch.line("work", 1) + watch.line("work", 9000, name=ENERGY))
        await watch.until_seen("work", 4, busy=True)
    with Exporters(plane, f"{watch.namespace}-b") as after:
        after.add("moved", lambda: watch.line("work", 0) + watch.line("work", time.time(), name=ENERGY))
        usage = await watch.until_state(DataState.OK)
        assert not any(u.conflicting for u in usage.pods)
        await watch.until_seen("work", 5)


async def test_half_of_the_nodes_unscraped_is_partial_and_the_nodes_are_named(
    watch: Watch, faults: Callable[..., None], other_node: str
) -> None:
    watch.run("seen", "0")
    watch.node, seen = other_node, watch.node
    watch.run("unseen", "0")
    faults(other_node, silent=True)
    await watch.until_state(DataState.PARTIAL)
    told = f"No usable samples from nodes {other_node}: run the exporter there"
    await watch.until(lambda usage: usage.fresh and finds(told)(usage), "the node is named")
    assert seen not in told
    faults()
    await watch.until_state(DataState.OK)


async def test_a_pod_that_moves_between_nodes_keeps_its_hours_and_is_judged_where_it_is(
    watch: Watch, other_node: str
) -> None:
    watch.run("web-0", "100")
    await watch.until_seen("web-0", 4, busy=True)
    await watch.until_gone("web-0")
    watch.node = other_node
    watch.run("web-0", "0")
    await watch.until_state(DataState.OK)
    usage = await watch.until(
        lambda usage: any(u.alive and u.age is not None and u.age < 3 for u in usage.pods),
        "its new exporter is heard",
    )
    (use,) = (u for u in usage.pods if u.alive)
    assert not use.conflicting
