"""The subcommand: read the arguments, look around, try, print."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence

from gpupool.cli.audit.attempts import Asker
from gpupool.cli.audit.stage import Stage, survey
from gpupool.cli.audit.verdict import Verdict, run
from gpupool.kube.auth import from_kubeconfig, load
from gpupool.kube.client import KubeClient

REMEDY = "set spec.mode: Enforce on a GpuPool, wait for its condition Enforced, and audit again"
NOTHING = f"no pool enforces isolation, so nothing of the threat table is closed: {REMEDY}"


async def audit(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the table; 0 when every row is closed or documented.

    Raises:
        SettingsError: no usable kubeconfig.
        KubeError: the cluster does not answer, or the caller may not even look.
    """
    given = options.kubeconfig or options.context
    credentials = (
        from_kubeconfig(options.kubeconfig or environ.get("KUBECONFIG"), options.context)
        if given
        else load(environ)
    )
    async with KubeClient(credentials) as client:
        stage = await survey(client, options.pool)
        if stage.warning or (options.pool and not stage.grounds):
            print(f"gpupool: {stage.warning or _nobody(options.pool)}", file=sys.stderr)
            return 1
        if not stage.grounds:
            print(f"gpupool: {NOTHING}", file=sys.stderr)
        verdicts = await run(stage, Asker(client, stage.policies))
    print(_json(stage, verdicts) if options.output == "json" else _table(stage, verdicts))
    return 0 if all(v.state.good for v in verdicts) else 1


def _nobody(pool: str) -> str:
    return f"there is no pool {pool} that enforces isolation; {REMEDY}"


def _table(stage: Stage, verdicts: Sequence[Verdict]) -> str:
    pools = ", ".join(f"{g.pool.name} (in namespace {g.namespace})" for g in stage.grounds) or "(none)"
    attempt = max(len(v.row.attempt) for v in verdicts)
    state = max(len(v.state) for v in verdicts)
    lines = [f"gpupool audit of pool {pools}; outside: namespace {stage.outside}", ""]
    lines += [
        f"{v.row.number:<3} {v.row.attempt:<{attempt}}  {v.state:<{state}}  {v.answer}  [{v.row.control}]"
        for v in verdicts
    ]
    return "\n".join([*lines, "", _summary(verdicts)])


def _summary(verdicts: Sequence[Verdict]) -> str:
    counts = {s: sum(1 for v in verdicts if v.state is s) for s in dict.fromkeys(v.state for v in verdicts)}
    # No line but a row's begins with a number.
    return "rows: " + ", ".join(f"{n} {s}" for s, n in counts.items())


def _json(stage: Stage, verdicts: Sequence[Verdict]) -> str:
    rows = [
        {
            "row": v.row.number,
            "attempt": v.row.attempt,
            "state": v.state.value,
            "answer": v.answer,
            "control": v.row.control,
        }
        for v in verdicts
    ]
    pools = [{"pool": g.pool.name, "namespace": g.namespace} for g in stage.grounds]
    return json.dumps({"pools": pools, "outside": stage.outside, "rows": rows}, indent=2)
