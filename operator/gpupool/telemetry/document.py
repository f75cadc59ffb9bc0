"""Write the page of metrics from the catalog: `python -m gpupool.telemetry.document [--check]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gpupool.telemetry.catalog import CATALOG, Metric

ROOT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = "deploy/docs/metrics.md"
HEAD: Final = """# Metrics of the operator

Generated from `gpupool.telemetry.catalog` by `make generate`. Served on the metrics port under `/metrics`.
Series of deleted objects end with them. What is unknown is absent, never 0.
"""


def page() -> str:
    """The page's text."""
    rows = "".join(_row(metric) for metric in CATALOG)
    return f"{HEAD}\n| metric | type | labels | meaning |\n|---|---|---|---|\n{rows}"


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{name}`" for name in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or with `--check` only compare; return 1 where it differs."""
    parser = argparse.ArgumentParser(prog="python -m gpupool.telemetry.document", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    options = parser.parse_args(arguments)
    path: Path = options.root / PAGE
    if path.is_file() and path.read_text(encoding="utf-8") == page():
        return 0
    if options.check:
        sys.stderr.write(f"{PAGE} is stale: run `make generate`\n")
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
