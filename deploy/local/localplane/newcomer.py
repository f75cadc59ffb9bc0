"""`make up`: everything a newcomer needs, with a line for each thing that happens."""

from importlib import import_module
from pathlib import Path
from typing import Final

from localplane import companions, toolchain
from localplane.cluster import Cluster
from localplane.paths import CHART
from localplane.progress import say, step
from localplane.state import Options

DEFAULT_NODES: Final = (
    ("2", "8", "NVIDIA-H100-80GB-HBM3"),
    ("2", "8", "NVIDIA-A100-SXM4-80GB"),
    ("2", "4", "NVIDIA-L40S"),
)
"""Count, GPUs and model of the fake nodes of a new cluster."""


def up(directory: Path, *, kind: bool = False, release: bool = True) -> None:
    """Start or repair the user's cluster: plane, fake nodes, operator.

    Raises:
        PlaneError: Something did not start; the message says what and where to look.
    """
    toolchain.build()
    cluster = Cluster(directory, options=Options(kind=kind))
    with step("control plane") as progress:
        cluster.up(on_progress=lambda text: setattr(progress, "detail", text))
        progress.result = "ready"
    _ensure_nodes(cluster)
    if release:
        _ensure_release(cluster)


def _ensure_nodes(cluster: Cluster) -> None:
    if not companions.exists_module("localplane.nodes"):
        say("  fake nodes: not part of this checkout yet")
        return
    with cluster.kube() as kube:
        if any(
            "kwok.x-k8s.io/node" in node["metadata"].get("annotations", {})
            for node in kube.list("/api/v1/nodes")
        ):
            return
    nodes = import_module("localplane.nodes")
    for count, gpus, model in DEFAULT_NODES:
        nodes.main(["--add", count, "--gpus", gpus, "--model", model], cluster.kubeconfig)


def _ensure_release(cluster: Cluster) -> None:
    if not (CHART / "Chart.yaml").exists():
        say("  operator: charts/gpupool does not exist yet, nothing installed")
        return
    import_module("localplane.release").install(cluster)
