"""`python -m localplane.runner --directory D`."""

import argparse
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from localplane.kube import Kube
from localplane.kubeconfig import read_kubeconfig
from localplane.parts import OPERATOR_PORT
from localplane.paths import Layout
from localplane.runner.loop import Runner
from localplane.runner.settings import RunnerSettings, chart_image
from localplane.state import load_state

REQUEST_SECONDS = 10.0


def main() -> int:
    """Run until TERM."""
    parser = argparse.ArgumentParser(prog="localplane.runner", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="directory of the cluster")
    layout = Layout(parser.parse_args().directory.resolve())
    state = load_state(layout.state)
    if state is None:
        parser.error(f"no cluster in {layout.root}")
    server = urlsplit(read_kubeconfig(layout.kubeconfig).server)
    settings = RunnerSettings(
        layout=layout,
        metrics_port=state.ports[OPERATOR_PORT],
        server_host=server.hostname or "127.0.0.1",
        server_port=state.options.operator_port or server.port or 443,
        image=state.options.image or chart_image(),
    )
    with Kube.from_kubeconfig(layout.kubeconfig, timeout=REQUEST_SECONDS) as kube:
        runner = Runner(settings, kube)
        signal.signal(signal.SIGTERM, lambda _number, _frame: runner.stop())
        runner.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
