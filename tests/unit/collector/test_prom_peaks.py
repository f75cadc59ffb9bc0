"""Peaks of the recorded past: two questions, and names of pods read as names of workloads."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.errors import PrometheusUnreachable
from gpupool.collector.prometheus.peaks import ENDINGS, RECORDED, peak_query, read_peaks
from localplane import toolchain


class Asked:
    """Answers question after question."""

    def __init__(self, *answers: Sequence[Sample] | Exception) -> None:
        self.answers, self.questions = list(answers), list[str]()

    async def query(self, promql: str) -> Sequence[Sample]:
        self.questions.append(promql)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def row(workload: str, value: float, namespace: str = "vision") -> Sample:
    return Sample({"ns": namespace, "workload": workload}, value, 0.0)


async def read(*answers: Sequence[Sample] | Exception) -> tuple[Any, str]:
    return await read_peaks(cast("PrometheusClient", Asked(*answers)), "lab")


async def test_both_endings_are_asked_and_the_higher_answer_counts() -> None:
    first = [row("web", 2), row("train", 4), row("", 9), Sample({"workload": "x"}, 1.0, 0.0)]
    peaks, problem = await read(first, [row("web", 6), row("train", 1)])
    assert peaks == {("vision", "web"): 6, ("vision", "train"): 4}
    assert problem == ""


async def test_nothing_recorded_and_no_answer_are_told() -> None:
    assert await read([], []) == ({}, f"no recording of {RECORDED} yet")
    silent = PrometheusUnreachable("Prometheus is away", again=False)
    assert await read([row("web", 2)], silent) == ({}, "Prometheus is away")


@pytest.mark.parametrize(
    ("pod", "names"),
    [
        ("web-5d9fbc6d7-x7k2p", {"web", "web-5d9fbc6d7"}),
        ("my-web-5d9fbc6d7-x7k2p", {"my-web", "my-web-5d9fbc6d7"}),
        ("db-0", {"db"}),
        ("fit-x7k2p", {"fit"}),
        ("nightly-29384756-x7k2p", {"nightly", "nightly-29384756"}),
        ("notebook", set()),
        ("chat-prod-0", {"chat-prod"}),
    ],
)
def test_a_pods_name_tells_its_workload(pod: str, names: set[str]) -> None:
    found = {m.group(1) for ending in ENDINGS if (m := re.fullmatch(f"(.+?){ending}", pod))}
    assert found == names


def test_prometheus_finds_the_peak_of_a_workload_whose_pods_came_and_went(tmp_path: Path) -> None:
    series = [
        (
            f'{RECORDED}{{pool="lab",exported_namespace="vision",exported_pod="web-5d9fbc6d7-aaaaa"}}',
            "2x10 _x50",
        ),
        (
            f'{RECORDED}{{pool="lab",exported_namespace="vision",exported_pod="web-5d9fbc6d7-bbbbb"}}',
            "_x5 4x55",
        ),
        (f'{RECORDED}{{pool="lab",namespace="nlp",pod="web-77777f6d7-ccccc"}}', "1x60"),
        (f'{RECORDED}{{pool="other",namespace="nlp",pod="web-77777f6d7-ddddd"}}', "8x60"),
    ]
    test = {
        "rule_files": [],
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": "5m",
                "input_series": [{"series": s, "values": v} for s, v in series],
                "promql_expr_test": [
                    {
                        "expr": peak_query("lab", ENDINGS[1]),
                        "eval_time": "300m",
                        "exp_samples": [
                            {"labels": '{ns="vision", workload="web"}', "value": 6},
                            {"labels": '{ns="nlp", workload="web"}', "value": 1},
                        ],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "peaks.yaml"
    file.write_text(yaml.safe_dump(test))
    promtool = str(toolchain.build(quiet=True)["promtool"])
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
