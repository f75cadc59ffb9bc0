"""What a cluster's directory remembers: options, ports, processes and holds."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from localplane.processes import Process

VERSION: Final = 1
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Options:
    """What the maker of a cluster chose; repair uses the same again."""

    kind: bool = False
    """The control plane is kind's; only the other parts are local processes."""

    controller_manager_args: tuple[str, ...] = ()
    """Further flags, for example --node-monitor-grace-period=10s."""

    apiserver_args: tuple[str, ...] = ()
    honor_labels: bool = False
    """Whether the exporter's own pod and namespace labels win over the target's."""

    exporter_labels: tuple[tuple[str, str], ...] = ()
    """Labels of the exporter's target; with `pod` and `namespace` here the series get `exported_pod`."""

    scrape_interval: str = "1s"
    image: str = ""
    """Repository of the image whose pods the runner runs; empty takes the chart's."""

    operator_port: int = 0
    """Port on loopback by which the runner's pods reach the API server; 0 leads straight to it."""


@dataclass(slots=True)
class State:
    """The mutable record behind one cluster; saved after every change."""

    options: Options = field(default_factory=Options)
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)
    """Part to the name of the signal that holds it down: TERM, KILL or STOP."""

    def save(self, path: Path) -> None:
        """Write the record; a reader sees the old one or the new one, never half."""
        content = {"version": VERSION, "boot": _boot_id(), **asdict(self)}
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=2) + "\n")
        partial.replace(path)


def load_state(path: Path) -> State | None:
    """Read the record of a cluster, or None where there is none."""
    try:
        content = json.loads(path.read_text())
    except OSError:
        return None
    # After a reboot no recorded process can be alive, whatever its pid and ticks look like.
    processes = content["processes"] if content["boot"] == _boot_id() else {}
    return State(
        options=_options(content["options"]),
        ports=content["ports"],
        processes={name: Process(**value) for name, value in processes.items()},
        holds=content["holds"],
    )


def _options(content: dict[str, Any]) -> Options:
    return Options(
        **{
            **content,
            "controller_manager_args": tuple(content["controller_manager_args"]),
            "apiserver_args": tuple(content["apiserver_args"]),
            "exporter_labels": tuple((key, value) for key, value in content["exporter_labels"]),
        }
    )


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
