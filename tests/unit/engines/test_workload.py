"""How a workload's requests reach its pods, and what follows."""

from statistics import fmean
from typing import Any

import pytest

from localplane.engines.annotations import settings
from localplane.engines.objects import EnginePod, engine_pod
from localplane.engines.workload import Workload
from support.engines import live_engine, workload


def after(seconds: float, pods: int = 2, **given: Any) -> Workload:
    made = workload(pods, **given)
    for second in range(1, round(seconds) + 1):
        made.advance(second)
    return made


def mean(made: Workload, key: str) -> float:
    found = [pod.book.histograms[key] for pod in made.pods.values()]
    return sum(one.sum for one in found) / sum(one.count for one in found)


def served(made: Workload) -> list[float]:
    return [pod.book.totals["done"] for pod in made.pods.values()]


def fact(name: str, **given: Any) -> EnginePod:
    found = engine_pod(live_engine(name, **given))
    assert found is not None
    return found


def put(made: Workload, name: str, **given: Any) -> None:
    one = fact(name, **given)
    made.put(one, settings(one.annotations))


def test_the_load_is_that_of_the_whole_workload_and_evenly_spread() -> None:
    made = after(300, 3, load=9)
    assert made.arrived / 300 == pytest.approx(9, rel=0.05)
    assert served(made) == pytest.approx([900] * 3, rel=0.07)


def test_more_replicas_answer_sooner_at_equal_load() -> None:
    by_pods = [after(240, pods, load=12, max_seqs=32) for pods in (1, 2, 4)]
    ttft = [mean(made, "ttft") for made in by_pods]
    tokens = [mean(made, "itl") for made in by_pods]
    assert ttft[0] > 10 * ttft[1] > 10 * ttft[2]
    assert tokens[0] > tokens[1] > tokens[2]


@pytest.mark.parametrize(
    ("better", "worse", "key"),
    [
        ({"prompt": 500}, {"prompt": 4000}, "ttft"),
        ({"cache_hit": 0.8}, {}, "ttft"),
        ({"max_seqs": 256}, {"max_seqs": 20}, "ttft"),
        ({"kv_tokens": 600_000}, {"kv_tokens": 15_000}, "ttft"),
        ({"model": "llama-70b-fp8/8xH100"}, {"model": "llama-70b-fp8/2xH100"}, "itl"),
        ({"load": 4}, {"load": 20}, "itl"),
    ],
)
def test_latency_follows_from_the_parameters(better: dict[str, Any], worse: dict[str, Any], key: str) -> None:
    assert mean(after(120, **{"load": 12, **better}), key) < mean(after(120, **{"load": 12, **worse}), key)


def test_the_same_name_has_the_same_requests_and_another_has_others() -> None:
    first, again, other = (after(60, load=5, name=name) for name in ("chat", "chat", "code"))
    assert served(first) == served(again)
    assert mean(first, "ttft") == mean(again, "ttft")
    assert (served(other), mean(other, "prompt")) != (served(first), mean(first, "prompt"))


def test_looking_often_changes_next_to_nothing() -> None:
    often, seldom = workload(load=8), workload(load=8)
    for tenth in range(1, 1201):
        often.advance(tenth / 10)
    seldom.advance(120)
    assert served(often) == pytest.approx(served(seldom), abs=2)
    assert mean(often, "ttft") == pytest.approx(mean(seldom, "ttft"), rel=0.05)


def test_lengths_have_their_means_and_a_long_tail() -> None:
    made = after(400, load=10, prompt=800, output=120)
    assert mean(made, "prompt") == pytest.approx(800, rel=0.05)
    assert mean(made, "output") == pytest.approx(120, rel=0.05)


def test_during_a_rollout_both_revisions_share_the_load_and_the_newer_says_how_much() -> None:
    made = after(60, 2, load=6)
    put(made, "new", revision="r2", created="2026-01-02T00:00:00Z", load=12)
    before = made.arrived
    for second in range(61, 181):
        made.advance(second)
    assert (made.arrived - before) / 120 == pytest.approx(12, rel=0.1)
    assert made.pods["uid-new"].book.totals["done"] == pytest.approx(480, rel=0.1)


def test_a_pod_gets_requests_only_while_it_is_ready() -> None:
    made = workload(1, load=5)
    put(made, "late", ready=False, load=5)
    made.advance(30)
    assert made.pods["uid-late"].book.totals["done"] == 0
    put(made, "late", ready=True, load=5)
    made.advance(90)
    assert made.pods["uid-late"].book.totals["done"] > 100


def test_a_pod_that_goes_takes_what_it_had_and_the_others_take_over() -> None:
    made = after(60, 2, load=8)
    had = made.pods["uid-chat-0"].busy
    made.drop("uid-chat-0")
    assert made.lost == had > 0
    before = served(made)[0]
    made.advance(120)
    assert (served(made)[0] - before) / 60 == pytest.approx(8, rel=0.15)


def test_without_a_ready_pod_requests_are_lost_and_counted() -> None:
    made = after(30, 1, load=5)
    made.drop("uid-chat-0")
    lost = made.lost
    made.advance(90)
    assert (made.lost - lost) / 60 == pytest.approx(5, rel=0.2)


def test_many_pods_are_spread_over_by_the_best_of_four() -> None:
    counts = served(after(60, 20, load=60))
    assert max(counts) < 1.4 * fmean(counts)
    assert min(counts) > 0.6 * fmean(counts)


def test_a_pod_that_has_too_many_waiting_refuses() -> None:
    made = after(300, 1, load=40, max_seqs=8)
    (pod,) = made.pods.values()
    assert pod.waiting == 2000
    assert pod.book.totals["http.5xx"] > 1000
