"""Write the CRDs and the reference page from the models: `python -m gpupool.api.generate [--check]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gpupool.api import crd, reference
from gpupool.api.kinds import KINDS

ROOT = Path(__file__).resolve().parents[3]
CRD_FOLDERS = ("crds", "charts/gpupool/files/crds")
REFERENCE = "deploy/docs/reference.md"


def outputs() -> dict[str, str]:
    """Return the text of every generated file, by its path from the repository's root."""
    texts = {f"{folder}/{crd.file_name(kind)}": crd.render(kind) for folder in CRD_FOLDERS for kind in KINDS}
    return {**texts, REFERENCE: reference.render(KINDS)}


def stale(root: Path = ROOT) -> list[str]:
    """Return the paths of files that are missing or say something else than the models."""
    return [path for path, text in outputs().items() if not _says(root / path, text)]


def write(root: Path = ROOT) -> list[str]:
    """Write what is stale; return the paths written."""
    changed = stale(root)
    texts = outputs()
    for path in changed:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(texts[path], encoding="utf-8")
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with `--check` only compare; return 1 where the comparison finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m gpupool.api.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not current")
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="the repository (default: where this code stands)"
    )
    chosen = parser.parse_args(arguments)
    if not chosen.check:
        sys.stdout.write("".join(f"wrote {path}\n" for path in write(chosen.root)))
        return 0
    differing = stale(chosen.root)
    sys.stdout.write("".join(f"not current: {path} (run `make generate`)\n" for path in differing))
    return 1 if differing else 0


def _says(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    raise SystemExit(main())
