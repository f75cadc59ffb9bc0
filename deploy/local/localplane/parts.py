"""The parts of a plane: what starts them, what they need, and when they are ready."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import httpx

from localplane import companions, controlplane
from localplane.errors import PlaneError, UnknownPartError
from localplane.kube import Kube
from localplane.paths import Layout
from localplane.state import Options, State
from localplane.toolchain import Toolchain

Command: TypeAlias = Callable[[Layout, State, Toolchain], list[str]]
Check: TypeAlias = Callable[[Layout, State], bool]

PROBE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the plane."""

    name: str
    command: Command
    ready: Check
    ports: tuple[str, ...] = ()
    """Names of the ports it listens on; the first is the one people are shown."""

    after: tuple[str, ...] = ()
    """Parts that must be ready before this one starts."""

    module: str = ""
    """The Python module it runs, where it is one of ours."""

    control_plane: bool = False
    """Whether kind brings it."""

    start_seconds: float = 90.0
    stop_seconds: float = 20.0


def _answers(port: str, path: str, scheme: str = "http") -> Check:
    def check(_layout: Layout, state: State) -> bool:
        url = f"{scheme}://127.0.0.1:{state.ports[port]}{path}"
        try:
            # The health ports show certificates of their own making; we only ask "are you there".
            answer = httpx.get(url, timeout=PROBE_SECONDS, verify=False, trust_env=False)  # noqa: S501 - loopback
        except httpx.HTTPError:
            return False
        return answer.is_success

    return check


def _apiserver_ready(layout: Layout, _state: State) -> bool:
    try:
        with Kube.from_kubeconfig(layout.kubeconfig, timeout=PROBE_SECONDS) as kube:
            return bool(kube.request("GET", "/readyz") == "ok")
    except (httpx.HTTPError, PlaneError):
        return False


def _runner_ready(layout: Layout, _state: State) -> bool:
    return (layout.private / "runner-ready").exists()


PARTS: Final = (
    Part(
        "etcd",
        controlplane.etcd_command,
        _answers("etcd", "/health"),
        ("etcd", "etcd-peer"),
        control_plane=True,
    ),
    Part(
        "apiserver",
        controlplane.apiserver_command,
        _apiserver_ready,
        ("apiserver",),
        after=("etcd",),
        control_plane=True,
    ),
    Part(
        "controller-manager",
        controlplane.controller_manager_command,
        _answers("controller-manager", "/healthz", "https"),
        ("controller-manager",),
        after=("apiserver",),
        control_plane=True,
    ),
    Part(
        "scheduler",
        controlplane.scheduler_command,
        _answers("scheduler", "/healthz", "https"),
        ("scheduler",),
        after=("apiserver",),
        control_plane=True,
    ),
    Part("kwok", companions.kwok_command, _answers("kwok", "/healthz"), ("kwok",), after=("apiserver",)),
    Part("prometheus", companions.prometheus_command, _answers("prometheus", "/-/ready"), ("prometheus",)),
    Part(
        "exporter",
        companions.exporter_command,
        _answers("exporter", "/metrics"),
        ("exporter",),
        after=("apiserver",),
        module="localplane.exporter",
    ),
    Part(
        "runner",
        companions.runner_command,
        _runner_ready,
        after=("apiserver",),
        module="localplane.runner",
    ),
)
"""In the order a person reads them."""

OPERATOR: Final = "operator"
"""The part that is not one process: the local processes of the release's pods, kept by the runner."""

OPERATOR_PORT: Final = "operator-metrics"
PORT_NAMES: Final = (*(port for part in PARTS for port in part.ports), OPERATOR_PORT)


def parts_of(options: Options) -> tuple[Part, ...]:
    """The parts that run as our own processes with these options."""
    return tuple(
        part
        for part in PARTS
        if not (options.kind and part.control_plane) and (not part.module or companions.exists(part.module))
    )


def part_named(name: str, options: Options) -> Part:
    """Look up a part that runs as our own process.

    Raises:
        UnknownPartError: No such part runs here (kind keeps its own); the message lists those that do.
    """
    parts = parts_of(options)
    for part in parts:
        if part.name == name:
            return part
    known = ", ".join([OPERATOR, *(part.name for part in parts)])
    raise UnknownPartError(f"no part is called {name!r}; parts are: {known}")
