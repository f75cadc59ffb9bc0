"""Whom a change wakes: the pool it concerns, all where that is not known, nobody where it decides nothing."""

from dataclasses import replace

import pytest

from gpupool.collector.projections import QuotaFacts
from gpupool.collector.store import Change, ChangeKind
from gpupool.kube.resources import ObjectKey
from gpupool.model.diagnosis import Help
from gpupool.model.objects import Key, Pod, Remembered
from gpupool.model.rollout import Rollable
from gpupool.model.slo import Slo
from gpupool.model.standing import Standing
from gpupool.model.steering import Target
from gpupool.model.world import NodeFacts
from gpupool.policy.membership import Members, Membership
from gpupool.runtime.concern import NOBODY, Concern, Concerned, disturbs, tells
from gpupool.runtime.memo import memo
from gpupool.runtime.reading import Tracked
from support.builders import GPU, HOUR, NOW, a_pool, a_request, pods
from support.standings import a_standing, a_workload, deployment, missed

FOUND = Membership(
    members={"lab": Members(nodes=(NodeFacts("node-1", {}, {GPU: 8}),)), "farm": Members()},
    pool_of_namespace={"vision": "lab", "nlp": "farm"},
)
POOL = Tracked(a_pool(), memo({}))
POD: Pod = pods(1, "train", "vision")[0]


def concern() -> Concern:
    """What was learnt of two pools."""
    found = Concern()
    found.learn(FOUND)
    return found


def quota(namespace: str, pool: str = "") -> QuotaFacts:
    return QuotaFacts(namespace, "gpupool", True, {}, {}, {}, "1", NOW, pool=pool)


def changed(namespace: str, old: object, new: object) -> Change[object]:
    return Change(ChangeKind.CHANGED, ObjectKey(namespace, "x"), old, new)


@pytest.mark.parametrize(
    ("plural", "change", "pools"),
    [
        ("capacityrequests", changed("vision", None, Tracked(a_request("a", 1), memo({}))), {"lab"}),
        ("capacityrequests", changed("nobody", None, Tracked(a_request("a", 1), memo({}))), set()),
        ("pods", changed("vision", None, POD), {"lab"}),
        ("pods", changed("nlp", None, POD), {"farm", "lab"}),
        ("pods", changed("nlp", replace(POD, node=None), None), {"farm"}),
        ("pods", changed("nobody", POD, None), {"lab"}),
        ("resourcequotas", changed("nlp", quota("nlp"), quota("nlp")), {"farm"}),
        ("resourcequotas", changed("nlp", quota("nlp", "lab"), None), {"farm", "lab"}),
        ("gpupools", changed("", POOL, replace(POOL, memo=memo({"granted": {}}))), set()),
        ("gpupools", changed("", POOL, replace(POOL, value=a_pool(reserve=1))), None),
        ("gpupools", changed("", None, POOL), None),
        ("nodes", changed("", None, NodeFacts("node-2", {}, {})), None),
        ("namespaces", changed("", None, None), None),
        ("localqueues", None, None),
        ("deployments", changed("vision", None, a_workload()), {"lab"}),
        ("inferenceslos", changed("vision", None, None), {"lab"}),
        ("inferenceslos", changed("nobody", None, None), set()),
    ],
)
def test_a_change_wakes_whom_it_concerns(
    plural: str, change: Change[object] | None, pools: Concerned
) -> None:
    assert concern().of(plural, change) == (None if pools is None else frozenset(pools))


def test_before_anything_is_known_every_change_concerns_all() -> None:
    assert Concern().of("pods", changed("vision", None, POD)) is None
    assert concern().of("capacityrequests", changed("nobody", None, None)) == NOBODY


def slo(standing: Standing | None) -> Tracked:
    """An InferenceSLO that stands so."""
    found = Slo(Key("vision", "chat"), "u", 1, NOW, deployment(), (), HOUR, 100, standing=standing)
    return Tracked(found, memo({}))


MET, MISSED = slo(a_standing()), slo(missed("RoutingSkew", Help.NO))
MET_LATER = slo(a_standing(looked=NOW, met_because="99.9 %"))
ASKED = Tracked(a_request("a", 1), memo({}))
TOLD = Tracked(a_request("a", 1, remembered=Remembered(granted=1)), memo({"granted": 1}))


@pytest.mark.parametrize(
    ("plural", "change", "speaks_against"),
    [
        ("capacityrequests", changed("vision", None, ASKED), False),
        ("capacityrequests", changed("vision", ASKED, TOLD), False),
        ("capacityrequests", changed("vision", ASKED, Tracked(a_request("a", 2), memo({}))), True),
        ("capacityrequests", changed("vision", ASKED, None), True),
        ("gpupools", changed("", POOL, replace(POOL, memo=memo({"granted": {}}))), True),
        ("pods", changed("vision", None, POD), True),
        ("localqueues", None, True),
        ("inferenceslos", changed("vision", MET, MET_LATER), False),
        ("inferenceslos", changed("vision", MET, MISSED), True),
        ("inferenceslos", changed("vision", None, MET), True),
    ],
)
def test_new_requests_and_our_own_statuses_speak_against_no_decision(
    plural: str, change: Change[object] | None, speaks_against: bool
) -> None:
    assert disturbs(plural, change) is speaks_against


STEPPED = a_workload(old=1, stepped=NOW)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (None, a_workload(), False),
        (a_workload(), a_workload(replicas=5), False),
        (a_workload(), STEPPED, True),
        (STEPPED, replace(STEPPED, existing=9), False),
        (STEPPED, replace(STEPPED, stepped=NOW + HOUR), True),
        (STEPPED, replace(STEPPED, old=0), True),
        (STEPPED, None, True),
        (STEPPED, replace(STEPPED, stepped=None), True),
        (STEPPED, replace(STEPPED, rollable=Rollable(failed=True)), True),
    ],
)
def test_of_a_deployment_only_the_course_of_its_rollout_is_told(
    old: Target | None, new: Target | None, *, told: bool
) -> None:
    assert tells("deployments", changed("vision", old, new)) is told
