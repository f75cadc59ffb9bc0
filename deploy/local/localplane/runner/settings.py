"""What the runner is told: where it works and which pods are its own."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from localplane.paths import CHART, Layout

NODE: Final = "gpupool-runner"
NAMESPACE: Final = "gpupool-system"
LABEL: Final = "gpupool.dev/runner"
IMAGE: Final = "gpupool"
"""Repository of the image where there is no chart to ask."""

PORT_VARIABLES: Final = ("GPUPOOL_METRICS_PORT", "GPUPOOL_HEALTH_PORT", "GPUPOOL_METRICS_API_PORT")


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """The runner's place in the world."""

    layout: Layout
    metrics_port: int
    """Where the runner itself listens, and passes on the metrics of the pod that leads."""

    server_host: str
    server_port: int
    image: str
    """Repository of the chart's image; pods with other images are not run."""

    namespace: str = NAMESPACE
    node: str = NODE
    programs: Path = Path(sys.executable).parent
    """First on the PATH of every container: the image's content, so to speak (the checkout's `.venv/bin`)."""


def chart_image() -> str:
    """Image repository of the chart's default values."""
    values = CHART / "values.yaml"
    if not values.exists():
        return IMAGE
    image = yaml.safe_load(values.read_text()).get("image") or {}
    return str(image.get("repository", IMAGE))


def repository(image: str) -> str:
    """An image reference without its tag and digest."""
    name = image.partition("@")[0]
    head, _, tail = name.rpartition(":")
    return head if head and "/" not in tail else name
