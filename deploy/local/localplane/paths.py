"""Where things live: the checkout, the cache of compiled programs, and one cluster's directory."""

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
TOOL_MODULES = CHECKOUT / "deploy" / "local" / "tools"
GO_REQUIREMENTS = CHECKOUT / "deploy" / "requirements" / "go.txt"
CHART = CHECKOUT / "charts" / "gpupool"


def cache_directory() -> Path:
    """The cache outside the tree: GPUPOOL_CACHE, else gpupool in the user's cache directory."""
    if chosen := os.environ.get("GPUPOOL_CACHE"):
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).resolve() / "gpupool"


def default_directory() -> Path:
    """The directory of the user's own cluster: GPUPOOL_LOCAL, else `.local` of the checkout."""
    return Path(os.environ.get("GPUPOOL_LOCAL") or CHECKOUT / ".local").resolve()


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one cluster below its directory."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """Admin kubeconfig, for people and tests."""
        return self.root / "kubeconfig"

    @property
    def env(self) -> Path:
        """KEY=value lines with absolute paths and URLs."""
        return self.root / "env"

    @property
    def bin(self) -> Path:
        """Links to kubectl, helm and promtool."""
        return self.root / "bin"

    @property
    def logs(self) -> Path:
        """One file per part, and `pods/` for the runner's containers."""
        return self.root / "logs"

    @property
    def targets(self) -> Path:
        """Prometheus file_sd files (*.json) that anybody may add."""
        return self.root / "targets"

    @property
    def operator_targets(self) -> Path:
        """Prometheus file_sd files that the runner writes for the operator's pods."""
        return self.root / "targets-operator"

    @property
    def rules(self) -> Path:
        """Prometheus rule files (*.yaml) that anybody may add."""
        return self.root / "rules"

    @property
    def private(self) -> Path:
        """Certificates, keys, kubeconfigs of the parts, and data directories."""
        return self.root / "private"

    @property
    def pods(self) -> Path:
        """One private directory for each pod the runner runs."""
        return self.private / "pods"

    @property
    def operator_hold(self) -> Path:
        """Present while `stop operator` is in force; holds the signal's name."""
        return self.private / "hold-operator"

    def pod_hold(self, pod: str) -> Path:
        """Present while one pod alone is held down; holds the signal's name."""
        return self.private / f"hold-pod-{pod}"

    @property
    def state(self) -> Path:
        """What was started, with which ports, and what is held down."""
        return self.root / "state.json"

    def create(self) -> None:
        """Make the directories; the private one is for the user's eyes only."""
        for directory in (self.bin, self.logs, self.targets, self.operator_targets, self.rules, self.pods):
            directory.mkdir(parents=True, exist_ok=True)
        self.private.chmod(0o700)
