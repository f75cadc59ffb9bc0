"""`gpupool audit`: the threat table, tried on a living cluster by dry run."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's arguments."""
    parser.add_argument("--kubeconfig", metavar="FILE", help="cluster to audit (default: KUBECONFIG)")
    parser.add_argument("--context", help="context of the kubeconfig")
    parser.add_argument("--pool", default="", help="this pool alone (default: every pool that enforces)")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
