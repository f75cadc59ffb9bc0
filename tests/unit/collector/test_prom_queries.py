"""The questions: their number, their ranges, and that nothing in a name can change their meaning."""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import product

import pytest

from gpupool.collector.prometheus import activity, queries
from gpupool.collector.prometheus.ownqueries import own_queries, own_step, week_query

SPANS = [
    timedelta(seconds=5),
    timedelta(minutes=7),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=7),
]
MATCHER = 'job="dcgm-exporter"'
LIVING = (
    "((%s) and on (namespace, exported_namespace, request, pool, resource)"
    " max_over_time(gpupool_request_used_gpus{%s}[300s]))"
)
"""Only of requests that were told of lately."""
RAW_NAMES = r"(?:DCGM_FI_\w+|gpupool_\w+)"


def all_questions(window: timedelta, lookback: timedelta) -> list[str]:
    use = queries.use_queries(MATCHER, window, 1.0, 1.0)
    own = own_queries("lab", window, lookback)
    return [
        queries.targets(("dcgm-exporter",)),
        queries.scrapes(("dcgm-exporter",), ("a:1",)),
        queries.past_targets(("dcgm-exporter",), window),
        *(use.seen.promql, use.busy.promql, use.mean.promql, use.age, use.crowded, use.still),
        *(own.held.promql, own.size, own.peak, own.history.promql, own.recent.promql),
    ]


def ranges(promql: str) -> Iterator[tuple[bool, float]]:
    """Each range with whether it reads what is not recorded; durations in seconds."""
    raw = re.compile(RAW_NAMES)
    for found in re.finditer(r"\[(\d+)(ms|s)(?::[^\]]*)?\]", promql):
        before = promql[: found.start()]
        recorded = re.search(r"gpupool:\w+:\w+(\{[^}]*\})?$", before) is not None
        yield (
            raw.search(before) is not None and not recorded,
            int(found[1]) / (1000 if found[2] == "ms" else 1),
        )


@pytest.mark.parametrize(("window", "lookback"), [p for p in product(SPANS, SPANS) if p[0] <= p[1]])
def test_fourteen_questions_and_no_raw_range_longer_than_an_hour(
    window: timedelta, lookback: timedelta
) -> None:
    asked = all_questions(window, lookback)
    assert len(asked) == 14
    for promql in asked:
        assert all(seconds <= 3600 for raw, seconds in ranges(promql) if raw), promql


def test_the_week_of_endpoints_is_one_more_question_and_reads_what_the_rules_kept() -> None:
    asked = week_query("lab", ["chat", "a.b", "chat"], ("gpupool-metrics",))
    assert [(raw, seconds) for raw, seconds in ranges(asked) if not raw] == [(False, 604_800)] * 2
    assert asked.endswith('gpupool_request_used_gpus{pool="lab",job="gpupool-metrics"}[300s]))')
    kept = 'gpupool:request_used_gpus:max5m{pool="lab",job="gpupool-metrics"'
    assert kept + r',namespace=~"a\\.b|chat"}' in asked
    assert kept + r',exported_namespace=~"a\\.b|chat"}' in asked
    many = week_query("lab", [f"ns-{n}" for n in range(201)])
    names = "max by (job, namespace, exported_namespace, request, pool, resource)"
    kept = f'{names} (max_over_time(gpupool:request_used_gpus:max5m{{pool="lab"}}[604800s]))'
    assert many == LIVING % (kept, 'pool="lab"')


def test_longer_windows_read_what_the_rules_kept() -> None:
    use = queries.use_queries(MATCHER, timedelta(hours=2), 15.0, 15.0)
    assert 'sum_over_time(gpupool:gpu_busy:ratio5m{job="dcgm-exporter"}[7200s])' in use.busy.promql
    assert use.busy.unit == 300
    assert "gpupool:" not in use.age


def test_a_sample_counts_while_it_is_at_most_two_scrapes_old() -> None:
    use = queries.use_queries(MATCHER, timedelta(minutes=10), 15.0, 30.0)
    assert ">= 60" in use.seen.promql
    assert use.seen.promql.endswith("[600s:15s]))")
    assert use.seen.unit == 15


def test_utilisation_stands_in_only_for_whole_gpus_without_engine_activity() -> None:
    text = activity.activity('job="x"')
    assert 'DCGM_FI_DEV_GPU_UTIL{job="x",GPU_I_PROFILE=""}' in text
    assert text.index("DCGM_FI_PROF_GR_ENGINE_ACTIVE") < text.index(" or on (") < text.index("GPU_UTIL")


@pytest.mark.parametrize(
    ("values", "matcher"),
    [
        (("dcgm-exporter",), 'job="dcgm-exporter"'),
        (('a"b\\',), r'job="a\"b\\"'),
        (("a.b", "c|d"), r'job=~"a\\.b|c\\|d"'),
        (("x\ny",), r'job="x\ny"'),
    ],
)
def test_names_are_quoted_so_that_they_match_only_themselves(values: tuple[str, ...], matcher: str) -> None:
    assert activity.one_of("job", values) == matcher


@pytest.mark.parametrize(
    ("seconds", "text"), [(60, "60s"), (1.5, "1500ms"), (0.0001, "1ms"), (0.0004, "1ms"), (3600, "3600s")]
)
def test_durations_are_whole_seconds_or_milliseconds(seconds: float, text: str) -> None:
    assert activity.duration(seconds) == text


@pytest.mark.parametrize(("span", "step"), [(10, 1.0), (90, 1.0), (3600, 15.0), (0.5, 0.5)])
def test_whole_steps_fill_a_range_of_our_own_series(span: float, step: float) -> None:
    assert own_step(timedelta(seconds=span)) == step


def test_history_reaches_further_than_a_lookback_of_one_window() -> None:
    minute = timedelta(minutes=1)
    assert "[120s:1s]" in own_queries("lab", minute, minute).history.promql
    hour = timedelta(hours=1)
    assert "[3600s:15s]" in own_queries("lab", hour, hour).history.promql


@pytest.mark.parametrize(
    ("window", "promql", "unit"),
    [
        (
            timedelta(hours=1),
            'count_over_time((NAMES (gpupool_request_used_gpus{pool="lab"}))[3600s:15s])',
            15,
        ),
        (timedelta(hours=2), 'count_over_time(gpupool:request_used_gpus:max5m{pool="lab"}[7200s])', 300),
    ],
)
def test_the_last_window_is_asked_for_apart_from_the_lookback(
    window: timedelta, promql: str, unit: float
) -> None:
    recent = own_queries("lab", window, timedelta(days=7)).recent
    names = "max by (job, namespace, exported_namespace, request, pool, resource)"
    assert (recent.promql, recent.unit) == (
        LIVING % (promql.replace("NAMES", names), 'pool="lab"'),
        unit,
    )


def test_our_own_series_are_believed_from_named_jobs_only_where_they_are_named() -> None:
    minute = timedelta(minutes=1)
    assert 'gpupool_pod_gpus{pool="lab"}' in own_queries("lab", minute, minute).held.promql
    named = own_queries("lab", minute, minute, ("gpupool-metrics",))
    assert 'gpupool_pod_gpus{pool="lab",job="gpupool-metrics"}' in named.held.promql


def test_hosts_are_named_where_the_jobs_have_many_more_targets() -> None:
    narrow = queries.narrowed(("dcgm",), ("n.2", "n1"), 5)
    assert narrow == r'job="dcgm",hostname=~"|n\\.2|n1",Hostname=~"|n\\.2|n1"'
    assert queries.narrowed(("dcgm",), ("n1", "n2"), 4) == 'job="dcgm"'
    assert queries.narrowed(("dcgm",), (), 5000) == 'job="dcgm"'


def test_a_question_stays_short_however_many_nodes_a_pool_has() -> None:
    names = [f"gpu-node-{number:05}.europe-west.example.internal" for number in range(5000)]
    for count in (queries.MOST_HOSTS, 5000):
        matcher = queries.narrowed(("dcgm-exporter",), names[:count], 50_000)
        use = queries.use_queries(matcher, timedelta(hours=1), 15.0, 15.0)
        assert max(len(q) for q in (use.seen.promql, use.still, use.crowded)) < 200_000
    assert queries.narrowed(("dcgm-exporter",), names, 50_000) == MATCHER
