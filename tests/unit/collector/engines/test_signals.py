"""From answers to signals: every engine's words, GPUs by the labels of their holders, nothing made up."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gpupool.collector.engines.adapters import ADAPTERS, Series, all_shapes, counters, gauges, shapes
from gpupool.collector.engines.containers import containers_by_pod
from gpupool.collector.engines.gpus import gpus_by_pod
from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.names import ENGINES
from gpupool.collector.engines.signals import Births, Shown, SignalReader, signals
from gpupool.collector.engines.subject import Subject
from gpupool.collector.engines.windows import CONTAINER_CPU, HOSTS, NAME, WORKING_SET, window_questions
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint
from gpupool.model.objects import Container, Key, ObjectRef
from gpupool.model.signals import ContainerUse, Engine, Gpu, Host, Signals, Started
from gpupool.model.slo import Objective, Sli, Slo
from support.builders import NOW

SLO = Slo(
    key=Key("team", "chat"),
    uid="u",
    generation=1,
    created=NOW,
    target=ObjectRef("apps/v1", "Deployment", "chat"),
    objectives=(Objective(Sli.TTFT, 99, 0.5),),
    window=timedelta(days=1),
    min_events=100,
)
CHAT = PodName("team", "chat-0")
SUBJECT = Subject(SLO, ["chat-0"])


def shown(**parts: Any) -> Shown:
    return Shown(**{"words": {}, "buckets": {}, "gpus": {}, "hosts": {}, **parts})


def read(engine: str, **parts: Any) -> Signals:
    return signals(SUBJECT, engine, Births(), shown(**parts), 300.0)


# ------------------------------------------------------------------ questions


def test_eight_questions_however_many_endpoints() -> None:
    few, many = window_questions(["team"], 300), window_questions([f"ns-{n}" for n in range(500)], 300)
    assert len(few.all) == len(many.all) == 8
    assert 'namespace="team"' in few.gauges
    assert 'exported_namespace="team"' in few.gpus
    assert "namespace=" not in many.gauges.replace("pod, ", "")
    assert all("[300s]" in q for q in few.all if q is not few.clocks)
    assert "[1h]" in few.clocks


def test_every_series_of_the_table_is_asked_for() -> None:
    asked = window_questions(["team"], 30)
    assert all(s.word in asked.gauges for s in gauges())
    assert all(s.word in asked.rates for s in counters())
    assert all(f"{name}_bucket" in asked.shapes for name in all_shapes())
    assert all(s.word in asked.hosts for s in HOSTS)


def test_every_engine_has_an_adapter_that_fills_known_fields() -> None:
    assert ADAPTERS.keys() == ENGINES.keys()
    for adapter in ADAPTERS.values():
        filled = {*adapter.gauges, *adapter.counters, *adapter.means}
        assert filled <= set(Engine.__slots__)
        assert {"running", "waiting", "requests"} <= filled
    assert Series("a", 'b="c"').word == "a{b='c'}"
    assert shapes("TGI", Sli.ITL)[0].name == "tgi_request_mean_time_per_token_duration"
    assert shapes("Triton", Sli.ITL) == ()


# ------------------------------------------------------------------ engines


def test_an_engine_is_read_by_its_words_and_what_is_missing_is_unknown() -> None:
    words = {
        "vllm:num_requests_running": 14.0,
        "vllm:num_requests_running/most": 20.0,
        "vllm:gpu_cache_usage_perc": 0.3,
        "vllm:request_success_total": 2.0,
        "vllm:prompt_tokens_total": 2000.0,
        ADAPTERS["vLLM"].counters["answered"][0].word: 2.0,
        "vllm:time_to_first_token_seconds_sum": 1.0,
        "vllm:time_to_first_token_seconds_count": 2.0,
    }
    (pod,) = read("vLLM", words={CHAT: words}).pods
    engine = pod.engine
    assert (engine.running, engine.running_most, engine.kv) == (14.0, 20.0, 0.3)
    assert (engine.prompt, engine.ttft) == (1000.0, 0.5)
    assert engine.refused == 0, "the HTTP layer is seen, and no 5xx ever was"
    assert (engine.waiting, engine.output, engine.itl, engine.queue) == (None, None, None, None)


def test_microseconds_of_triton_are_seconds() -> None:
    words = {"nv_inference_queue_duration_us": 4e6, "nv_inference_request_success": 2.0}
    (pod,) = read("Triton", words={CHAT: words}).pods
    assert pod.engine.queue == pytest.approx(2.0)
    assert pod.engine.refused is None


def test_an_unknown_engine_shows_nothing_of_itself() -> None:
    found = read("", words={CHAT: {"vllm:num_requests_running": 1.0}})
    assert found.pods[0].engine == Engine()
    assert found.itl.rates == ()


def test_buckets_of_pods_add_up_and_are_events_of_each_bucket() -> None:
    own = {"vllm:inter_token_latency_seconds": {0.025: 90.0, 0.05: 95.0, float("inf"): 100.0}}
    other = PodName("team", "chat-1")
    subject = Subject(SLO, ["chat-0", "chat-1"])
    both = shown(buckets={CHAT: own, other: own})
    spread = signals(subject, "vLLM", Births(), both, 300.0).itl
    assert spread.rates == ((0.025, 180.0), (0.05, 10.0), (float("inf"), 10.0))
    assert spread.mode == 0.025
    assert spread.above(0.05) == pytest.approx(0.05)
    assert (Signals(300).itl.mode, Signals(300).itl.above(1.0)) == (None, None)


def test_births_are_handed_on() -> None:
    found = signals(SUBJECT, "vLLM", Births(started=(Started(1.0, 2.0),), recipe="r1"), shown(), 300.0)
    assert (found.started, found.recipe) == ((Started(1.0, 2.0),), "r1")


def test_a_host_shows_shares_and_sums() -> None:
    values = dict(
        zip((s.word for s in HOSTS), (2.0, 10.0, 4.5, 0.6, 0.1, 1e5, 1e9, 2e9, 3.0, 1.0), strict=True)
    )
    (pod,) = read("vLLM", hosts={CHAT: values}).pods
    assert pod.host == Host(2.0, 0.45, 0.6, 0.1, 3e9, 4.0, 1e5)
    (pod,) = read("vLLM").pods
    assert pod.host == Host()


# ------------------------------------------------------------------ GPUs


def gpu(series: str, value: float, uuid: str = "GPU-1", **labels: str) -> Sample:
    given = {"job": "dcgm", "instance": "i", "UUID": uuid, "modelName": "H100", "series": series}
    return Sample({**given, "namespace": "team", "pod": "chat-0", **labels}, value, 0.0)


ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
CLOCK = "DCGM_FI_DEV_SM_CLOCK"
EVENTS = "DCGM_EXP_CLOCK_EVENTS_COUNT"
FULL = (Sample({"modelName": "H100"}, 2000.0, 0.0),)


def test_gpus_of_a_pod_are_a_mean_and_what_goes_wrong_the_worst() -> None:
    means = [gpu(ACTIVE, 0.4), gpu(ACTIVE, 0.8, "GPU-2"), gpu(CLOCK, 1900), gpu(CLOCK, 1400, "GPU-2")]
    means += [gpu("DCGM_FI_DEV_GPU_TEMP", 60), gpu("DCGM_FI_DEV_GPU_TEMP", 85, "GPU-2")]
    means += [gpu("DCGM_FI_DEV_FB_USED", 10), gpu("DCGM_FI_DEV_FB_USED", 20, "GPU-2")]
    means += [gpu("DCGM_FI_DEV_POWER_USAGE", 500)]
    highs = [gpu("DCGM_FI_DEV_XID_ERRORS", 94, "GPU-2"), gpu("DCGM_FI_DEV_ROW_REMAP_FAILURE", 1, "GPU-2")]
    highs += [gpu(EVENTS, 3, clock_event="sw_thermal"), gpu(EVENTS, 9, clock_event="gpu_idle")]
    found = gpus_by_pod(means, highs, FULL)[CHAT]
    assert found.active == pytest.approx(0.6)
    assert (found.clock, found.heat, found.power, found.memory) == (0.7, 85, 500, 30)
    assert (found.xid, found.remap_failed, found.slowed, found.model) == (94, True, ("sw_thermal",), "H100")


def test_values_that_mean_unknown_are_unknown() -> None:
    means = [gpu(ACTIVE, 9.2e18), gpu("DCGM_FI_DEV_GPU_TEMP", 9.2e18), gpu(CLOCK, 1900)]
    found = gpus_by_pod(means, (), ())[CHAT]
    assert found == Gpu(model="H100", devices=1)


def test_power_is_told_where_every_whole_gpu_tells_it() -> None:
    power = "DCGM_FI_DEV_POWER_USAGE"
    both = gpus_by_pod([gpu(power, 500), gpu(power, 300, "GPU-2")], (), ())[CHAT]
    assert (both.watts, both.devices) == (800, 2)
    one = gpus_by_pod([gpu(power, 500), gpu(ACTIVE, 0.5, "GPU-2")], (), ())[CHAT]
    assert (one.watts, one.devices) == (None, 2)
    slice_ = gpus_by_pod([gpu(power, 500, GPU_I_ID="1")], (), ())[CHAT]
    assert slice_.watts is None


@pytest.mark.parametrize(
    ("labels", "held"),
    [
        ({"exported_namespace": "team", "exported_pod": "chat-0", "namespace": "mon", "pod": "exp"}, True),
        ({"pod_namespace": "team", "pod_name": "chat-0", "namespace": "", "pod": ""}, True),
        ({"namespace": "", "pod": ""}, False),
    ],
)
def test_the_holder_is_found_however_it_is_named(labels: dict[str, str], held: bool) -> None:
    assert (CHAT in gpus_by_pod([gpu(ACTIVE, 1.0, **labels)], (), ())) == held


def test_an_exporter_s_own_name_is_no_holder() -> None:
    exported = gpu(ACTIVE, 1.0, exported_namespace="team", exported_pod="chat-1")
    free = gpu(ACTIVE, 0.0, "GPU-2")
    assert set(gpus_by_pod([exported, free], (), ())) == {PodName("team", "chat-1")}


# ------------------------------------------------------------------ reading


def client(answer: Any) -> PrometheusClient:
    return PrometheusClient(Endpoint(url="http://prometheus"), transport=httpx.MockTransport(answer))


def vector(*rows: dict[str, Any]) -> httpx.Response:
    return httpx.Response(
        200, json={"status": "success", "data": {"resultType": "vector", "result": list(rows)}}
    )


def test_a_reading_asks_eight_times_and_knows_every_endpoint() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return vector()

    reader = SignalReader(client(answer), 300.0)
    found = asyncio.run(reader.read([SUBJECT], {SLO.key: "vLLM"}, {}))
    assert (len(asked), found.problem) == (8, "")
    assert found.endpoints[SLO.key].pods[0].engine == Engine()


def test_a_reading_that_fails_says_why() -> None:
    broken = SignalReader(client(lambda _request: httpx.Response(500, text="oops")), 300.0)
    assert "500" in asyncio.run(broken.read([SUBJECT], {}, {})).problem

    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return vector()

    late = SignalReader(client(slow), 300.0, patience=0.05)
    assert "needs more than 0.05s" in asyncio.run(late.read([SUBJECT], {}, {})).problem


def test_what_the_inference_containers_use_stands_beside_their_limits() -> None:
    word = {"namespace": "team", "pod": "chat-0", "container": "main"}
    rows = [
        Sample({**word, NAME: CONTAINER_CPU.word}, 1.9, 0.0),
        Sample({**word, NAME: WORKING_SET.word}, 2.0**30, 0.0),
        Sample({**word, "container": "proxy", NAME: CONTAINER_CPU.word}, 9.0, 0.0),
    ]
    births = Births(containers={"chat-0": (Container("main", 2.0), Container("second"))})
    found = signals(SUBJECT, "vLLM", births, shown(containers=containers_by_pod(rows)), 300.0)
    (pod,) = found.pods
    assert pod.containers == (ContainerUse("main", 1.9, 2.0**30, 2.0), ContainerUse("second"))
    assert pod.at_limit == pytest.approx(0.95)
    assert read("vLLM").pods[0].at_limit is None
