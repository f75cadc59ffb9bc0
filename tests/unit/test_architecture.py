"""The shape of the code: layers, sizes, names, generated files."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "gpupool"
SOURCES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 300


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of the project's own checks from the root of the tree."""
    environ = os.environ | {"PYTHONPATH": str(ROOT / "operator")}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_operator_is_still_the_standard_librarys() -> None:
    import operator  # noqa: PLC0415 - the import is what is tested

    assert operator.__file__ is not None
    assert ROOT not in Path(operator.__file__).parents
    assert operator.itemgetter(1)("ab") == "b"
    assert not (PACKAGE.parent / "__init__.py").exists(), "it would hide the standard library's module"


def test_no_module_of_ours_is_called_like_one_of_the_standard_library() -> None:
    packages = {path.parent for path in SOURCES}
    top = {path.stem for path in PACKAGE.parent.glob("*") if path.is_dir() or path.suffix == ".py"}
    assert top & sys.stdlib_module_names == set()
    assert packages, "the package was found"


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in SOURCES}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_short_enough_to_be_read_at_once(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    first = path.read_text(encoding="utf-8").lstrip()
    assert first.startswith('"""')


def test_the_layers_are_kept() -> None:
    assert importlib.util.find_spec("importlinter") is not None
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    found = run("-c", code)
    assert found.returncode == 0, found.stdout + found.stderr
    assert " 0 broken" in found.stdout


@pytest.mark.parametrize("module", ["gpupool.api.generate", "gpupool.telemetry.document"])
def test_generated_files_are_what_their_sources_say(module: str) -> None:
    found = run("-m", module, "--check")
    assert found.returncode == 0, found.stdout + found.stderr
