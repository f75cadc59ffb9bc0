#!/usr/bin/env python3
"""Write deploy/install.yaml, the chart as plain manifests: `python deploy/render.py [--check]`."""

import subprocess
import sys
from pathlib import Path

from localplane import toolchain
from localplane.paths import CHART, CHECKOUT

OUTPUT = CHECKOUT / "deploy" / "install.yaml"
NAMESPACE = "gpupool-system"
HEADER = f"""\
# gpupool, rendered from charts/gpupool by `make generate`; change the chart, not this file.
#   kubectl apply --server-side -f deploy/install.yaml
# Before you delete it, run `gpupool release --all` with the operator's ServiceAccount: it takes back labels,
# taints, quotas and policies. The chart has the Job (helm template -s templates/release-hook.yaml), and
# `helm uninstall` runs it by itself.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    app.kubernetes.io/name: gpupool
    app.kubernetes.io/managed-by: gpupool
"""


def render() -> str:
    """The manifests as one YAML text.

    Hooks are left out: `kubectl apply` would run the release hook at once.

    Raises:
        subprocess.CalledProcessError: helm refused the chart.
    """
    helm = toolchain.build(quiet=True)["helm"]
    place = [f"--namespace={NAMESPACE}", "--no-hooks", "--kube-version=1.36.0"]
    command = [str(helm), "template", "gpupool", str(CHART), *place]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own helm and chart
    return HEADER + done.stdout


def main(arguments: list[str], output: Path = OUTPUT) -> int:
    """Write the file, or with `--check` return 1 where it is not current."""
    text = render()
    if "--check" not in arguments:
        output.write_text(text, encoding="utf-8")
        return 0
    if output.is_file() and output.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"not current: {output} (run `make generate`)\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
