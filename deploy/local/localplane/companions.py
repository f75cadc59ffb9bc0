"""Command lines and files of the parts beside the control plane: kwok, Prometheus, exporter, runner."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import yaml

from localplane.paths import Layout
from localplane.state import State
from localplane.toolchain import Toolchain

STAGES: Final = Path(__file__).with_name("stages.yaml")
LEASE_SECONDS: Final = 40


def kwok_command(layout: Layout, state: State, tools: Toolchain) -> list[str]:
    """Kwok for nodes with the annotation `kwok.x-k8s.io/node: fake`, and for no other node."""
    return [
        str(tools["kwok"]),
        f"--kubeconfig={layout.kubeconfig}",
        f"--config={STAGES}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--cidr=10.244.0.0/16",
        "--node-ip=127.0.0.1",
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
        f"--server-address=127.0.0.1:{state.ports['kwok']}",
    ]


def prometheus_command(layout: Layout, state: State, tools: Toolchain) -> list[str]:
    """A real Prometheus on loopback, reading the configuration written here."""
    config = layout.private / "prometheus.yaml"
    config.write_text(yaml.safe_dump(prometheus_config(layout, state), sort_keys=False))
    return [
        str(tools["prometheus"]),
        f"--config.file={config}",
        f"--storage.tsdb.path={layout.private / 'prometheus'}",
        "--storage.tsdb.retention.time=2d",
        f"--web.listen-address=127.0.0.1:{state.ports['prometheus']}",
        "--web.enable-lifecycle",
        "--scrape.discovery-reload-interval=1s",  # a new target file counts after a second, not after five
        "--log.level=warn",
    ]


def prometheus_config(layout: Layout, state: State) -> dict[str, Any]:
    """Scrape configuration: exporter, operator, and whatever lies in the target directories."""
    options = state.options
    exporter = {
        "job_name": "dcgm-exporter",
        "honor_labels": options.honor_labels,
        "static_configs": [
            {"targets": [f"127.0.0.1:{state.ports['exporter']}"], "labels": dict(options.exporter_labels)}
        ],
    }
    # Every pod with an engine is a target of its own, as a PodMonitor would find it (localplane.engines).
    engines = {
        "job_name": "engines",
        "honor_labels": True,  # as the kubelet's job has it: cAdvisor names the pods it speaks of
        "http_sd_configs": [
            {"url": f"http://127.0.0.1:{state.ports['exporter']}/engines/targets", "refresh_interval": "1s"}
        ],
    }
    operator = {"job_name": "gpupool", **_file_targets(layout.operator_targets)}
    # A target file may set its own `job` label: a second exporter can call itself dcgm-exporter.
    targets = {"job_name": "targets", **_file_targets(layout.targets)}
    return {
        "global": {
            "scrape_interval": options.scrape_interval,
            "scrape_timeout": options.scrape_interval,
            "evaluation_interval": options.scrape_interval,
        },
        "rule_files": [str(layout.rules / "*.yaml")],
        "scrape_configs": [
            {"fallback_scrape_protocol": "PrometheusText0.0.4"} | job
            for job in (exporter, engines, operator, targets)
        ],
    }


def exporter_command(layout: Layout, state: State, _tools: Toolchain) -> list[str]:
    """The fake DCGM exporter of this package."""
    return [
        *_python_module("localplane.exporter"),
        f"--kubeconfig={layout.kubeconfig}",
        f"--port={state.ports['exporter']}",
        f"--checkpoint={layout.private / 'gpus.json'}",
    ]


def runner_command(layout: Layout, _state: State, _tools: Toolchain) -> list[str]:
    """The process that runs the release's pods."""
    (layout.private / "runner-ready").unlink(missing_ok=True)  # an earlier runner's word
    return [*_python_module("localplane.runner"), f"--directory={layout.root}"]


def exists_module(module: str) -> bool:
    """Whether a module of ours is part of this checkout."""
    return find_spec(module) is not None


def exists(module: str) -> bool:
    """Whether a package of ours is there to be started with `python -m`."""
    return exists_module(module) and find_spec(f"{module}.__main__") is not None


def _python_module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def _file_targets(directory: Path) -> dict[str, Any]:
    return {"file_sd_configs": [{"files": [str(directory / "*.json")], "refresh_interval": "5s"}]}
