"""Entry point: `python -m localplane.exporter`."""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from localplane.engines.fleet import EngineFleet
from localplane.engines.pages import EnginePages
from localplane.errors import PlaneError
from localplane.exporter.faults import Faults
from localplane.exporter.fleet import Fleet
from localplane.exporter.labels import LabelStyle
from localplane.exporter.reflect import Reflector
from localplane.exporter.render import debug_state, render
from localplane.exporter.serve import Pages, Server
from localplane.exporter.shown import Showing
from localplane.exporter.static import render_file
from localplane.exporter.traces import TraceClock, TraceLibrary
from localplane.kube import Kube

BOUND: Final = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
CONTROLS: Final = frozenset({"epoch", "speed", "traces", "faults", "engines"})


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    try:
        pages = static_pages(args.static) if args.static else live_pages(args, stop)
        server = Server(args.port, pages)
    except (PlaneError, OSError) as error:
        print(f"exporter: {error}", file=sys.stderr)
        return 1
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop.wait()
    server.shutdown()
    return 0


def static_pages(path: Path) -> Pages:
    """Pages of an exporter that serves a file."""
    return Pages(lambda: render_file(path), lambda: {"static": str(path)}, lambda: True, _no_control)


def live_pages(args: argparse.Namespace, stop: threading.Event) -> Pages:
    """Pages of an exporter that follows a cluster, and the threads that keep it up to date."""
    clock = TraceClock(args.epoch or time.time(), args.speed)
    faults = Faults()
    showing = Showing(TraceLibrary(args.traces), clock)
    engines = EngineFleet(lambda: showing.clock, lambda: showing.traces)
    pages = EnginePages(engines, f"127.0.0.1:{args.port}", time.time)
    fleet = Fleet(showing, args.label_style, args.checkpoint, pages.gpus)

    def replace_all(pods: Iterable[Mapping[str, Any]]) -> None:
        listed = list(pods)
        fleet.replace_pods(listed)
        engines.replace_pods(listed)

    def event(kind: str, pod: Mapping[str, Any]) -> None:
        fleet.pod_event(kind, pod)
        engines.pod_event(kind, pod)

    reflectors = [
        Reflector(
            Kube.from_kubeconfig(args.kubeconfig), "/api/v1/nodes", fleet.replace_nodes, fleet.node_event
        ),
        Reflector(
            Kube.from_kubeconfig(args.kubeconfig),
            "/api/v1/pods",
            replace_all,
            event,
            BOUND,
        ),
    ]
    for reflector in reflectors:
        threading.Thread(target=reflector.run, args=(stop,), daemon=True).start()
    return Pages(
        metrics=lambda: render(faults.apply(fleet.read(time.time()))),
        state=lambda: debug_state(fleet.read(time.time())) | _replay(fleet.showing),
        ready=lambda: all(reflector.synced.is_set() for reflector in reflectors),
        control=lambda change: control(showing, change, faults, engines),
        engines=pages.answer,
    )


def control(
    showing: Showing,
    change: dict[str, Any],
    faults: Faults | None = None,
    engines: EngineFleet | None = None,
) -> dict[str, Any]:
    """Change the replay: `epoch` (unix time of the trace's second 0), `speed`, `traces`; `faults`; `engines`.

    Returns:
        What holds now.

    Raises:
        ValueError: An unknown key, or a value of the wrong type.
    """
    if unknown := set(change) - CONTROLS:
        raise ValueError(f"control: unknown {sorted(unknown)}; use {sorted(CONTROLS)}")
    if faults is not None and "faults" in change:
        faults.set(change["faults"])
    if engines is not None and "engines" in change:
        engines.overlay(change["engines"])
    if "traces" in change:
        path = Path(str(change["traces"]))
        if not path.exists():
            raise ValueError(f"control: traces: {path} does not exist")
        showing.traces = TraceLibrary(path)
    showing.clock = TraceClock(
        float(change.get("epoch", showing.clock.epoch)), float(change.get("speed", showing.clock.speed))
    )
    return _replay(showing)


def _replay(showing: Showing) -> dict[str, Any]:
    return {"epoch": showing.clock.epoch, "speed": showing.clock.speed}


def _no_control(_change: dict[str, Any]) -> Any:
    raise ValueError("control: this exporter serves a file; edit the file")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localplane.exporter", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--kubeconfig", type=Path, help="follow the nodes and pods of this cluster")
    source.add_argument("--static", type=Path, help="serve the series of this JSON file instead")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--label-style", type=LabelStyle, choices=list(LabelStyle), default=LabelStyle.POD)
    parser.add_argument("--traces", type=Path, help="directory of traces, or one .csv.gz file")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of a trace per second")
    parser.add_argument(
        "--epoch", type=float, default=0.0, help="unix time of a trace's second 0; default: now"
    )
    parser.add_argument("--checkpoint", type=Path, help="file that keeps who holds which GPU over a restart")
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
