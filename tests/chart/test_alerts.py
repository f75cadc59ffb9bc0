"""Alerts: each fires when it must, stays silent when it must, and has a page that says what to do."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from chart.finding import only
from gpupool.telemetry.catalog import CATALOG
from localplane import toolchain
from localplane.paths import CHART, CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

FILE = CHART / "files" / "alerts.yaml"
PAGES = CHECKOUT / "deploy" / "docs" / "runbooks"
ALERTS: dict[str, Json] = {
    rule["alert"]: rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]
}
CASES: dict[str, Json] = yaml.safe_load((Path(__file__).parent / "alerts" / "cases.yaml").read_text())
MONITORING = ("monitoring.coreos.com/v1/PrometheusRule",)


def _series(values: Json) -> list[Json]:
    return [{"series": series, "values": str(steps)} for series, steps in values.items()]


def _unit(alert: str, values: Json, at: str, expected: list[Json]) -> Json:
    asked = {"eval_time": at, "alertname": alert, "exp_alerts": expected}
    return {"interval": "30s", "input_series": _series(values), "alert_rule_test": [asked]}


def _promtool(folder: Path, tests: list[Json]) -> subprocess.CompletedProcess[str]:
    """`promtool test rules` over some tests of the alerts."""
    file = folder / "tests.yaml"
    file.write_text(json.dumps({"rule_files": [str(FILE)], "evaluation_interval": "30s", "tests": tests}))
    command = [str(toolchain.build(quiet=True)["promtool"]), "test", "rules", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _fired(said: str, alert: str) -> list[str]:
    """What promtool found in place of an expected alert that cannot be."""
    return re.findall(rf'got:.*?Labels:\{{alertname="{alert}"(.*?)\n\s*\]', said, re.DOTALL)


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_fires_with_its_numbers(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    done = _promtool(tmp_path, [_unit(alert, case["fires"], case["at"], [])])
    (found,) = _fired(done.stdout + done.stderr, alert)
    wanted = {"severity": ALERTS[alert]["labels"]["severity"], **case["labels"]}
    labels, _, annotations = found.partition("Annotations:")
    assert dict(re.findall(r'(\w+)="([^"]*)"', labels)) == wanted
    assert case["says"] in annotations
    assert f"deploy/docs/runbooks/{alert}.md" in annotations


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_is_silent_while_nothing_is_wrong(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    done = _promtool(tmp_path, [_unit(alert, silent, case["at"], []) for silent in case["silent"]])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_has_a_page_that_says_what_to_do(alert: str) -> None:
    page = (PAGES / f"{alert}.md").read_text()
    assert page.startswith(f"# {alert}\n")
    for part in ("## What it means", "## Look first", "## Causes", "## Afterwards"):
        assert part in page, part
    assert "kubectl" in page
    severities = {"critical", "warning", "info"}
    assert ALERTS[alert]["labels"]["severity"] in severities
    assert {"summary", "description", "runbook_url"} == ALERTS[alert]["annotations"].keys()


def test_there_is_no_page_and_no_case_without_its_alert() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} - {"README"} == set(ALERTS)
    assert CASES.keys() == ALERTS.keys()


def test_alerts_ask_only_for_metrics_that_the_operator_has() -> None:
    known = {metric.name for metric in CATALOG}
    asked = {name for rule in ALERTS.values() for name in re.findall(r"gpupool_\w+", rule["expr"])}
    assert asked <= known


def test_the_chart_carries_the_alerts_with_the_links_a_company_wants(
    render: Callable[..., list[Json]],
) -> None:
    base = "metrics.rules.runbookBaseUrl=https://wiki.example/gpupool/"
    groups = only(render(base, apis=MONITORING), "PrometheusRule")["spec"]["groups"]
    (alerts,) = [group["rules"] for group in groups if group["name"] == "gpupool-alerts"]
    assert [rule["alert"] for rule in alerts] == list(ALERTS)
    for rule in alerts:
        url = f"https://wiki.example/gpupool/{rule['alert']}.md"
        assert rule["annotations"]["runbook_url"] == url
        assert rule["expr"] == ALERTS[rule["alert"]]["expr"]


def test_recording_rules_stay_where_alerts_are_not_wanted(render: Callable[..., list[Json]]) -> None:
    rules = only(render("metrics.rules.alerts=false", apis=MONITORING), "PrometheusRule")["spec"]
    assert rules == yaml.safe_load((CHART / "files" / "recording-rules.yaml").read_text())
