"""A pool is not enforced while the policies it shares with the others are missing or open."""

from dataclasses import replace

import pytest

from gpupool.model.enforcement import Enforcement
from gpupool.model.outsiders import OutsiderFacts
from gpupool.planner.planner import make_plan
from support.builders import a_pool, a_quota, a_share, a_snapshot, condition_of, nodes

SNAPSHOT = a_snapshot(
    a_pool(a_share("vision", 8)), nodes=nodes(), quotas={"vision": a_quota(0)}, labels={"vision": "lab"}
)
OWN = Enforcement(policies_current=True, probe=(), bound=True)
STANDS = OutsiderFacts(stands=True, current=True, probe=())


@pytest.mark.parametrize(
    ("facts", "status", "reason"),
    [
        (OutsiderFacts(), "True", "Enforced"),
        (STANDS, "True", "Enforced"),
        (replace(STANDS, current=False), "False", "BeingWritten"),
        (replace(STANDS, probe=None), "Unknown", "NotProbed"),
        (replace(STANDS, known=("uid-other",)), "False", "BeingWritten"),
        (OutsiderFacts(known=()), "False", "BeingWritten"),
        (replace(STANDS, known=("uid-lab", "uid-other")), "True", "Enforced"),
        (replace(STANDS, probe=("outsider-wildcard",)), "False", "Open"),
    ],
)
def test_the_shared_policies_count_for_every_pool(facts: OutsiderFacts, status: str, reason: str) -> None:
    snapshot = replace(SNAPSHOT, enforcement=replace(OWN, outsiders=facts))
    found = condition_of(make_plan(snapshot), "Enforced")
    assert (found.status, found.reason) == (status, reason)


def test_what_is_open_is_named_and_what_is_held_back_says_why() -> None:
    opened = replace(OWN, probe=("node-name",), outsiders=replace(STANDS, probe=("outsider-wildcard",)))
    said = condition_of(make_plan(replace(SNAPSHOT, enforcement=opened)), "Enforced").message
    assert said == "These attempts were not refused: node-name, outsider-wildcard."
    held = replace(OWN, outsiders=replace(STANDS, held="Deployment a/b would be denied"))
    said = condition_of(make_plan(replace(SNAPSHOT, enforcement=held)), "Enforced").message
    assert said.endswith("are warned, not refused: Deployment a/b would be denied.")
