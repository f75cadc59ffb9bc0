"""`gpupool`: argument parsing only."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from gpupool import __version__
from gpupool.cli.audit import arguments as audit_arguments
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
    commands.add_parser("check", help="say whether this install works (what `helm test` runs)")
    _adopting(commands.add_parser("adopt", help="print drafts of shares and requests for what runs today"))
    auditing = commands.add_parser("audit", help="try the threat table on a cluster, by dry run")
    audit_arguments(auditing)
    found = parser.parse_args(arguments)
    try:
        if found.command == "audit":
            return asyncio.run(_audit(found))
        if found.command == "adopt":
            return _adopt(found)
        if found.command == "check":
            return _check()
        return _run() if found.command == "run" else _release()
    except (GpupoolError, OSError) as error:  # OSError: a port is taken, a file cannot be read
        print(f"gpupool: {error}", file=sys.stderr)
        return 1


async def _audit(found: argparse.Namespace) -> int:
    from gpupool.cli.audit.command import audit  # noqa: PLC0415 - see below

    return await audit(found, os.environ)


def _adopting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pool", help="name of the GpuPool")
    parser.add_argument("--prometheus", default="", metavar="URL", help="where use and peaks are asked for")
    parser.add_argument(
        "--exempt",
        action="append",
        metavar="NAMESPACE",
        help="namespace of the system, as in the chart's exemptNamespaces; may be repeated",
    )
    parser.add_argument(
        "--retire-quota",
        action="store_true",
        help="print the commands that delete ResourceQuotas of others which count the same GPUs",
    )


def _adopt(found: argparse.Namespace) -> int:
    from gpupool.cli.adopt import EXEMPT, adopt_pool  # noqa: PLC0415 - see below

    text = asyncio.run(
        adopt_pool(
            os.environ,
            found.pool,
            prometheus=found.prometheus,
            exempt=found.exempt or EXEMPT,
            retire=found.retire_quota,
        )
    )
    print(text, end="")
    return 0


def _run() -> int:
    # Imported here: `gpupool --version` and `release` need neither kopf nor the planner.
    from gpupool.cli.run import run  # noqa: PLC0415 - see above
    from gpupool.runtime.settings import read  # noqa: PLC0415 - same
    from gpupool.telemetry.logs import configure  # noqa: PLC0415 - same

    settings = read(os.environ)
    configure(settings.log_level)
    asyncio.run(run(settings, os.environ))
    return 0


def _check() -> int:
    from gpupool.cli.check import check  # noqa: PLC0415 - see above
    from gpupool.runtime.settings import read  # noqa: PLC0415 - same

    return asyncio.run(check(os.environ, read(os.environ), print))


def _release() -> int:
    from gpupool.cli.release import release_all  # noqa: PLC0415 - see above

    return asyncio.run(release_all(os.environ, print))
