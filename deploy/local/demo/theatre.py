"""The demo's own cluster: made from nothing, gone at the end unless it is to be kept."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from localplane.cluster import Cluster
from localplane.progress import say
from localplane.reaper import guard
from localplane.state import Options

LOGS: Final = "logs"
PICTURE: Final = "story.png"
DAY: Final = "endpoints.png"
FAST_HPA: Final = Options(controller_manager_args=("--horizontal-pod-autoscaler-sync-period=1s",))
"""The HPA controller looks every second, so that seconds can stand for minutes."""


@contextmanager
def theatre(directory: Path, *, keep: bool) -> Iterator[Cluster]:
    """A cluster below `directory` that ends with the block, however it ends.

    Args:
        directory: The demo's directory; the pictures and the logs of a failure stay there.
        keep: Leave the cluster running.

    Yields:
        A cluster that is not up yet.
    """
    cluster = Cluster(directory / "cluster", options=FAST_HPA)
    _clear(cluster, directory)
    cluster.layout.root.mkdir(parents=True)
    if not keep:
        guard(cluster.layout.root)  # for the case that this process is killed outright
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield cluster
    except BaseException:
        _save_logs(cluster, directory)
        raise
    finally:
        if keep and cluster.layout.state.exists():
            say(f"\nThe cluster is kept. Look at it with\n{_how_to_look(cluster)}")
        else:
            _take_down(cluster)


def _clear(cluster: Cluster, directory: Path) -> None:
    """A demo starts from nothing: what an earlier one left is taken away."""
    shutil.rmtree(directory / LOGS, ignore_errors=True)
    for picture in (PICTURE, DAY):
        (directory / picture).unlink(missing_ok=True)
    if cluster.layout.root.exists():
        say(f"taking down what an earlier demo kept in {cluster.layout.root}")
        _take_down(cluster)


def _take_down(cluster: Cluster) -> None:
    if cluster.layout.root.exists():
        cluster.down()
    shutil.rmtree(cluster.layout.root, ignore_errors=True)


def _save_logs(cluster: Cluster, directory: Path) -> None:
    if cluster.layout.logs.exists():
        shutil.copytree(cluster.layout.logs, directory / LOGS, dirs_exist_ok=True)


def _how_to_look(cluster: Cluster) -> str:
    return (
        f"  export KUBECONFIG={cluster.kubeconfig} PATH={cluster.layout.bin}:$PATH\n"
        f"  kubectl get gpool,capreq,islo -A; Prometheus: {cluster.prometheus_url}\n"
        f"and end it with\n"
        f"  .venv/bin/python -m localplane down --directory {cluster.layout.root}"
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
