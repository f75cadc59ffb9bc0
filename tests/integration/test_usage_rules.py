"""The recording rules and the questions, evaluated by promtool on series whose truth is known."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpupool.collector.prometheus import activity, queries
from gpupool.collector.prometheus.ownqueries import POD_LABELS, REQUEST_LABELS, own_queries, week_query
from localplane import toolchain

RULES = Path(__file__).parents[2] / "charts/gpupool/files/recording-rules.yaml"
JOBS = ("dcgm-exporter",)
DEVICE = 'job="dcgm-exporter",instance="i",hostname="n1",UUID="%s",gpu="0",namespace="team",pod="work"'
A, B = activity.ENGINE, activity.UTILISATION
HOUR = timedelta(hours=1)


@pytest.fixture(scope="session")
def promtool() -> Path:
    return toolchain.build(quiet=True)["promtool"]


def run(promtool: Path, *arguments: str | Path) -> str:
    found = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def device(uuid: str) -> str:
    return DEVICE % uuid


class Story:
    """Series with known values, and questions whose answers follow from them."""

    def __init__(self, promtool: Path, folder: Path, interval: str = "15s") -> None:
        self.promtool, self.folder, self.interval = promtool, folder, interval
        self.series: list[dict[str, str]] = []
        self.questions: list[dict[str, Any]] = []

    def has(self, name: str, labels: str, values: str) -> None:
        self.series.append({"series": f"{name}{{{labels}}}", "values": values})

    def asks(self, promql: str, at: str, answers: dict[str, float]) -> None:
        """Add a question; `answers` are values by label set."""
        samples = [{"labels": f"{{{labels}}}", "value": value} for labels, value in answers.items()]
        self.questions.append({"expr": promql, "eval_time": at, "exp_samples": samples})

    def holds(self, *, rules: bool = False) -> None:
        test = {
            "rule_files": [str(RULES)] if rules else [],
            # promtool takes this for the groups' own interval, and loads samples up to its last multiple.
            "evaluation_interval": "5m" if rules else "15s",
            "fuzzy_compare": True,
            "tests": [
                {
                    "interval": self.interval,
                    "input_series": self.series,
                    "promql_expr_test": self.questions,
                }
            ],
        }
        file = self.folder / "story.yaml"
        file.write_text(yaml.safe_dump(test))
        run(self.promtool, "test", "rules", file)


@pytest.fixture
def story(promtool: Path, tmp_path: Path) -> Story:
    return Story(promtool, tmp_path)


def use(window: timedelta) -> queries.UseQueries:
    return queries.use_queries(queries.narrowed(JOBS, (), 1), window, 15.0, 15.0)


def test_the_rules_are_valid(promtool: Path) -> None:
    run(promtool, "check", "rules", "--lint-fatal", RULES)


def test_the_rules_say_the_same_as_the_questions() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    assert {group["interval"] for group in groups} == {f"{queries.RESOLUTION / 60:.0f}m"}
    found = {rule["record"]: rule["expr"].strip() for group in groups for rule in group["rules"]}
    live = activity.lively("", "90")
    by = {
        name: f"max by {activity.labels(kept)}"
        for name, kept in (("gpu", activity.KEPT), ("pod", POD_LABELS))
    }
    assert found == {
        "gpupool:gpu_seen:ratio5m": f"{by['gpu']} (count_over_time({live}[5m:15s])) / 20",
        "gpupool:gpu_busy:ratio5m": f"{by['gpu']} (sum_over_time(({live} > bool 0)[5m:15s])) / 20",
        "gpupool:gpu_activity:percent5m": f"{by['gpu']} (avg_over_time({live}[5m:15s]))",
        "gpupool:pod_gpus:mean5m": f"sum_over_time(({by['pod']} (gpupool_pod_gpus))[5m:15s]) / 20",
        "gpupool:pod_gpus:max5m": f"{by['pod']} (max_over_time(gpupool_pod_gpus[5m]))",
        "gpupool:request_used_gpus:max5m": f"max by {activity.labels(REQUEST_LABELS)}"
        " (max_over_time(gpupool_request_used_gpus[5m]))",
    }


def test_steady_half_busy_and_idle_gpus_are_told_apart(story: Story) -> None:
    story.has(A, device("steady"), "0.35x60")
    story.has(A, device("half"), "0x19 1x40")
    story.has(A, device("idle"), "0x60")
    steady, half, idle = device("steady"), device("half"), device("idle")
    ask = use(timedelta(minutes=10))
    story.asks(ask.seen.promql, "10m", {steady: 40, half: 40, idle: 40})
    story.asks(ask.busy.promql, "10m", {steady: 40, half: 21, idle: 0})
    story.asks(ask.mean.promql, "10m", {steady: 35, half: 52.5, idle: 0})
    story.asks(ask.age, "10m", {steady: 0, half: 0, idle: 0})
    story.holds()


def test_utilisation_counts_where_the_engine_is_not_measured(story: Story) -> None:
    story.has(A, device("both"), "0.5x60")
    story.has(B, device("both"), "90x60")
    story.has(B, device("old"), "90x60")
    story.has(B, f'{device("slice")},GPU_I_PROFILE="1g.10gb",GPU_I_ID="1"', "0x60")
    story.asks(use(timedelta(minutes=10)).mean.promql, "10m", {device("both"): 50, device("old"): 90})
    story.holds()


def test_other_vendors_percentages_count_where_dcgms_names_are_not(story: Story) -> None:
    amd = device("").replace("UUID=", "serial_number=").replace('gpu="0",', "").replace('=""', '="6922"')
    story.has("gpu_gfx_activity", amd, "30x60")
    story.asks(use(timedelta(minutes=10)).mean.promql, "10m", {amd: 30})
    story.asks(use(timedelta(minutes=10)).age, "10m", {amd: 0})
    story.holds()


def test_a_series_that_two_write_is_found_and_a_device_without_life(story: Story) -> None:
    story.has(A, device("one"), "0x60")
    story.has(A, device("two"), "0x60")
    for uuid, values in (("one", "100+5x60"), ("two", "100x60"), ("unknown", "9e18x60")):
        story.has("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", device(uuid), values)
    # Five times as many samples as a scrape each minute would bring.
    ask = queries.use_queries(queries.narrowed(JOBS, (), 1), timedelta(minutes=10), 60.0, 60.0)
    story.asks(ask.crowded, "10m", {device("one"): 20, device("two"): 20})
    story.asks(use(timedelta(minutes=10)).crowded, "10m", {})
    still = 'job="dcgm-exporter",instance="i",hostname="n1",UUID="two",gpu="0"'
    story.asks(use(timedelta(minutes=10)).still, "10m", {still: 0})
    story.holds()


def test_sentinels_are_not_seen_and_leave_the_other_metric_its_place(story: Story) -> None:
    story.has(A, device("blank"), "140737488355328x60")
    story.has(B, device("blank"), "2147483632x60")
    story.has(A, device("half-blank"), "140737488355328x60")
    story.has(B, device("half-blank"), "7x60")
    ask = use(timedelta(minutes=10))
    story.asks(ask.seen.promql, "10m", {device("half-blank"): 40})
    story.asks(ask.mean.promql, "10m", {device("half-blank"): 7})
    story.holds()


def test_a_series_without_staleness_marker_is_seen_for_two_scrapes_only(story: Story) -> None:
    story.has(A, device("frozen"), "0.5x20 _x40")
    story.has(A, device("ended"), "0.5x20 stale")
    ask = use(timedelta(minutes=10))
    # The last of 21 samples is at 5m; a frozen one counts one step more, an ended one none.
    story.asks(ask.seen.promql, "8m", {device("frozen"): 22, device("ended"): 21})
    story.asks(ask.age, "8m", {device("frozen"): 180})
    story.asks(ask.age, "11m", {})
    story.holds()


def test_series_of_other_jobs_are_not_read(story: Story) -> None:
    story.has(A, device("x").replace("dcgm-exporter", "my-exporter"), "1x60")
    story.asks(use(timedelta(minutes=10)).seen.promql, "10m", {})
    story.holds()


def test_a_long_window_adds_up_from_the_rules(story: Story) -> None:
    story.has(A, device("steady"), "0.35x1920")
    story.has(A, device("late"), "_x1199 0.8x720")
    ask = use(2 * HOUR)
    assert ask.busy.unit == 300
    # 24 values of five minutes in two hours; the late one began at 5h of 7h and is busy since.
    story.asks(ask.seen.promql, "7h", {device("steady"): 24, device("late"): 24})
    story.asks(ask.seen.promql, "6h", {device("steady"): 24, device("late"): 12.1})
    story.asks(ask.busy.promql, "6h", {device("steady"): 24, device("late"): 12.1})
    story.asks(ask.mean.promql, "7h", {device("steady"): 35, device("late"): 80})
    story.holds(rules=True)


POD = (
    'job="gpupool",namespace="team",pod="work",node="n1",request="train",pool="lab",resource="nvidia.com/gpu"'
)
REQUEST = 'job="gpupool",namespace="team",request="train",pool="lab",resource="nvidia.com/gpu"'


@pytest.mark.parametrize(("window", "seconds"), [(timedelta(minutes=30), 4 * 900.0), (2 * HOUR, 4 * 900.0)])
def test_a_dead_pod_is_remembered_over_restarts_of_the_operator(
    story: Story, window: timedelta, seconds: float
) -> None:
    # 15 minutes of 4 GPUs, told by two operators one after the other; dead since 55m.
    story.has("gpupool_pod_gpus", f'{POD},instance="old"', "_x159 4x29 stale")
    story.has("gpupool_pod_gpus", f'{POD},instance="new"', "_x189 4x29 stale")
    ask = own_queries("lab", window, window)
    story.asks(f"{ask.held.promql} * {ask.held.unit:g}", "60m", {POD: seconds})
    story.asks(f"max by (pod) ({ask.size})", "60m", {'pod="work"': 4})
    story.holds(rules=window > HOUR)


def test_a_new_peak_counts_before_the_rules_have_seen_it(story: Story) -> None:
    story.has("gpupool_request_used_gpus", f'{REQUEST},instance="a"', "3x40 20x3 3x40")
    story.asks(own_queries("lab", HOUR, 12 * HOUR).peak, "11m", {REQUEST: 20})
    story.holds()


def test_a_peak_beyond_an_hour_is_kept_by_the_rules(story: Story) -> None:
    story.has("gpupool_request_used_gpus", f'{REQUEST},instance="a"', "12x40 3x1400")
    ask = own_queries("lab", HOUR, 12 * HOUR)
    story.asks(ask.peak, "5h", {REQUEST: 12})
    story.asks(f"max by (raw) ({ask.history.promql})", "5h", {'raw="yes"': 60, "": 61})
    story.holds(rules=True)


@pytest.mark.parametrize("lookback", [HOUR, 12 * HOUR])
def test_requests_that_are_gone_fill_no_answer_and_one_that_comes_again_has_its_peak(
    story: Story, lookback: timedelta
) -> None:
    gone = REQUEST.replace('request="', 'request="gone-')
    story.has("gpupool_request_used_gpus", f'{gone},instance="a"', "9x40 stale")
    story.has("gpupool_request_used_gpus", f'{REQUEST},instance="a"', "7x40 stale _x100 0x40")
    ask = own_queries("lab", HOUR, lookback)
    # Deleted after 10 minutes; one comes back at 36m, and until then nobody is spoken of.
    story.asks(ask.peak, "35m", {})
    story.asks(ask.peak, "40m", {REQUEST: 7})
    story.asks(f"max by (request) ({ask.history.promql}) > bool 0", "35m", {})
    story.asks(f"{ask.recent.promql} > bool 0", "35m", {})
    story.asks(f"{ask.recent.promql} > bool 0", "40m", {REQUEST: 1})
    story.holds(rules=lookback > HOUR)


def test_the_week_of_an_endpoint_is_kept_by_the_rules_whatever_the_lookback(story: Story) -> None:
    story.has("gpupool_request_used_gpus", f'{REQUEST},instance="a"', "12x40 3x1400")
    story.asks(week_query("lab", ["team"]), "5h", {REQUEST: 12})
    story.asks(week_query("lab", ["other"]), "5h", {})
    story.holds(rules=True)


def test_history_is_what_was_recorded_and_not_what_is_long_ago(story: Story) -> None:
    story.has("gpupool_request_used_gpus", f'{REQUEST},instance="a"', "1x20 stale _x38 1x20")
    ask = own_queries("lab", timedelta(minutes=20), timedelta(minutes=20))
    # 21 samples from 0, a gap until 15m, 21 from then on; the reach is twice the window.
    story.asks(f"{ask.history.promql} * {ask.history.unit:g}", "20m", {REQUEST: 630})
    # Of the last window only what came after the gap.
    story.asks(f"{ask.recent.promql} * {ask.recent.unit:g}", "20m", {REQUEST: 615})
    recent = own_queries("lab", timedelta(minutes=10), timedelta(minutes=20)).recent
    story.asks(f"{recent.promql} * {recent.unit:g}", "20m", {REQUEST: 302.5})
    story.holds()
