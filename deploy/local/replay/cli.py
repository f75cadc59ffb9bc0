"""The command line behind `make replay`."""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint
from localplane import release
from localplane.cluster import Cluster
from localplane.errors import PlaneError
from localplane.paths import CHECKOUT
from localplane.progress import say, step
from localplane.reaper import guard
from replay import picture, report
from replay.metering import Meter
from replay.player import Played, Player
from replay.progress import trace_bar
from replay.recording import HOUR, Recording, read_recording
from replay.stage import Stage

WIDTH: Final = 160
"""Columns of the table where there is no terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a trace, print the table, draw the picture; returns 1 where busy hours and truth differ."""
    chosen = _parser().parse_args(arguments)
    try:
        recording = read_recording(chosen.trace, chosen.hours)
        say(_announcement(recording, chosen.speed))
        with own_cluster() as cluster:
            played = asyncio.run(play(cluster, recording, chosen.speed))
    except (PlaneError, TimeoutError) as error:
        print(f"replay: {error}", file=sys.stderr)
    except httpx.HTTPError as error:
        print(f"replay: a part of the plane does not answer ({error!r})", file=sys.stderr)
    except KeyboardInterrupt:
        print("replay: interrupted; the cluster is gone", file=sys.stderr)
    else:
        return show(recording, played, chosen.out)
    return 1


def show(recording: Recording, played: Played, out: Path) -> int:
    """Print the table and write picture and document; returns the exit code."""
    found = report.rows(recording, played)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(report.table(recording, found))
    for line in report.footnotes(recording, played):
        say(f"  {line}")
    picture.draw(recording, played, out)
    document = out.with_suffix(".json")
    document.write_text(json.dumps(report.as_json(recording, played, found), indent=2) + "\n")
    say(f"  picture: {out}; numbers: {document}")
    good = report.agrees(found)
    word = "agree" if good else "DO NOT agree"
    say(f"replay: used GPU-hours and the trace {word} within {report.TOLERANCE:g} %")
    return 0 if good else 1


@contextmanager
def own_cluster() -> Iterator[Cluster]:
    """A cluster of this replay alone, with the operator; gone at the end, however it ends."""
    directory = Path(tempfile.mkdtemp(prefix="gpupool-replay-"))
    guard(directory)
    cluster = Cluster(directory)
    try:
        with step("control plane") as progress:
            cluster.up(on_progress=lambda text: setattr(progress, "detail", text))
            progress.result = f"ready, in {directory}"
        release.install(cluster)
        yield cluster
    finally:
        cluster.down()
        shutil.rmtree(directory, ignore_errors=True)


async def play(cluster: Cluster, recording: Recording, speed: float) -> Played:
    """Build the stage in a cluster with the operator, and play a recording there."""
    with cluster.kube() as kube:
        stage = Stage(cluster, kube, recording)
        with step("stage") as progress:
            stage.build()
            progress.result = f"{stage.nodes} nodes, a pool in Observe, all requests granted"
        async with PrometheusClient(Endpoint(cluster.prometheus_url)) as client:
            meter = Meter(client, stage.pool())
            with trace_bar(recording.length) as show_clock:
                return await Player(recording, stage, meter, speed, show_clock).run()


def _announcement(recording: Recording, speed: float) -> str:
    minutes = recording.length / speed / 60
    return (
        f"replay: {recording.length / HOUR:.2f} h of {recording.file.name}, {len(recording.lives)} pods, "
        f"at {speed:g}x: about {minutes:.1f} minutes"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="replay", description="Play a recorded trace of GPU activity.")
    parser.add_argument("trace", type=Path, help="gzip CSV with the columns t_s, pod, value")
    parser.add_argument(
        "--speed",
        type=_positive,
        default=60.0,
        help="seconds of the trace per second; a scrape a second sees less of each sample the faster it goes",
    )
    parser.add_argument(
        "--hours", type=_positive, default=None, help="play only the first hours of the trace"
    )
    parser.add_argument(
        "--out", type=Path, default=CHECKOUT / ".build" / "replay.png", help="where the picture goes"
    )
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value
