"""Between deciding and acting: what the present no longer wants is refused and counted."""

from dataclasses import replace

from gpupool.model.plan import SetPolicies, SetQuota
from gpupool.planner.planner import make_plan
from gpupool.planner.recheck import NO_LONGER_WANTED, recheck
from support.builders import a_pool, a_quota, a_request, a_share, a_snapshot, pods

POOL = a_pool(a_share("vision", 8))
WANTS = a_snapshot(POOL, a_request("train", 8), quotas={"vision": a_quota(0)})


def test_in_an_unchanged_world_every_action_is_kept() -> None:
    kept, refused = recheck(make_plan(WANTS), WANTS)
    assert (kept, refused) == (make_plan(WANTS), ())


def test_a_raise_that_no_longer_fits_is_refused() -> None:
    taken = a_snapshot(
        POOL, *WANTS.requests, quotas={"vision": a_quota(0)}, pods=pods(8, namespace="stranger")
    )
    kept, refused = recheck(make_plan(WANTS), taken)
    assert [type(a) for a in kept.actions] == [SetPolicies]
    assert [(type(a), reason) for a, reason in refused] == [(SetQuota, NO_LONGER_WANTED)]
    assert kept.requests == make_plan(WANTS).requests


def test_an_action_on_an_old_version_is_refused() -> None:
    newer = a_snapshot(POOL, *WANTS.requests, quotas={"vision": replace(a_quota(0), resource_version="8")})
    _, refused = recheck(make_plan(WANTS), newer)
    assert len(refused) == 1


def test_what_the_present_wants_besides_waits_for_the_next_cycle() -> None:
    calm = a_snapshot(POOL, quotas={"vision": a_quota(0)})
    kept, refused = recheck(make_plan(calm), WANTS)
    assert (kept, refused) == (make_plan(calm), ())
