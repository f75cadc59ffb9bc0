"""`gpupool`: argument parsing only."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from gpupool import __version__
from gpupool.errors import GpupoolError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; 0 when it did what was asked, 1 when not, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(
        prog="gpupool", description="GPU capacity as a governed, shared resource."
    )
    parser.add_argument("--version", action="version", version=f"gpupool {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator (configured by GPUPOOL_* variables)")
    release = commands.add_parser("release", help="take back everything the operator wrote into the cluster")
    release.add_argument("--all", action="store_true", required=True, help="of all pools")
    found = parser.parse_args(arguments)
    try:
        return _run() if found.command == "run" else _release()
    except (GpupoolError, OSError) as error:  # OSError: a port is taken, a file cannot be read
        print(f"gpupool: {error}", file=sys.stderr)
        return 1


def _run() -> int:
    # Imported here: `gpupool --version` and `release` need neither kopf nor the planner.
    from gpupool.handlers.process import run  # noqa: PLC0415 - see above
    from gpupool.runtime.settings import read  # noqa: PLC0415 - same
    from gpupool.telemetry.logs import configure  # noqa: PLC0415 - same

    settings = read(os.environ)
    configure(settings.log_level)
    asyncio.run(run(settings, os.environ))
    return 0


def _release() -> int:
    from gpupool.runtime.release import release_all  # noqa: PLC0415 - see above

    return asyncio.run(release_all(os.environ, print))
