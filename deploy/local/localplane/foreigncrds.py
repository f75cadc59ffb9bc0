"""CRDs of others, out of pinned Go modules: fetched once into the cache, never copied into the tree.

`go mod download` fetches the modules' zips alone, and compares them with `go.sum`. Nothing is compiled.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from localplane.errors import ToolchainError
from localplane.gotool import find_go
from localplane.locks import exclusive
from localplane.paths import TOOL_MODULES, cache_directory
from localplane.progress import say, step

MODULE: Final = TOOL_MODULES / "crds"
FILES: Final = (
    ("keda", "github.com/kedacore/keda/v2", "config/crd/bases/keda.sh_scaledobjects.yaml"),
    ("vpa", "k8s.io/autoscaler/vertical-pod-autoscaler", "deploy/vpa-v1-crd-gen.yaml"),
    (
        "podmonitor",
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
    ),
)
"""Name, module, and the path in it."""

Json = dict[str, Any]


def crds(name: str) -> list[Json]:
    """The CustomResourceDefinitions of a name in FILES.

    Raises:
        ToolchainError: No usable Go, or the modules could not be had.
    """
    return [found for found in yaml.safe_load_all(fetch(quiet=True)[name].read_text()) if found]


def fetch(*, quiet: bool = False) -> dict[str, Path]:
    """Fetch what is missing and return where each file is.

    Args:
        quiet: Say nothing about files that are already there.

    Raises:
        ToolchainError: No usable Go, or the modules could not be had (with its last lines).
    """
    home = cache_directory() / "tools" / _digest()
    wanted = {name: home / "crds" / f"{name}.yaml" for name, _, _ in FILES}
    if not all(path.exists() for path in wanted.values()):
        with exclusive(home / "lock"):
            _take(wanted, quiet=quiet)
    elif not quiet:
        say(f"  {'CRDs of others':<24}  cached")
    return wanted


def _digest() -> str:
    content = [(MODULE / name).read_bytes() for name in ("go.mod", "go.sum")]
    content.append(repr(FILES).encode())
    return hashlib.sha256(b"\0".join(content)).hexdigest()[:20]


def _take(wanted: dict[str, Path], *, quiet: bool) -> None:
    if all(path.exists() for path in wanted.values()):  # another process took them while we waited
        return
    with step("CRDs of others", quiet=quiet) as progress:
        progress.detail = "fetching Go modules"
        folders = {found["Path"]: Path(found["Dir"]) for found in _download()}
        for name, module, path in FILES:
            target = wanted[name]
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{name}.{os.getpid()}")
            shutil.copyfile(folders[module] / path, partial)
            partial.rename(target)
        progress.result = f"{len(wanted)} files"


def _download() -> Iterable[Json]:
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    command = [find_go(cache_directory()), "mod", "download", "-json"]
    done = subprocess.run(command, cwd=MODULE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise ToolchainError(f"fetching the modules of {MODULE} failed:\n{last}")
    decoder, text = json.JSONDecoder(), done.stdout.lstrip()
    while text:
        found, end = decoder.raw_decode(text)
        yield found
        text = text[end:].lstrip()
