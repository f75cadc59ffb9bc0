"""What deploy/ offers beside the chart: plain manifests and the image recipe."""

from __future__ import annotations

import re
import subprocess
import sys

import yaml

from chart.finding import of_kind, only
from localplane.paths import CHECKOUT

DEPLOY = CHECKOUT / "deploy"


def instructions() -> list[tuple[str, str]]:
    """Instruction and argument of each line of the Dockerfile, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def test_install_yaml_is_what_the_chart_renders() -> None:
    check = [sys.executable, str(DEPLOY / "render.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_install_yaml_brings_its_namespace_and_no_hook() -> None:
    manifests = [m for m in yaml.safe_load_all((DEPLOY / "install.yaml").read_text()) if m]
    assert manifests[0]["kind"] == "Namespace"
    assert manifests[0]["metadata"]["name"] == only(manifests, "Deployment")["metadata"]["namespace"]
    assert of_kind(manifests, "Job") == []
    assert not any("helm.sh/hook" in m["metadata"].get("annotations", {}) for m in manifests)


def test_the_image_is_built_from_pinned_tags_alone() -> None:
    (default,) = [rest.partition("=")[2] for word, rest in instructions() if word == "ARG"]
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", default)
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert bases == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]


def test_every_package_of_the_image_is_checked_by_its_hash() -> None:
    installs = [
        command.strip()
        for word, rest in instructions()
        if word == "RUN"
        for command in rest.split("&&")
        if " install " in command or "pip sync" in command
    ]
    assert len(installs) == 2
    assert all("--require-hashes" in command for command in installs)
    for name in ("bootstrap.txt", "runtime.txt"):
        assert "--hash=sha256:" in (DEPLOY / "requirements" / name).read_text()


def test_the_image_runs_as_the_charts_user_and_starts_the_operator() -> None:
    last = dict(instructions())  # the last one of each instruction counts
    assert last["USER"] == "65532:65532"
    assert last["CMD"] == '["gpupool", "run"]'
    assert "PYTHONDONTWRITEBYTECODE=1" in last["ENV"]


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (CHECKOUT / source).exists(), source
                assert any(line.startswith("!") and source.startswith(line[1:]) for line in allowed), source
