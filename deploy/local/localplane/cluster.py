"""One cluster of the local plane: start it, repair it, hold parts down, take it away."""

import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localplane import kind, podholds, supervise, toolchain
from localplane.certs import write_certificates
from localplane.controlplane import server_url
from localplane.errors import PlaneError
from localplane.kube import Kube
from localplane.kubeconfig import write_kubeconfig
from localplane.locks import directory_lock
from localplane.parts import OPERATOR, OPERATOR_PORT, PORT_NAMES, Part, part_named, parts_of
from localplane.paths import CHART, Layout
from localplane.ports import free_port
from localplane.processes import marked
from localplane.state import Options, State, load_state
from localplane.toolchain import Toolchain

OWN_FILES: Final = ("kubeconfig", "env", "bin", "logs", "targets", "targets-operator", "rules", "private")
LINKED: Final = ("kubectl", "helm", "promtool")
SIGNALS: Final = {"TERM": signal.SIGTERM, "KILL": signal.SIGKILL, "STOP": signal.SIGSTOP}


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One row of `status`."""

    name: str
    pids: tuple[int, ...]
    state: str
    """running, held (SIGNAL), or down."""

    port: int | None
    log: Path


class Cluster:
    """A control plane with its companions, in a directory of its own.

    Everything is kept in files below the directory, so that any process can go on where another left off.
    """

    def __init__(self, directory: Path, *, options: Options | None = None) -> None:
        self.layout = Layout(directory.resolve())
        self._options = options or Options()

    @property
    def kubeconfig(self) -> Path:
        """Admin kubeconfig."""
        return self.layout.kubeconfig

    @property
    def prometheus_url(self) -> str:
        """Base URL of this cluster's Prometheus."""
        return f"http://127.0.0.1:{self.port('prometheus')}"

    @property
    def metrics_url(self) -> str:
        """Where the operator's metrics are."""
        return f"http://127.0.0.1:{self.port(OPERATOR_PORT)}/metrics"

    def port(self, name: str) -> int:
        """A port by name, for example `exporter`."""
        return self.state().ports[name]

    def program(self, name: str) -> Path:
        """A compiled program, for example `kubectl`."""
        return toolchain.build(quiet=True)[name]

    def kube(self) -> Kube:
        """A new admin connection; the caller closes it."""
        return Kube.from_kubeconfig(self.kubeconfig)

    def state(self) -> State:
        """The record of this cluster.

        Raises:
            PlaneError: There is no cluster in this directory.
        """
        state = load_state(self.layout.state)
        if state is None:
            raise PlaneError(f"no cluster in {self.layout.root}: run `make up` first")
        return state

    def up(self, *, on_progress: Callable[[str], None] | None = None) -> None:
        """Start what is not running and wait until it answers; what is held down stays down.

        Args:
            on_progress: Told what is being waited for, as it changes.

        Raises:
            ToolchainError: A program is missing and could not be compiled.
            PartError: A part did not become ready; the message ends with its log's last lines.
        """
        tools = toolchain.build(quiet=True)
        if self._options.kind:
            kind.require()  # before a directory is made that would only have to be taken down again
        with directory_lock(self.layout.root):
            state = load_state(self.layout.state) or self._fresh_state()
            self._write_files(state, tools)
            supervise.start_missing(self.layout, state, tools, on_progress or _say_nothing)

    repair = up

    def down(self) -> None:
        """End every process of this cluster and remove its files; other files in the directory stay."""
        with directory_lock(self.layout.root):
            state = load_state(self.layout.state) or State()
            supervise.kill_everything(self.layout, state.processes.values())
            if state.options.kind:
                kind.delete_cluster(self.layout)
            for name in OWN_FILES:
                _remove(self.layout.root / name)
            self.layout.state.unlink(missing_ok=True)  # last: a `down` that was killed can be repeated
            if not any(self.layout.root.iterdir()):
                self.layout.root.rmdir()

    def stop(self, name: str, signal_name: str = "TERM") -> None:
        """Hold a part down, with all its processes, until `start`.

        Args:
            name: A part, or `operator` for the processes of the release's pods.
            signal_name: TERM and KILL end it, STOP freezes it.

        Raises:
            UnknownPartError: There is no such part.
            TimeoutError: The process would not end.
        """
        number = SIGNALS[signal_name]
        with directory_lock(self.layout.root):
            state = self.state()
            part = None if name == OPERATOR else part_named(name, state.options)
            state.holds[name] = signal_name
            state.save(self.layout.state)
            if part is None:
                podholds.hold(self.layout, signal_name, number, runner_alive=_runner_works(state))
            else:
                supervise.hold(state, part, number)

    def start(self, name: str) -> None:
        """Bring a held part back and wait until it answers.

        Raises:
            UnknownPartError: There is no such part.
            PartError: It did not become ready.
        """
        tools = toolchain.build(quiet=True)
        with directory_lock(self.layout.root):
            state = self.state()
            part = None if name == OPERATOR else part_named(name, state.options)
            state.holds.pop(name, None)
            state.save(self.layout.state)
            if part is None:
                podholds.release(self.layout)
                if "apiserver" not in state.holds:
                    podholds.wait_ready(self.layout)
            else:
                supervise.ensure_running(self.layout, state, tools, part)
                supervise.wait_ready(self.layout, state, part)

    def status(self) -> list[PartStatus]:
        """One row per part that runs as a process of ours."""
        state = self.state()
        rows = [self._part_status(state, part) for part in parts_of(state.options)]
        return [*rows, self._operator_status(state)]

    def _part_status(self, state: State, part: Part) -> PartStatus:
        process = state.processes.get(part.name)
        alive = process is not None and process.alive
        held = state.holds.get(part.name)
        text = f"held ({held})" if held else "running" if alive else "down"
        port = state.ports[part.ports[0]] if part.ports else None
        pids = (process.pid,) if process and alive else ()
        return PartStatus(part.name, pids, text, port, supervise.log_file(self.layout, part.name))

    def _operator_status(self, state: State) -> PartStatus:
        pids = tuple(process.pid for process in marked(self.layout.root, pods_only=True))
        held = state.holds.get(OPERATOR)
        text = f"held ({held})" if held else "running" if pids else "down"
        return PartStatus(OPERATOR, pids, text, state.ports[OPERATOR_PORT], self.layout.logs / "pods")

    def _fresh_state(self) -> State:
        # Processes of a cluster whose directory was deleted by hand would hold nothing but memory.
        supervise.kill_everything(self.layout, ())
        state = State(options=self._options)
        for name in PORT_NAMES:
            state.ports[name] = free_port(frozenset(state.ports.values()))
        return state

    def _write_files(self, state: State, tools: Toolchain) -> None:
        self.layout.create()
        state.save(self.layout.state)
        if state.options.kind:
            kind.ensure_cluster(self.layout)
        else:
            self._write_identities(state)
        for name in LINKED:
            link = self.layout.bin / name
            link.unlink(missing_ok=True)
            link.symlink_to(tools[name])
        # What the PrometheusRule of the chart is to an operated Prometheus, these files are to ours.
        for name in ("recording-rules", "alerts"):
            shutil.copyfile(CHART / "files" / f"{name}.yaml", self.layout.rules / f"gpupool-{name}.yaml")
        values = {
            "KUBECONFIG": str(self.kubeconfig),
            "PROMETHEUS_URL": self.prometheus_url,
            "GPUPOOL_METRICS_URL": self.metrics_url,
        }
        self.layout.env.write_text("".join(f"{key}={value}\n" for key, value in values.items()))

    def _write_identities(self, state: State) -> None:
        certificates = self.layout.private / "certs"
        write_certificates(certificates)
        url = server_url(state)
        write_kubeconfig(self.kubeconfig, url, certificates, "admin")
        for client in ("controller-manager", "scheduler"):
            write_kubeconfig(self.layout.private / f"{client}.kubeconfig", url, certificates, client)


def _runner_works(state: State) -> bool:
    process = state.processes.get("runner")
    return process is not None and process.alive and not process.frozen


def _say_nothing(_text: str) -> None:
    pass


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
