"""The chart rendered by real helm; no cluster is needed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from chart.finding import RefusedError
from localplane import toolchain
from localplane.paths import CHART

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


@pytest.fixture(scope="session")
def helm() -> Callable[..., str]:
    """Runs helm and returns what it printed: `helm("lint", path)`."""
    program = str(toolchain.build(quiet=True)["helm"])

    def run(*arguments: str) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RefusedError(done.stderr + done.stdout)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., str]) -> Callable[..., list[Json]]:
    """Renders the chart: `render("image.tag=x", apis=["monitoring.coreos.com/v1/ServiceMonitor"])`."""

    def rendered(*values: str, apis: tuple[str, ...] = (), kube: str = "1.36.0") -> list[Json]:
        sets = [f"--set={value}" for value in values]
        served = [f"--api-versions={api}" for api in apis]
        place = ["--namespace=gpupool-system", f"--kube-version={kube}"]
        text = helm("template", "gpupool", str(CHART), *place, *sets, *served)
        return [document for document in yaml.safe_load_all(text) if document]

    return rendered


@pytest.fixture(scope="session")
def defaults(render: Callable[..., list[Json]]) -> list[Json]:
    """The chart with its default values."""
    return render()
