"""Shares and requests: granted, refused, queued, each with its arithmetic; still mode Observe."""

from demo.reading import facts, says
from demo.scenes.serving import endpoints_begin
from demo.stage import Stage


def promises_and_requests(stage: Stage) -> None:
    """What is promised to whom, and what teams ask for."""
    stage.narrator.scene(
        "Promises and requests, still in Observe",
        "The lab has 80 GPUs. vision is promised 64 and asks for 64; nlp is promised 16 and asks for 48.",
    )
    stage.apply("04-pools-with-shares.yaml")
    stage.apply("05-requests.yaml")
    stage.expect(
        "vision: promised 64, requested and uses 20",
        facts(stage.request, "vision-lab", "train-sam", phase="Granted", granted=64, held=20, busy=20),
    )
    for namespace, name, held in (("chat-prod", "chat", 8), ("search-prod", "ranker", 6)):
        look = facts(stage.request, namespace, name, phase="Granted", granted=8, held=held, busy=held)
        stage.expect(f"{namespace.removesuffix('-prod')}: within its guarantee", look)
    stage.expect(
        "nlp: more than its promise, without consent",
        facts(stage.request, "nlp-lab", "finetune", phase="Refused", reason="AboveGuarantee"),
    )
    stage.expect(
        "and is told the two ways out",
        says(lambda: str(stage.request("nlp-lab", "finetune").get("message", "")), "preemptible: true"),
    )
    stage.say("nlp agrees to give back what it borrows:")
    stage.kubectl(
        *("patch", "capreq", "finetune", "-n", "nlp-lab", "--type=merge"),
        *("-p", '{"spec":{"preemptible":true}}'),
    )
    nlp_waits(stage)
    stage.narrator.show(stage.kubectl("get", "capreq", "-A"), "ALLOWANCE", "DEADLINE", "AGE")
    endpoints_begin(stage)


def nlp_waits(stage: Stage) -> None:
    """The place of nlp in the queue, the reason, the arithmetic and who stands in the way."""
    stage.expect(
        "nlp waits: place, reason, what would fit now",
        facts(
            stage.request,
            "nlp-lab",
            "finetune",
            phase="Queued",
            position=1,
            reason="WaitingForCapacity",
            grantableNow=16,
        ),
    )
    stage.expect(
        "with the arithmetic",
        says(lambda: str(stage.request("nlp-lab", "finetune").get("arithmetic", "")), "80 usable", "16 free"),
    )
    stage.expect("and who holds what it waits for", says(lambda: _blockers(stage), "vision-lab/train-sam"))


def _blockers(stage: Stage) -> str:
    rows = stage.request("nlp-lab", "finetune").get("blockers", [])
    return "; ".join(f"{r.get('namespace')}/{r.get('request')} {r['gpus']} GPUs, {r['reason']}" for r in rows)
