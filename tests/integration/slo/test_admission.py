"""The gate of InferenceSLOs on the real plane: who is refused and why, who passes, who waits; economics."""

from collections.abc import Iterator

import pytest

from integration.slo.berths import PRICE, Berths
from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Json
from support.story import QUICK

CAUSES = {"skew": "RoutingSkew", "full": "KVCacheBound"}
GUARANTEED = {"rich": 6, "skew": 6, "full": 6, "blind": 2}


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with an operator that judges a short window."""
    release.install(released_plane, {"cycleInterval": 1, "evaluationWindow": "20s"}, quiet=True)
    return released_plane


@pytest.fixture(scope="module")
def night(plane: Cluster) -> Iterator[Berths]:
    """A pool that lends within seconds and warns: one endpoint sleeps on six GPUs, one is well on two."""
    with plane.kube() as kube, Berths.open(kube, "night", 2) as quay:
        shares = [quay.story.share(quay.berth(name), 6) for name in ("asleep", "warned")]
        quay.story.pool("Enforce", shares=shares, admission={"slo": "Warn"}, **QUICK)
        quay.promise("warned")
        quay.ask("warned", 2)
        quay.deploy("warned", load=8)
        quay.deploy("asleep", replicas=0, gpus=2, load=8)
        quay.promise("asleep", capacityRequestRef={"name": "chat"})
        quay.ask("asleep", 6)
        yield quay


@pytest.fixture(scope="module")
def quay(plane: Cluster, night: Berths) -> Iterator[Berths]:
    """Four endpoints on two GPUs each, which their first requests were granted whole."""
    del night  # it begins first, and has time meanwhile
    with plane.kube() as kube, Berths.open(kube, "quay", 3) as found:
        for name in GUARANTEED:
            found.berth(name)
        found.govern(GUARANTEED)
        found.story.until_enforced()
        for name in GUARANTEED:
            found.promise(name)
            found.ask(name, 2, preemptible=True)
        found.deploy("rich", load=8)
        found.deploy("blind")
        for name, cause in CAUSES.items():
            found.deploy(name, fault=cause)
        yield found


def test_an_endpoint_with_head_room_is_refused_what_it_does_not_need(quay: Berths) -> None:
    quay.until("rich", lambda: quay.request("rich").get("phase") == "Granted", "its first request passes")
    _roomy(quay, "rich")
    quay.ask("rich", 6, preemptible=True)
    quay.until("rich", lambda: quay.request("rich").get("granted") == 3, "a part is granted")
    status = quay.request("rich")
    assert status["phase"] == "Partial"
    decision = status["decision"]
    assert decision["reason"] == "SloMet"
    assert "InferenceSLO chat is met with head-room" in decision["message"]
    assert "3 of the 6 GPUs asked are refused, 3 are not" in decision["message"]
    assert "2 x 1 + 1 for a rollout = 3 needed" in decision["arithmetic"]
    assert quay.story.hard(quay.spaces["rich"]) == 3


def test_a_cause_that_replicas_do_not_cure_is_named_with_the_remedy(quay: Berths) -> None:
    _judged(quay, "skew")
    quay.ask("skew", 6, preemptible=True)
    quay.until("skew", lambda: quay.reason("skew") == "ReplicasDoNotHelp", "it is refused")
    decision = quay.request("skew")["decision"]
    assert "because of RoutingSkew" in decision["message"]
    assert "Route by load" in decision["message"]
    assert decision["arithmetic"].startswith("RoutingSkew: ")
    assert quay.request("skew")["granted"] == 3


def test_an_endpoint_that_replicas_would_help_is_granted_and_told_how_many_it_wants(quay: Berths) -> None:
    _judged(quay, "full")

    def wanting() -> Json | None:
        found = quay.story.condition("WantsMoreGPUs", quay.request("full"))
        return found if found.get("reason") == "KVCacheBound" else None

    wants = quay.until("full", wanting, "it wants more, and why is known")
    assert "replicas are needed" in wants["message"]
    assert "Ask for" in wants["message"]
    quay.ask("full", 6, preemptible=True)
    quay.until("full", lambda: quay.request("full").get("granted") == 6, "all of it is granted")


def test_what_nobody_sees_gets_the_guarantee_and_waits_above_it(quay: Berths) -> None:
    quay.until("blind", lambda: quay.slo("blind").get("dataState") == "Missing", "nothing is seen")
    quay.until("blind", lambda: quay.request("blind").get("granted") == 2, "its guarantee is granted")
    quay.ask("blind", 4, preemptible=True)
    quay.until("blind", lambda: quay.reason("blind") == "SloUnknown", "it waits for data")
    status = quay.request("blind")
    assert (status["phase"], status["granted"]) == ("Partial", 2)
    assert "dataState is Missing" in status["decision"]["message"]


def test_what_a_gpu_hour_wrote_and_cost_is_counted(quay: Berths) -> None:
    def known() -> bool:
        return "joulesPerToken" in quay.slo("rich").get("economics", {})

    quay.until("rich", known, "its economics are known")
    found = quay.slo("rich")["economics"]
    assert found["cost"] == pytest.approx(PRICE * found["gpuHours"], rel=0.01)
    assert found["currency"] == "USD"
    assert found["tokensPerGpuHour"] >= found["tokensPerGpuHourAtSlo"] > 0
    per_million = 1e6 * PRICE / found["tokensPerGpuHour"]
    assert found["costPerMillionTokens"] == pytest.approx(per_million, rel=0.01)
    assert found["joulesPerToken"] > 0
    blind = quay.slo("blind")["economics"]
    assert blind["gpuHours"] > 0
    assert not {"tokensPerGpuHour", "costPerMillionTokens", "joulesPerToken"} & blind.keys()


def test_an_endpoint_that_sleeps_keeps_what_it_needs_to_wake(night: Berths) -> None:
    def lent() -> bool:
        return bool(night.request("asleep").get("reclaim", {}).get("stage") == "Lent")

    night.until("asleep", lent, "what it does not need is lent")
    status = night.request("asleep")
    assert (status["granted"], status["allowance"]) == (6, 2)
    night.deploy("asleep", replicas=1, gpus=2, load=8)
    night.until("asleep", lambda: night.slo("asleep").get("readyReplicas") == 1, "it wakes at once")


def test_warn_grants_and_tells(night: Berths) -> None:
    _roomy(night, "warned")
    night.ask("warned", 6)
    night.until("warned", lambda: night.request("warned").get("granted") == 6, "it is granted")
    space = night.spaces["warned"]
    night.until("warned", lambda: "SloMet" in night.story.events(space, "chat"), "and an Event tells")


def _roomy(quay: Berths, name: str) -> None:
    """It is met, with head-room, for long enough."""
    quay.until(name, lambda: quay.slo(name).get("decision", {}).get("pace") == "Save", "it is met")
    quay.until(name, lambda: quay.slo(name)["objectives"][0].get("coverage", 0) > 6, "for long enough")


def _judged(quay: Berths, name: str) -> None:
    """It is missed, and why is known."""

    def known() -> bool:
        status = quay.slo(name)
        healthy = quay.story.condition("BudgetHealthy", status).get("status")
        diagnosis = status.get("diagnosis", {})
        sure = diagnosis.get("confidence") in {"Medium", "High"}
        return bool(healthy == "False" and diagnosis.get("cause") == CAUSES[name] and sure)

    quay.until(name, known, f"{CAUSES[name]} is named")
