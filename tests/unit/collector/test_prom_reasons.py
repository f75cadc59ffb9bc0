"""Every reason that telemetry is bad has a row in the documentation, and no row is about nothing."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = (
    *(ROOT / "operator/gpupool/collector/prometheus").glob("*.py"),
    ROOT / "operator/gpupool/runtime/measuring.py",
    ROOT / "operator/gpupool/model/usage.py",
    ROOT / "operator/gpupool/planner/pool_conditions.py",
)
SAID = re.compile(r'(?:reason(?:: \S+)? ?= ?|Problem\(\s*|"TelemetryHealthy", Status\.\w+, )"([A-Z]\w+)"')


def test_each_reason_of_telemetry_healthy_is_documented_and_each_row_is_a_reason() -> None:
    said = {reason for file in SOURCES for reason in SAID.findall(file.read_text())} | {"Fresh"}
    page = (ROOT / "deploy/docs/telemetry.md").read_text()
    table = page.partition("## Reasons")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == said
