"""From labels to facts: every spelling of holder and host, and the exporter's own name."""

import pytest

from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.own import OwnPod, own_pods, past
from gpupool.collector.prometheus.ownqueries import RAW
from gpupool.collector.prometheus.series import Answers, GpuSeries, gpu_series
from gpupool.model.objects import Key
from gpupool.model.usage import Peak

BASE = {"job": "dcgm-exporter", "instance": "i1", "UUID": "GPU-1", "gpu": "0", "hostname": "n1"}
HELD = Key("team", "work")


def read(*all_labels: dict[str, str], value: float = 10.0) -> tuple[GpuSeries, ...]:
    return gpu_series(Answers(seen=[Sample(labels, value, 0) for labels in all_labels]))


@pytest.mark.parametrize(
    ("labels", "holder"),
    [
        ({"namespace": "team", "pod": "work"}, HELD),
        ({"exported_namespace": "team", "exported_pod": "work"}, HELD),
        (
            {"exported_namespace": "team", "exported_pod": "work", "namespace": "mon", "pod": "dcgm-x"},
            HELD,
        ),
        ({"pod_namespace": "team", "pod_name": "work"}, HELD),
        ({"pod_namespace": "team", "pod_name": "work", "namespace": "mon", "pod": "dcgm-x"}, HELD),
        ({"namespace": "team"}, None),
        ({}, None),
    ],
)
def test_the_holder_is_found_under_every_spelling(labels: dict[str, str], holder: Key | None) -> None:
    assert read(BASE | labels)[0].pod == holder


def test_a_plain_pod_is_the_exporters_own_name_where_others_are_exported() -> None:
    held = BASE | {"exported_namespace": "team", "exported_pod": "work", "namespace": "mon", "pod": "dcgm-x"}
    free = BASE | {"UUID": "GPU-2", "namespace": "mon", "pod": "dcgm-x"}
    elsewhere = free | {"instance": "i2"}
    found = {(s.source.instance, s.device): s.pod for s in read(held, free, elsewhere)}
    assert found == {
        ("i1", "GPU-1"): HELD,
        ("i1", "GPU-2"): None,
        ("i2", "GPU-2"): Key("mon", "dcgm-x"),
    }


@pytest.mark.parametrize(
    ("labels", "host"), [({"Hostname": "n2"}, "n2"), ({"hostname": "n1", "Hostname": "n2"}, "n1"), ({}, "")]
)
def test_the_host_is_found_under_both_spellings(labels: dict[str, str], host: str) -> None:
    assert read({"job": "j", "instance": "i", "UUID": "GPU-1"} | labels)[0].host == host


@pytest.mark.parametrize(
    ("labels", "device"),
    [
        ({}, "GPU-1"),
        ({"GPU_I_ID": "3"}, "GPU-1/3"),
        ({"vgpu": "2"}, "GPU-1//2"),
        ({"UUID": ""}, "n1/0"),
        ({"UUID": "", "serial_number": "692251001124"}, "692251001124"),
    ],
)
def test_a_device_has_one_name_whoever_exports_it(labels: dict[str, str], device: str) -> None:
    assert read(BASE | labels)[0].device == device


def test_answers_are_joined_per_series_and_counts_become_seconds() -> None:
    labels = BASE | {"namespace": "team", "pod": "work"}
    answers = Answers(
        seen=[Sample(labels, 4, 0)],
        busy=[Sample(labels, 5, 0)],
        mean=[Sample(labels, 100.4, 0)],
        age=[Sample(labels, -0.1, 0)],
        unit=15,
    )
    (one,) = gpu_series(answers)
    assert (one.seen, one.busy, one.activity, one.age) == (60, 60, 100, 0)


def test_a_series_that_is_only_in_the_window_has_no_age() -> None:
    assert read(BASE)[0].age is None


def pod_sample(value: float, **labels: str) -> Sample:
    return Sample({"namespace": "team", "pod": "work", "node": "n1", "job": "gpupool", **labels}, value, 0)


def test_our_own_pods_add_up_over_time_and_count_once_over_jobs() -> None:
    held = [
        pod_sample(10, request="a"),
        pod_sample(30, request="b", node="n2"),
        pod_sample(38, request="b", job="second-scrape"),
    ]
    found = own_pods(held, [pod_sample(2), pod_sample(1)], unit=15)
    assert found == {HELD: OwnPod(gpus=2, seconds=600, nodes=frozenset({"n1", "n2"}), request="b")}


def test_our_own_series_are_read_when_a_scrape_renamed_their_labels() -> None:
    renamed = {"exported_namespace": "team", "exported_pod": "work", "namespace": "sys", "pod": "operator-1"}
    assert set(own_pods([pod_sample(1, **renamed)], [], 1)) == {HELD}


def request_sample(value: float, request: str, **labels: str) -> Sample:
    return Sample({"namespace": "team", "request": request, **labels}, value, 0)


def test_peaks_carry_how_long_they_were_recorded() -> None:
    found = past(
        [request_sample(8, "a"), request_sample(6, "a", job="two"), request_sample(0, "")],
        [request_sample(12, "a"), request_sample(20, "", **{RAW: "yes"})],
        [request_sample(40, "a"), request_sample(30, "a", job="two")],
        unit=300,
        step=15,
    )
    assert found.peaks == {Key("team", "a"): Peak(8, 3600, 600), Key("team", ""): Peak(0, 0, 0)}
    assert found.recorded == 300
    assert found.kept


def test_without_any_recorded_value_the_rules_kept_nothing() -> None:
    assert not past([], [request_sample(40, "a", **{RAW: "yes"})], [], unit=300, step=300).kept


def test_signs_of_foul_play_and_of_death_are_read_per_series() -> None:
    held = BASE | {"namespace": "team", "pod": "work", "pod_uid": "u1"}
    device = {k: v for k, v in BASE.items() if k != "namespace"}
    (one,) = gpu_series(
        Answers(seen=[Sample(held, 4, 0)], crowded=[Sample(held, 99, 0)], still=[Sample(device, 0, 0)])
    )
    assert (one.uid, one.crowded, one.still, one.home) == ("u1", True, True, "")


def test_the_targets_own_namespace_is_known_where_the_holders_is_exported() -> None:
    held = BASE | {"exported_namespace": "team", "exported_pod": "work", "namespace": "gpu-operator"}
    assert read(held)[0].home == "gpu-operator"
