"""`make up`: everything a newcomer needs, with a line for each thing that happens."""

from pathlib import Path
from typing import Final

from localplane import companions, release, toolchain
from localplane.cluster import Cluster
from localplane.nodes import add_nodes
from localplane.paths import CHART
from localplane.progress import say, step
from localplane.state import Options

GROUP: Final = "example.com/gpu-group"
DEFAULT_NODES: Final = (
    (2, 8, "NVIDIA-H100-80GB-HBM3", "research"),
    (2, 8, "NVIDIA-A100-SXM4-80GB", "lab"),
    (2, 4, "NVIDIA-L40S", "inference"),
)
"""Count, GPUs, model and group label of the fake nodes of a new cluster."""


def up(directory: Path, *, kind: bool = False, with_release: bool = True) -> None:
    """Start or repair the user's cluster: plane, fake nodes, operator.

    Raises:
        PlaneError: Something did not start; the message says what and where to look.
    """
    toolchain.build(quiet=True)  # shows what it compiles, and nothing when all is there
    cluster = Cluster(directory, options=Options(kind=kind))
    with step("control plane") as progress:
        cluster.up(on_progress=lambda text: setattr(progress, "detail", text))
        progress.result = "ready"
    _ensure_nodes(cluster)
    if with_release:
        _ensure_release(cluster)


def _ensure_nodes(cluster: Cluster) -> None:
    if "apiserver" in cluster.state().holds:
        return
    with cluster.kube() as kube:
        existing = kube.list("/api/v1/nodes")
        if any("kwok.x-k8s.io/node" in node["metadata"].get("annotations", {}) for node in existing):
            return
        for count, gpus, model, group in DEFAULT_NODES:
            names = add_nodes(kube, count, gpus, model, {GROUP: group})
            say(f"  fake nodes: {', '.join(names)}: {gpus} x {model}, {GROUP}={group}")


def _ensure_release(cluster: Cluster) -> None:
    if not (CHART / "Chart.yaml").exists():
        say("  operator: charts/gpupool does not exist yet, nothing installed")
        return
    if not companions.exists_module("gpupool.runtime"):
        say("  operator: `gpupool run` is not part of this checkout yet, nothing installed")
        return
    if "apiserver" in cluster.state().holds:
        say("  operator: the API server is held down, nothing installed")
        return
    release.install(cluster)
