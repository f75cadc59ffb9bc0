"""The command line: what it takes, what it says, how it ends."""

import os
import subprocess
import sys

import pytest

from gpupool import __version__
from gpupool.cli import main as cli
from gpupool.errors import SettingsError


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


def test_the_version_is_told_without_loading_the_operator(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--version") == 0
    assert capsys.readouterr().out == f"gpupool {__version__}\n"
    lines = ("import sys", "from gpupool.cli.main import main", "try: main(['--version'])")
    code = "\n".join((*lines, "finally: print('kopf' in sys.modules)"))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_env())
    assert run.stdout.splitlines()[-1] == "False"


def _env() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


@pytest.mark.parametrize(
    "arguments", [[], ["runn"], ["run", "--fast"], ["release"], ["release", "--pool", "x"]]
)
def test_a_wrong_command_line_ends_with_2_and_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*arguments) == 2
    assert "usage: gpupool" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (SettingsError("configuration: GPUPOOL_METRICS_PORT='x'"), "GPUPOOL_METRICS_PORT='x'"),
        (OSError(98, "address already in use"), "address already in use"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_1(
    error: Exception,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> int:
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["run"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("gpupool: ")
    assert says in said
    assert said.count("\n") == 1


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise ValueError("a bug")

    monkeypatch.setattr(cli, "_release", fail)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["release", "--all"])


def test_a_wrong_variable_ends_the_process_before_it_starts_anything() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "gpupool", "run"],
        capture_output=True,
        text=True,
        check=False,
        env=_env() | {"GPUPOOL_CYCLE_INTERVAL": "soon"},
        timeout=60,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("gpupool: configuration: GPUPOOL_CYCLE_INTERVAL='soon'")
    assert "Traceback" not in run.stderr


def test_without_credentials_it_says_what_is_missing(tmp_path: object) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "gpupool", "run"],
        capture_output=True,
        text=True,
        check=False,
        env=_env() | {"KUBECONFIG": f"{tmp_path}/none", "HOME": str(tmp_path)},
        timeout=60,
    )
    assert run.returncode == 1
    assert "kubeconfig" in run.stderr
    assert "Traceback" not in run.stderr
