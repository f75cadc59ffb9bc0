"""The control plane of kind, for machines with a Docker engine; everything else stays a local process."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

from localplane.errors import PlaneError
from localplane.paths import CHECKOUT, Layout

CONFIG: Final = CHECKOUT / "kind-config.yaml"
ENGINE_SECONDS: Final = 20.0
CREATE_SECONDS: Final = 600.0
"""The node image is pulled the first time."""

INSTALL_HINT: Final = "go install sigs.k8s.io/kind@v0.32.0"


def cluster_name(layout: Layout) -> str:
    """Name of the kind cluster that belongs to a directory: clusters in other directories have others."""
    return f"gpupool-{hashlib.sha256(str(layout.root).encode()).hexdigest()[:8]}"


def require() -> str:
    """Path of kind, once it is sure that a cluster can be made.

    Raises:
        PlaneError: kind is not installed, or no Docker engine answers; the message says the way out.
    """
    program = _kind()
    if program is None:
        raise PlaneError(
            f"CLUSTER=kind needs the program kind: {INSTALL_HINT}; without it: make up CLUSTER=local"
        )
    if not _engine_answers():
        raise PlaneError(
            "CLUSTER=kind needs a Docker engine and none answers; without one: make up CLUSTER=local"
        )
    return program


def ensure_cluster(layout: Layout) -> None:
    """Create the kind cluster unless it exists, and write its admin kubeconfig.

    Raises:
        PlaneError: It cannot be made here, or kind failed.
    """
    program = require()
    name = cluster_name(layout)
    if name not in _run(program, "get", "clusters").split():
        _run(
            program,
            "create",
            "cluster",
            "--name",
            name,
            "--config",
            str(CONFIG),
            "--kubeconfig",
            str(layout.kubeconfig),
            "--wait",
            "120s",
        )
    _run(program, "export", "kubeconfig", "--name", name, "--kubeconfig", str(layout.kubeconfig))


def delete_cluster(layout: Layout) -> None:
    """Delete the kind cluster of a directory; without kind on this machine there is none.

    Raises:
        PlaneError: kind failed.
    """
    program = _kind()
    if program is not None:
        _run(program, "delete", "cluster", "--name", cluster_name(layout))


def _kind() -> str | None:
    return shutil.which("kind") or shutil.which("kind", path=str(Path.home() / "go" / "bin"))


def _engine_answers() -> bool:
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=ENGINE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _run(program: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=CREATE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PlaneError(f"kind {arguments[0]} did not end within {CREATE_SECONDS:.0f} s") from error
    if done.returncode:
        raise PlaneError(f"kind {' '.join(arguments[:2])} failed:\n{done.stderr.strip()}")
    return done.stdout
