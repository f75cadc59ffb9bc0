"""More GPUs that would not help are refused, with what would."""

from typing import Final

from demo.reading import facts, says
from demo.scenes.serving import ENDPOINTS
from demo.stage import Stage

RAG: Final = ENDPOINTS["rag"]


def useless_gpus(stage: Stage) -> None:
    """An endpoint that misses its promise for a cause that replicas do not cure asks for more of them."""
    stage.narrator.scene(
        "GPUs that would not help are refused, with what would",
        "rag misses its promise, and its owner asks for twice the GPUs. Its share would afford them.",
    )
    stage.expect(
        "what limits rag: its router, not its GPUs",
        facts(lambda: stage.slo(*RAG).get("diagnosis", {}), cause="RoutingSkew", replicasHelp="No"),
        60,
    )
    change = '{"spec":{"gpus":24}}'
    stage.kubectl("patch", "capreq", RAG[1], "-n", RAG[0], "--type=merge", "-p", change)
    stage.expect(
        "the rest is refused, what it has stays",
        facts(stage.request, *RAG, phase="Partial", granted=12, reason="ReplicasDoNotHelp"),
        30,
    )
    stage.expect(
        "with what would help", says(lambda: str(stage.request(*RAG).get("message", "")), "Route by load")
    )
    stage.expect(
        "and the arithmetic",
        says(lambda: str(stage.request(*RAG).get("arithmetic", "")), "RoutingSkew: ", "24 asked"),
    )
