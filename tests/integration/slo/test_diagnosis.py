"""Every cause put into an endpoint of its own, beside healthy ones, all at once: what is named of each."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from integration.slo.cases import CASES, Case
from integration.slo.conftest import API
from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from support.engines import said
from support.gpupods import pod_spec
from support.plane import eventually

WINDOW = "30s"
SETTLE = 75.0
"""Seconds from the last pod's start until the window holds nothing else than what is looked for."""
WATCHED = 60.0
"""Seconds in which nothing wrong may be named, not once."""
LEAST_RIGHT = 14
SAYS_NOTHING = frozenset({"None", "Unknown"})
EARLY = SAYS_NOTHING | {"absent", "ColdStart", "NoTraffic"}
"""What is true of a healthy endpoint in its first seconds."""
NODE_COUNT = 2

Json = dict[str, Any]


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with an operator that judges a short window."""
    release.install(released_plane, {"cycleInterval": 2, "evaluationWindow": WINDOW}, quiet=True)
    return released_plane


@pytest.fixture(scope="module")
def street(plane: Cluster) -> Iterator[str]:
    """All endpoints, in one namespace on nodes of their own."""
    names = [f"street-{os.getpid()}-{number}" for number in range(NODE_COUNT)]
    home = f"street-{os.getpid()}"
    with plane.kube() as kube:
        create_nodes(kube, [node_manifest(name, 48, labels={"street": str(os.getpid())}) for name in names])
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
        for name, case in CASES.items():
            kube.apply(deployment(home, name, case))
            kube.apply(promised(home, name, case))
        yield home
        kube.delete(f"/api/v1/namespaces/{home}")
        for name in names:
            kube.delete(f"{NODES}/{name}")


def deployment(home: str, name: str, case: Case) -> Json:
    """A Deployment of the case's engine, each pod with a limit of CPU."""
    labels = {"app": name}
    spec = pod_spec(1, nodeSelector={"street": str(os.getpid())}, terminationGracePeriodSeconds=1)
    spec["containers"][0]["resources"]["limits"]["cpu"] = "2"
    template = {
        "metadata": {"labels": labels, "annotations": said(**{"start_after": "1s", **case.engine})},
        "spec": spec,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": home},
        "spec": {"replicas": case.replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def promised(home: str, name: str, case: Case) -> Json:
    """The InferenceSLO of a case."""
    return {
        "apiVersion": "gpupool.dev/v1alpha1",
        "kind": "InferenceSLO",
        "metadata": {"name": name, "namespace": home},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "objectives": list(case.objectives),
            "window": "10m",
            "minEvents": 20,
        },
    }


def diagnoses(kube: Kube, home: str) -> dict[str, Json]:
    """What is said of each."""
    found = kube.list(f"{API}/namespaces/{home}/inferenceslos")
    return {slo["metadata"]["name"]: dict(slo.get("status", {})) for slo in found}


def test_what_is_put_in_is_named_and_nothing_else(kube: Kube, street: str) -> None:
    wanted_ready = {name for name in CASES if name != "coldstart"}
    eventually(
        lambda: (
            wanted_ready <= {n for n, s in diagnoses(kube, street).items() if s.get("readyReplicas") == 2}
        ),
        lambda: f"all start: {[(n, s.get('readyReplicas')) for n, s in diagnoses(kube, street).items()]}",
        120,
    )
    early = watched(kube, street, SETTLE)
    named = watched(kube, street, WATCHED)
    last = diagnoses(kube, street)
    print(table(named, last))
    print("while the window filled:", {n: dict(seen) for n, seen in early.items() if len(seen) > 1})
    hasty = {n: dict(seen) for n, seen in early.items() if CASES[n].healthy and set(seen) - EARLY}
    assert not hasty, f"said of healthy endpoints while the window filled: {hasty}"
    wrong = {
        name: dict(seen)
        for name, seen in named.items()
        if set(seen) - SAYS_NOTHING - {CASES[name].wanted} or "absent" in seen
    }
    assert not wrong, f"named what is not there: {wrong}"
    right = [n for n, seen in named.items() if not CASES[n].healthy and _mostly(seen) == CASES[n].wanted]
    assert len(right) >= LEAST_RIGHT, f"{len(right)} named right: {sorted(right)}"
    assert not {n for n, seen in named.items() if CASES[n].healthy and _mostly(seen) != "None"}
    _explained(last, right)


def test_a_profile_survives_a_restart(kube: Kube, plane: Cluster, street: str) -> None:
    def samples() -> int:
        (profile, *_) = diagnoses(kube, street)["plain"].get("profile") or [{}]
        return int(profile.get("requestsPerSecond", {}).get("samples", 0))

    eventually(lambda: samples() >= 1, "something is learned", 120)
    since, before = diagnoses(kube, street)["plain"]["profile"][0]["since"], samples()
    plane.stop("operator", "KILL")
    plane.start("operator")
    eventually(lambda: samples() > before, "more is learned", 120)
    assert diagnoses(kube, street)["plain"]["profile"][0]["since"] == since


def watched(kube: Kube, home: str, seconds: float) -> dict[str, Counter[str]]:
    """How often each cause is named of each endpoint."""
    named: dict[str, Counter[str]] = {name: Counter() for name in CASES}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, status in diagnoses(kube, home).items():
            named[name][status.get("diagnosis", {}).get("cause", "absent")] += 1
        time.sleep(2)
    return named


def _mostly(seen: Counter[str]) -> str:
    return seen.most_common(1)[0][0]


def _explained(last: dict[str, Json], right: list[str]) -> None:
    """What is named has its evidence, and what to do; a healthy endpoint has a profile."""
    for name in right:
        diagnosis = last[name]["diagnosis"]
        if diagnosis["cause"] in SAYS_NOTHING:
            continue
        assert len(diagnosis["evidence"]) >= 2 or diagnosis["confidence"] == "Low", diagnosis
        assert diagnosis["remedy"], diagnosis
    (profile,) = last["plain"]["profile"]
    assert profile["requestsPerSecond"]["value"] == pytest.approx(4, rel=0.5)
    assert profile["coldStart"]["seconds"]
    assert profile["gpu"]


def table(named: dict[str, Counter[str]], last: dict[str, Json]) -> str:
    """Cause put in by cause named, with how often."""
    rows = ["", f"{'put in':<22} {'endpoint':<22} {'named (times)':<44} {'confidence':<10} replicas help"]
    for name, case in CASES.items():
        seen = " ".join(f"{cause}:{times}" for cause, times in named[name].most_common())
        diagnosis = last.get(name, {}).get("diagnosis", {})
        put = "healthy" if case.healthy else case.wanted
        rows.append(
            f"{put:<22} {name:<22} {seen:<44} {diagnosis.get('confidence', ''):<10}"
            f" {diagnosis.get('replicasHelp', '')}"
        )
    return "\n".join(rows)
