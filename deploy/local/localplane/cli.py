"""The command line behind `make tools | up | down | status | stop | start | nodes`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from localplane import foreigncrds, nodes, toolchain
from localplane.cluster import SIGNALS, Cluster
from localplane.errors import PlaneError
from localplane.newcomer import up
from localplane.paths import default_directory
from localplane.progress import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    chosen, rest = parser.parse_known_args(arguments)
    if rest and chosen.command != "nodes":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    try:
        return _run(chosen, rest)
    except (PlaneError, TimeoutError) as error:
        print(f"gpupool: {error}", file=sys.stderr)
    except httpx.HTTPError as error:
        print(f"gpupool: a part does not answer ({error}); see `make status`", file=sys.stderr)
    except KeyboardInterrupt:
        print("gpupool: interrupted; the same command goes on from here", file=sys.stderr)
    return 1


def _run(chosen: argparse.Namespace, rest: list[str]) -> int:
    cluster = Cluster(chosen.directory)
    match chosen.command:
        case "tools":
            toolchain.build()
            foreigncrds.fetch()
        case "up":
            up(chosen.directory, kind=chosen.cluster == "kind", with_release=not chosen.no_release)
        case "down":
            cluster.down()
            say(f"gpupool: nothing runs any more, {chosen.directory} is clean")
        case "status":
            show(cluster)
        case "stop":
            cluster.stop(chosen.part, chosen.signal)
            say(f"gpupool: {chosen.part} is held ({chosen.signal}) until `make start PART={chosen.part}`")
        case "start":
            cluster.start(chosen.part)
            say(f"gpupool: {chosen.part} runs")
        case _:
            cluster.state()  # says what to do where there is no cluster
            return nodes.main(rest, cluster.kubeconfig)
    return 0


def show(cluster: Cluster) -> None:
    """Print what runs, where, and how to talk to it."""
    rows = cluster.status()
    table = Table(title=f"gpupool plane in {cluster.layout.root}", title_justify="left")
    for heading in ("part", "pid", "state", "port", "log"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        colour = "green" if row.state == "running" else "yellow" if row.state.startswith("held") else "red"
        pids = " ".join(str(pid) for pid in row.pids)
        table.add_row(
            row.name,
            pids,
            f"[{colour}]{row.state}[/]",
            str(row.port or ""),
            str(row.log.relative_to(cluster.layout.root)),
        )
    Console().print(table)
    say(cluster.layout.env.read_text().strip())
    say(f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.layout.bin}:$PATH")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localplane", description="The local control plane of gpupool.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text, add_help=name != "nodes")
        command.add_argument("--directory", type=_directory, default=default_directory())
        if name == "up":
            command.add_argument("--cluster", choices=("local", "kind"), default="local")
            command.add_argument("--no-release", action="store_true", help="leave the operator's chart out")
        if name in ("stop", "start"):
            command.add_argument("part")
        if name == "stop":
            command.add_argument("--signal", choices=sorted(SIGNALS), default="TERM")
    return parser


def _directory(text: str) -> Path:
    return Path(text).resolve()


_COMMANDS = {
    "tools": "compile the programs",
    "up": "start or repair the cluster",
    "down": "stop everything and leave nothing",
    "status": "say what runs",
    "stop": "hold a part down",
    "start": "bring a held part back",
    "nodes": "add, cordon or remove fake GPU nodes",
}
