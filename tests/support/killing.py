"""kill -9 for the operator's processes: all of them, or the one that sent a request."""

import threading
from contextlib import suppress
from pathlib import Path

from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.processes import Process, marked
from localplane.runner.settings import NAMESPACE
from support.plane import eventually

NOTICE_SECONDS = 60.0
"""Within which the node notices what its processes do, on a busy machine."""
TCP = Path("/proc/net/tcp")
LOCAL, INODE = 1, 9
"""Columns of /proc/net/tcp: address as hex, inode of the socket."""


_killing = threading.Lock()
"""A second killing would take the hold of the first away, and wait for the lives that the first ends."""


def operators(cluster: Cluster) -> tuple[Process, ...]:
    """The living processes of the operator's pods."""
    return tuple(marked(cluster.layout.root, pods_only=True))


def kill_sender(cluster: Cluster, port: int) -> int:
    """KILL the one process that has a connection from this local port; the others may take over.

    Returns:
        How many that were: 0 when it is gone already.
    """
    socket = _socket(port)
    victims = [p for p in operators(cluster) if socket and _holds(p, socket)]
    for process in victims:
        process.kill()
    return len(victims)


def kill_all(cluster: Cluster, kube: Kube) -> int:
    """KILL every process of the operator and let the node start them anew at once.

    Returns:
        How many there were.
    """
    hold = cluster.layout.operator_hold
    with _killing:
        eventually(
            lambda: _reported(kube) >= {p.pid for p in operators(cluster)},
            "the node reports what runs",
            NOTICE_SECONDS,
        )
        # A death under a hold waits for the hold's end, any other for a back-off that grows to half a minute.
        hold.write_text("KILL")
        try:
            victims = operators(cluster)
            for process in victims:
                process.kill()
            eventually(lambda: not _reported(kube), "the node notices the deaths", NOTICE_SECONDS)
        finally:
            hold.unlink(missing_ok=True)
        return len(victims)


def _reported(kube: Kube) -> set[int]:
    """Pids of the operator's processes that the node says are running."""
    pods = kube.list(f"/api/v1/namespaces/{NAMESPACE}/pods")
    rows = [row for pod in pods for row in pod.get("status", {}).get("containerStatuses", [])]
    return {int(row["containerID"].rpartition("/")[2]) for row in rows if "running" in row["state"]}


def _socket(port: int) -> str:
    """What /proc calls the socket with this local port; empty where there is none."""
    rows = (line.split() for line in TCP.read_text().splitlines()[1:])
    return next((f"socket:[{row[INODE]}]" for row in rows if row[LOCAL].endswith(f":{port:04X}")), "")


def _holds(process: Process, socket: str) -> bool:
    with suppress(OSError):
        for entry in Path(f"/proc/{process.pid}/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()) == socket:
                    return True
    return False
