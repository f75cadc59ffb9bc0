"""A GpuPool as decisions read it: every default, every override."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from gpupool.api import convert
from gpupool.api.purposes import DEFAULTS
from gpupool.model.pool import Mode, Pool, Purpose, Visibility
from gpupool.model.selector import Expression, Operator, Selector
from support.manifests import example, good

GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def a_pool(**spec: Any) -> Pool:
    """A pool of six lines, with more in its spec."""
    manifest = {
        "apiVersion": "gpupool.dev/v1alpha1",
        "kind": "GpuPool",
        "metadata": {"name": "lab"},
        "spec": {"nodes": {"names": ["gpu-1"]}} | spec,
    }
    return convert.pool(manifest)


def recall(spec: dict[str, str], *, window: str | None = None, purpose: str = "Experimentation") -> list[int]:
    """Minutes of `within` and `notice`."""
    reclaim = {} if window is None else {"window": window}
    found = a_pool(purpose=purpose, reclaim=reclaim, recall=spec).recall
    return [found.within // MINUTE, found.notice // MINUTE]


def test_six_lines_are_a_whole_pool_that_only_looks() -> None:
    pool = convert.pool(example("minimal-pool"))
    assert (pool.name, pool.mode, pool.purpose) == ("research", Mode.OBSERVE, Purpose.EXPERIMENTATION)
    assert (pool.quota_mode, pool.isolation_mode, pool.reclaim.mode) == (Mode.OBSERVE,) * 3
    assert pool.overridden == frozenset()
    assert pool.node_selector == Selector((("example.com/gpu-group", "research"),))
    assert (pool.node_names, dict(pool.declared), pool.shares) == ((), {}, ())
    assert pool.resources == (GPU,)
    assert dict(pool.reserve) == {GPU: 0}
    assert pool.taint
    assert pool.visibility is Visibility.TEAMS
    assert pool.jobs == ("dcgm-exporter",)


@pytest.mark.parametrize(
    ("purpose", "values", "percents"),
    [
        ("Production", [HOUR, 7 * DAY, 3 * DAY, 30 * DAY, HOUR], [100, 20, 95]),
        ("Experimentation", [HOUR, DAY, DAY, 7 * DAY, 30 * MINUTE], [100, 10, 90]),
        ("Batch", [HOUR, DAY, 4 * HOUR, 7 * DAY, HOUR], [100, 0, 90]),
    ],
)
def test_a_purpose_is_a_set_of_defaults_for_reclaim(
    purpose: str, values: list[timedelta], percents: list[int]
) -> None:
    found = a_pool(purpose=purpose).reclaim
    times = [found.window, found.lookback, found.grace, found.release_after, found.startup_grace]
    assert times == values
    assert [found.threshold, found.headroom, found.coverage] == percents


def test_every_purpose_has_its_defaults_and_they_keep_the_rules_of_the_schema() -> None:
    assert set(DEFAULTS) == set(Purpose)
    for found in DEFAULTS.values():
        assert found.lookback >= found.window
        assert found.within >= found.notice + 5 * MINUTE


def test_what_is_written_wins_over_the_purpose_zero_included() -> None:
    found = a_pool(
        purpose="Production",
        reclaim={
            "window": "5s",
            "lookback": "10s",
            "threshold": 1,
            "headroom": 0,
            "coverage": 50,
            "grace": "5s",
            "releaseAfter": "1m",
            "startupGrace": "0s",
        },
    ).reclaim
    assert (found.window, found.lookback) == (timedelta(seconds=5), timedelta(seconds=10))
    assert (found.threshold, found.headroom, found.coverage) == (1, 0, 50)
    assert (found.grace, found.release_after) == (timedelta(seconds=5), MINUTE)
    assert found.startup_grace == timedelta()


def test_a_window_longer_than_the_purposes_lookback_takes_the_lookback_with_it() -> None:
    found = a_pool(reclaim={"window": "2d"}).reclaim
    assert (found.window, found.lookback) == (2 * DAY, 2 * DAY)


@pytest.mark.parametrize(
    ("spec", "window", "minutes"),
    [
        ({}, None, [15, 5]),
        ({}, "1m", [15, 5]),
        ({"within": "30m", "notice": "10m"}, None, [30, 10]),
        ({"within": "6m", "notice": "5m"}, None, [6, 5]),
        ({"within": "5m", "notice": "5m"}, "1m", [5, 5]),
        ({"within": "1h"}, None, [60, 5]),
        ({"within": "8m"}, None, [8, 3]),
        ({"within": "3m"}, None, [3, 0]),
        ({"within": "8m"}, "1m", [8, 5]),
        ({"within": "3m"}, "1m", [3, 3]),
        ({"notice": "1m"}, None, [15, 1]),
        ({"notice": "12m"}, None, [17, 12]),
        ({"notice": "20m"}, "1m", [20, 20]),
        ({"notice": "0s"}, None, [15, 0]),
    ],
)
def test_recall_within_and_notice_fit_each_other_whichever_is_written(
    spec: dict[str, str], window: str | None, minutes: list[int]
) -> None:
    assert recall(spec, window=window) == minutes


def test_a_batch_pool_recalls_faster() -> None:
    assert recall({}, purpose="Batch") == [10, 2]
    assert recall({"within": "6m"}, purpose="Batch") == [6, 1]
    assert recall({"notice": "9m"}, purpose="Batch") == [14, 9]


def test_a_layer_without_a_mode_has_the_pools_and_one_with_a_mode_is_named() -> None:
    pool = a_pool(
        mode="Enforce", isolation={"mode": "Recommend", "taint": False}, reclaim={"mode": "Observe"}
    )
    assert (pool.quota_mode, pool.isolation_mode) == (Mode.ENFORCE, Mode.RECOMMEND)
    assert pool.reclaim.mode is Mode.OBSERVE
    assert pool.overridden == {"isolation", "reclaim"}
    assert not pool.taint
    same = a_pool(mode="Enforce", quota={"mode": "Enforce"})
    assert same.overridden == {"quota"}, "a mode that equals the pool's still is the layer's own"


def test_a_share_speaks_of_the_first_resource_and_names_the_others() -> None:
    share = {
        "team": "vision",
        "namespaces": ["vision-lab"],
        "guaranteed": 8,
        "limit": 16,
        "perResource": {MIG: {"guaranteed": 2}},
        "mode": "Recommend",
        "weight": 3,
    }
    (found,) = a_pool(resources=[GPU, MIG], shares=[share], reserve=4).shares
    assert dict(found.guaranteed) == {GPU: 8, MIG: 2}
    assert dict(found.limit) == {GPU: 16}, "an absent limit is all that is usable"
    assert (found.weight, found.mode, found.namespaces) == (3, Mode.RECOMMEND, ("vision-lab",))


def test_a_share_with_less_said_is_guaranteed_nothing_and_follows_the_pool() -> None:
    (found,) = a_pool(shares=[{"team": "nlp", "namespaceSelector": {"matchLabels": {"team": "nlp"}}}]).shares
    assert dict(found.guaranteed) == {GPU: 0}
    assert (dict(found.limit), found.weight, found.mode, found.namespaces) == ({}, 1, None, ())
    assert found.selector is not None
    assert found.selector.matches({"team": "nlp"})
    assert not found.selector.matches({})


def test_a_selector_keeps_every_requirement() -> None:
    expressions = [
        {"key": "model", "operator": "NotIn", "values": ["t4"]},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    pool = a_pool(nodes={"selector": {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": expressions}})
    assert pool.node_selector == Selector(
        labels=(("a", "1"), ("b", "2")),
        expressions=(
            Expression("model", Operator.NOT_IN, ("t4",)),
            Expression("old", Operator.DOES_NOT_EXIST),
        ),
    )


def test_the_lab_example_reads_as_the_design_page_says() -> None:
    pool = convert.pool(example("lab-pool"))
    assert (pool.mode, pool.reclaim.mode, pool.quota_mode) == (Mode.ENFORCE, Mode.RECOMMEND, Mode.ENFORCE)
    assert dict(pool.declared) == {GPU: 64}
    assert dict(pool.reserve) == {GPU: 8}
    assert [(s.team, s.guaranteed[GPU], s.limit.get(GPU), s.weight) for s in pool.shares] == [
        ("vision", 32, 64, 2),
        ("nlp", 16, None, 1),
    ]
    assert (pool.reclaim.window, pool.reclaim.grace) == (HOUR, DAY)
    assert (pool.recall.within, pool.recall.notice) == (15 * MINUTE, 5 * MINUTE)


def test_identity_comes_from_the_metadata_and_an_object_without_a_time_is_the_oldest() -> None:
    manifest = copy.deepcopy(good("gpupool"))
    manifest["metadata"] |= {"uid": "u1", "generation": 7, "creationTimestamp": "2030-01-07T12:00:00Z"}
    pool = convert.pool(manifest)
    assert (pool.uid, pool.generation) == ("u1", 7)
    assert pool.created == datetime(2030, 1, 7, 12, tzinfo=UTC)
    assert convert.pool(good("gpupool")).created == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_status_of_another_version_hides_no_pool() -> None:
    manifest = good("gpupool") | {"status": {"shares": "none", "counts": {"requests": -1}}}
    assert convert.pool(manifest).name == good("gpupool")["metadata"]["name"]


def test_a_spec_that_breaks_the_rules_is_refused() -> None:
    with pytest.raises(ValidationError):
        a_pool(nodes={})


def test_a_pool_on_its_way_out_is_as_in_observe_throughout() -> None:
    raw = example("lab-pool")
    spec = raw["spec"]
    shares = [{**s, "mode": "Enforce"} for s in spec["shares"]]
    going = {**raw["metadata"], "deletionTimestamp": "2030-01-07T12:00:00Z"}
    layers = {"quota": {"mode": "Enforce"}, "isolation": {"mode": "Enforce"}}
    found = convert.pool({**raw, "metadata": going, "spec": {**spec, **layers, "shares": shares}})
    assert not found.walls
    assert not found.isolates
    assert {found.mode, found.reclaim.mode} == {Mode.OBSERVE}
    assert len(found.shares) == len(shares)
