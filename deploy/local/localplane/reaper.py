"""Takes a temporary cluster down when the process that made it dies without doing so.

A test run that is killed, or ended by its own timeout, must not leave a control plane behind:
`python -m localplane.reaper --directory D --owner PID`.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from localplane.cluster import Cluster
from localplane.processes import Process, identify, spawn, wait_until

LONGEST_LIFE: Final = 24 * 3600.0
POLL_SECONDS: Final = 1.0


def guard(directory: Path) -> Process:
    """Start a reaper for a cluster of the calling process; it ends when the directory is gone."""
    command = [
        sys.executable,
        "-m",
        "localplane.reaper",
        f"--directory={directory}",
        f"--owner={os.getpid()}",
    ]
    # Not marked as a part of the cluster: `down` must not end the process that runs it.
    return spawn(command, Path(os.devnull), dict(os.environ))


def main() -> int:
    """Wait for the owner's end or the cluster's, whichever comes first."""
    parser = argparse.ArgumentParser(prog="localplane.reaper", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--owner", type=int, required=True)
    chosen = parser.parse_args()
    owner = identify(chosen.owner)
    wait_until(lambda: _over(owner, chosen.directory), LONGEST_LIFE, POLL_SECONDS)
    if chosen.directory.exists():
        Cluster(chosen.directory).down()
        shutil.rmtree(chosen.directory, ignore_errors=True)
    return 0


def _over(owner: Process | None, directory: Path) -> bool:
    return owner is None or not owner.alive or not directory.exists()


if __name__ == "__main__":
    sys.exit(main())
