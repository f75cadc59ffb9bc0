"""What holds for every endpoint, whatever is asked, granted and running."""

from hypothesis import given
from hypothesis import strategies as st

from gpupool.model.objects import Key, ObjectRef
from gpupool.model.steering import Limits, Pace, Scaling, Target
from gpupool.policy.slo.grant import Grant
from gpupool.policy.slo.rollout import affordable, surge
from gpupool.policy.slo.steering import Situation, decide
from support.builders import GPU

REF = ObjectRef("apps/v1", "Deployment", "chat")
FEW = st.integers(0, 40)
PARTS = st.sampled_from(["0", "1", "3", "10%", "25%", "100%"])
targets = st.builds(
    Target,
    key=st.just(Key("chat-prod", "chat")),
    ref=st.just(REF),
    replicas=FEW,
    existing=FEW,
    gpus=st.just({GPU: 1}),
    surge=PARTS,
    unavailable=PARTS,
    recreate=st.booleans(),
)
grants = st.just(Grant("lab")) | st.builds(
    Grant,
    pool=st.just("lab"),
    request=st.just("chat"),
    gpus=st.none() | FEW,
    taken=st.sampled_from(["", "a recall of 2 GPUs fell due"]),
)
limits = st.builds(lambda low, more: Limits(low, low + more), st.integers(1, 9), FEW)
situations = st.builds(
    Situation,
    scaling=st.builds(
        lambda low, more: Scaling(low, None if more is None else low + more),
        st.integers(1, 9),
        st.none() | FEW,
    ),
    target=st.none() | targets,
    gpus=st.sampled_from([1, 2, 8]),
    grant=st.none() | grants,
    theirs=st.none() | limits,
    written=st.none() | limits,
    kept=FEW,
    pace=st.sampled_from(Pace),
    needed=st.none() | FEW,
)


@given(situations)
def test_the_floor_is_never_above_the_ceiling(it: Situation) -> None:
    found = decide(it)
    assert 0 <= found.floor <= found.ceiling
    assert found.reason
    assert found.message
    assert len(found.rejected) <= 8


@given(situations)
def test_what_serves_is_ended_by_a_recall_alone(it: Situation) -> None:
    found = decide(it)
    assert found.ceiling >= it.kept or found.reason in {"TakenAfterNotice", "DataUnknown"}
    if found.ceiling < it.kept:
        assert it.grant is not None
        assert it.grant.taken


@given(situations)
def test_a_ceiling_beyond_the_grant_is_only_what_runs(it: Situation) -> None:
    found = decide(it)
    if it.target is not None and it.grant is not None and it.grant.request:
        pods = (it.grant.gpus or 0) // it.gpus
        assert found.ceiling <= max(affordable(it.target, pods), it.kept)


@given(situations)
def test_missing_gpus_are_a_number_above_nothing(it: Situation) -> None:
    found = decide(it)
    assert found.lack is None or found.lack.gpus > 0


@given(targets, FEW)
def test_what_is_affordable_fits_with_its_surge_and_one_more_would_not(target: Target, pods: int) -> None:
    most = affordable(target, pods)
    assert most <= pods
    assert most == min(pods, 1) or most + surge(target, most) <= pods
    assert most + 1 + surge(target, most + 1) > pods
