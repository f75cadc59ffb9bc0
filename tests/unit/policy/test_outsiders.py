"""How strictly pods outside the pools are kept away: by the strictest mode that acts, and no stricter."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.enforcement import Replay
from gpupool.model.marks import POOL_LABEL
from gpupool.model.objects import ObjectRef
from gpupool.model.outsiders import Outsiders, SetOutsiders
from gpupool.model.plan import SetPolicies
from gpupool.model.pool import Mode, Pool
from gpupool.model.world import NamespaceFacts, Template, World
from gpupool.policy import outsiders as rule
from gpupool.policy.membership import resolve
from support.builders import NOW, a_pool, a_share

LAB = a_pool(a_share("vision"))
FARM = replace(
    a_pool(a_share("nlp"), mode=Mode.OBSERVE, name="farm"), uid="uid-farm", resources=("amd.com/gpu",)
)
NAMESPACES = (NamespaceFacts("vision", {POOL_LABEL: "lab"}), NamespaceFacts("nlp", {}))


def found(
    pools: tuple[Pool, ...] = (LAB, FARM),
    modes: dict[str, Mode] | None = None,
    setting: Outsiders = Outsiders.AUTO,
    namespaces: tuple[NamespaceFacts, ...] = NAMESPACES,
    held: str = "",
) -> SetOutsiders | None:
    world = World(NOW, pools=pools, namespaces=namespaces)
    acting = {"lab": Mode.ENFORCE, "farm": Mode.OBSERVE} if modes is None else modes
    return rule.outsiders(world, resolve(world), acting, setting, held=held)


def standing(**more: Any) -> SetOutsiders:
    asked = found(**more)
    assert asked is not None
    return asked


def test_only_what_stands_outside_the_pools_and_is_not_the_systems_is_tried() -> None:
    owner = ObjectRef("apps/v1", "Deployment", "web")
    names = ("vision", "nlp", "both", "kube-system", "sys", "probe", "loners")
    pools = (
        LAB,
        FARM,
        replace(a_pool(a_share("both")), name="a"),
        replace(a_pool(a_share("both")), name="b"),
    )
    world = World(
        NOW,
        pools=pools,
        namespaces=(*NAMESPACES, NamespaceFacts("both", {}), NamespaceFacts("loners", {})),
        exempt_namespaces=frozenset({"sys"}),
        templates=tuple(Template(n, owner, "text") for n in names),
    )
    assert [t.namespace for t in rule.outside(world, resolve(world), "probe")] == ["loners"]


def test_an_objection_names_the_first_and_counts_the_rest() -> None:
    bad = [Replay("loners", f"Job/{n}", "no") for n in range(8)]
    assert rule.objection([Replay("loners", "Job/a", "")]) == ""
    assert rule.objection([Replay("loners", "Job/a")]).endswith("are being tried")
    text = rule.objection([*bad, *bad, Replay("loners", "Job/a")])
    assert text.endswith("loners Job/0, loners Job/1, loners Job/2, loners Job/3, loners Job/4 and 3 more")


def test_all_observe_and_nobody_is_told_anything() -> None:
    assert found(modes={"lab": Mode.OBSERVE, "farm": Mode.OBSERVE}) is None
    assert found(pools=(), modes={}) is None


@pytest.mark.parametrize(
    ("modes", "deny"),
    [
        ({"lab": Mode.RECOMMEND, "farm": Mode.OBSERVE}, False),
        ({"lab": Mode.ENFORCE, "farm": Mode.RECOMMEND}, True),
        ({"lab": Mode.OBSERVE, "farm": Mode.ENFORCE}, True),
    ],
)
def test_the_strictest_mode_decides(modes: dict[str, Mode], deny: bool) -> None:
    asked = standing(modes=modes)
    assert (asked.deny, asked.held) == (deny, "")
    strictest = max(modes, key=lambda name: modes[name].strength)
    assert [p.name for p in asked.pools if p.counts] == [strictest]


def test_the_chart_may_say_less_and_what_is_held_back_says_why() -> None:
    assert found(setting=Outsiders.OFF) is None
    warned = standing(setting=Outsiders.WARN)
    assert (warned.deny, warned.held) == (False, "the chart value policies.outsiders is Warn")
    held = standing(held="Deployment a/b would be denied")
    assert (held.deny, held.held) == (False, "Deployment a/b would be denied")
    recommended = {"lab": Mode.RECOMMEND, "farm": Mode.OBSERVE}
    assert standing(setting=Outsiders.WARN, modes=recommended).held == "", "nothing more was asked for"


def test_namespaces_of_pools_that_carry_no_label_yet_keep_their_home() -> None:
    assert standing().homes == {"nlp": "farm"}
    moved = (NamespaceFacts("vision", {}), NamespaceFacts("nlp", {}), NamespaceFacts("other", {}))
    assert standing(namespaces=moved).homes == {"nlp": "farm", "vision": "lab"}


def test_a_namespace_that_two_pools_claim_is_nobodys_and_no_outsiders() -> None:
    second = replace(FARM, shares=(a_share("nlp"),), name="second", uid="uid-second")
    asked = standing(pools=(LAB, FARM, second), namespaces=(NamespaceFacts("nlp", {}),))
    assert asked.homes == {"nlp": "-"}


def test_more_names_than_a_policy_can_hold_are_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "MOST_HOMES", 1)
    many = tuple(NamespaceFacts(n, {}) for n in ("nlp", "vision"))
    asked = standing(namespaces=many)
    assert not asked.deny
    assert asked.held == "2 namespaces of pools are not enforced, more than 1 cannot be told apart"
    assert asked.homes == {"nlp": "farm"}


WRITTEN = SetPolicies(enforce=True, recommend=(), nodes_labelled=True, mutate=False)


@pytest.mark.parametrize(
    ("pool", "enforce", "mode"),
    [
        (LAB, True, Mode.ENFORCE),
        (LAB, False, Mode.RECOMMEND),
        (FARM, False, Mode.OBSERVE),
        (replace(FARM, shares=(a_share("nlp", mode=Mode.RECOMMEND),)), False, Mode.RECOMMEND),
    ],
    ids=["its policies deny", "it waits still", "it observes", "one share is warned"],
)
def test_what_acts_in_a_pool_is_read_off_its_policies(pool: Pool, enforce: bool, mode: Mode) -> None:
    assert rule.acting(pool, replace(WRITTEN, enforce=enforce)) is mode
