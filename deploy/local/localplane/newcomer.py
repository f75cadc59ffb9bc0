"""`make up`: everything a newcomer needs, with a line for each thing that happens."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from localplane import release, toolchain
from localplane.cluster import Cluster
from localplane.nodes import GROUP, Json, create_nodes, default_nodes
from localplane.paths import CHART
from localplane.progress import say, step
from localplane.state import Options


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
        wanted = default_nodes()
        create_nodes(kube, wanted)
        say(f"  fake nodes: {_summary(wanted)}")


def _summary(manifests: Iterable[Json]) -> str:
    """`4 in research, 8 in lab, 2 without GPUs`."""
    groups = Counter(m["metadata"]["labels"].get(GROUP, "") for m in manifests)
    return ", ".join(f"{n} in {GROUP}={g}" if g else f"{n} without GPUs" for g, n in groups.items())


def _ensure_release(cluster: Cluster) -> None:
    if not (CHART / "Chart.yaml").exists():
        say("  operator: charts/gpupool does not exist yet, nothing installed")
        return
    if "apiserver" in cluster.state().holds:
        say("  operator: the API server is held down, nothing installed")
        return
    release.install(cluster)
