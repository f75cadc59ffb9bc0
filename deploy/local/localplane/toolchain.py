"""Compile the programs of the plane from pinned Go modules, once, into a cache outside the tree.

Each family is a small Go module below `deploy/local/tools` that holds nothing but `go.mod` and `go.sum`.
A family's programs live in `<cache>/tools/<hash of go.mod, go.sum and flags>/bin`.
"""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localplane.errors import ToolchainError
from localplane.gotool import find_go
from localplane.locks import exclusive
from localplane.paths import TOOL_MODULES, cache_directory
from localplane.progress import Step, say, step

KUBERNETES_VERSION: Final = "v1.36.3"
HELM_VERSION: Final = "v4.3.1"

_STRIP: Final = ("-s", "-w")


@dataclass(frozen=True, slots=True)
class Family:
    """The programs that one Go module builds."""

    name: str
    programs: tuple[tuple[str, str], ...]
    """Pairs of program name and Go package."""

    ldflags: tuple[str, ...] = ()
    tags: str = ""

    def flags(self) -> list[str]:
        """Arguments of `go build` before the package."""
        tags = ["-tags", self.tags] if self.tags else []
        return ["-trimpath", *tags, "-ldflags", " ".join(_STRIP + self.ldflags)]

    def digest(self) -> str:
        """Hash of everything that decides what the programs are."""
        module = TOOL_MODULES / self.name
        content = [(module / name).read_bytes() for name in ("go.mod", "go.sum")]
        content.append(repr((self.programs, self.flags())).encode())
        return hashlib.sha256(b"\0".join(content)).hexdigest()[:20]


def _kubernetes_flags() -> tuple[str, ...]:
    # Without these the API server calls itself v0.0.0-master, and whatever parses /version breaks.
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    values = {
        "gitVersion": KUBERNETES_VERSION,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "modules",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(f"-X {package}.{key}={value}" for package in packages for key, value in values.items())


FAMILIES: Final = (
    Family("etcd", (("etcd", "go.etcd.io/etcd/server/v3"),)),
    Family(
        "k8s",
        tuple(
            (name, f"k8s.io/kubernetes/cmd/{name}")
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        ),
        _kubernetes_flags(),
    ),
    Family("kwok", (("kwok", "sigs.k8s.io/kwok/cmd/kwok"),)),
    Family(
        "prometheus",
        (
            ("prometheus", "github.com/prometheus/prometheus/cmd/prometheus"),
            ("promtool", "github.com/prometheus/prometheus/cmd/promtool"),
        ),
        tags="remove_all_sd",  # static and file targets are enough here, and the build is four times faster
    ),
    Family(
        "helm",
        (("helm", "helm.sh/helm/v4/cmd/helm"),),
        (f"-X helm.sh/helm/v4/internal/version.version={HELM_VERSION}",),
    ),
)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Compiled programs by name."""

    programs: dict[str, Path]

    def __getitem__(self, program: str) -> Path:
        return self.programs[program]


def build(*, quiet: bool = False) -> Toolchain:
    """Compile what is missing and return where every program is.

    Args:
        quiet: Say nothing about programs that are already there.

    Raises:
        ToolchainError: No usable Go, or a build failed (with the compiler's last lines).
    """
    cache = cache_directory()
    programs: dict[str, Path] = {}
    for family in FAMILIES:
        programs |= _build_family(family, cache, quiet=quiet)
    return Toolchain(programs)


def _build_family(family: Family, cache: Path, *, quiet: bool) -> dict[str, Path]:
    home = cache / "tools" / family.digest()
    wanted = {name: home / "bin" / name for name, _ in family.programs}
    if not all(path.exists() for path in wanted.values()):
        with exclusive(home / "lock"):
            for name, package in family.programs:
                _build_program(family, name, package, wanted[name], cache)
    elif not quiet:
        for name in wanted:
            say(f"  {name:<24}  cached")
    return wanted


def _build_program(family: Family, name: str, package: str, target: Path, cache: Path) -> None:
    if target.exists():  # another process built it while we waited for the lock
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{name}.{os.getpid()}")
    command = [find_go(cache), "build", "-v", *family.flags(), "-o", str(partial), package]
    with step(name) as progress:
        progress.detail = "compiling"
        failure = _run_go(command, TOOL_MODULES / family.name, progress)
        if failure:
            partial.unlink(missing_ok=True)
            raise ToolchainError(f"building {name} failed:\n{failure}")
        partial.rename(target)  # atomic: a killed build leaves no half program under the final name
        progress.result = f"built, {target.stat().st_size / 1e6:.0f} MB"


def _run_go(command: list[str], module: Path, progress: Step) -> str:
    """Run the Go command in a module's directory; returns "" or the last lines of a failure."""
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOWORK": "off",
    }
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=module, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        for line in process.stdout:
            lines.append(line.rstrip())
            progress.detail = f"{len(lines)} packages, {lines[-1][-60:]}"
    return "\n".join(lines[-15:]) if process.returncode else ""
