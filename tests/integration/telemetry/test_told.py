"""The operator on bad telemetry: it says what is wrong, takes nothing, and goes on afterwards."""

import base64
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from integration.telemetry.gateway import Gateway, gateway
from integration.telemetry.watching import ENGINE, Exporters
from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.runner.settings import NAMESPACE
from support.gpupods import USE, gpu_pod
from support.plane import prometheus
from support.story import QUICK, Json, Story

TOKEN = "the-token-of-the-gate"  # noqa: S105 - an example
MINUTE = 60.0
LONG = 120.0
"""Seconds that what has no limit of its own may take on a busy machine."""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    return released_plane


@pytest.fixture
def story(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    told = Story(kube, namespace)
    yield told
    told.end()


@pytest.fixture
def gate(guarded: Gateway) -> Iterator[Gateway]:
    """The gateway, which does nothing wrong before a test and after it, whatever happens in it."""
    guarded.mend()
    try:
        yield guarded
    finally:
        guarded.mend()


@pytest.fixture(scope="module")
def guarded(plane: Cluster) -> Iterator[Gateway]:
    """The operator asks Prometheus through a gateway that wants a token."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "gate", "namespace": NAMESPACE},
        "data": {"token": base64.b64encode(TOKEN.encode()).decode()},
    }
    usual = release.chart_values(plane)["prometheus"]
    with gateway(plane.prometheus_url) as made, plane.kube() as kube:
        made.token = TOKEN
        kube.apply(secret)
        values = {**usual, "url": made.url, "credentialsSecret": "gate"}
        release.install(plane, {"prometheus": values}, quiet=True)
        yield made
        made.mend()
        release.install(plane, {"prometheus": {**usual, "credentialsSecret": ""}}, quiet=True)
        kube.delete(f"/api/v1/namespaces/{NAMESPACE}/secrets/gate")


def healthy(story: Story, reason: str, *says: str) -> Json:
    """Wait until TelemetryHealthy has a reason and says all of this."""

    def told() -> Json | None:
        found = story.condition("TelemetryHealthy")
        text = found.get("message", "")
        return found if found.get("reason") == reason and all(word in text for word in says) else None

    return story.until(
        told, lambda: f"{reason} is told: {says} (now {story.condition('TelemetryHealthy')})", MINUTE
    )


def known(story: Story, team: str, state: str) -> None:
    """Wait until a team's data is called so."""

    def told() -> bool:
        return story.status(team, "serve").get("dataState") == state

    story.until(told, f"the data of {team} is {state}", MINUTE)


def enforced(story: Story) -> None:
    """Wait until the walls of all teams stand."""
    story.until_enforced()


def lent(story: Story, team: str) -> Json:
    """Wait until what a team never requested is lent out."""
    return story.until(
        lambda: s if (s := story.status(team, "serve"))["reclaim"]["stage"] == "Lent" else None,
        lambda: f"{team} is taken from (now {story.status(team, 'serve')})",
        LONG,
    )


def untouched(story: Story, team: str) -> None:
    """Nothing was taken, and once the grant is not young any more no verdict is there to take it by."""

    def undecided() -> Json | None:
        status = story.status(team, "serve")
        return status if story.condition("UnderUsed", status)["status"] == "Unknown" else None

    status = story.until(undecided, lambda: f"use is unknown (now {story.status(team, 'serve')})", MINUTE)
    assert status["allowance"] == 4, status
    assert status["reclaim"]["stage"] != "Lent", status
    assert story.hard(team) == 4


def on_node(story: Story, team: str, node: str, use: str) -> str:
    """A pod of one GPU on a node."""
    pod = gpu_pod(team, f"serve-{next(_numbers)}", 1, annotations={USE: use})
    pod["metadata"]["labels"] = {"app": "serve"}
    pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    story.kube.create(pod)
    return str(pod["metadata"]["name"])


def test_whatever_prometheus_does_is_told_within_a_minute_and_takes_nothing(
    gate: Gateway, story: Story, plane: Cluster
) -> None:
    gate.fault = "html"
    story.add_nodes(1)
    team = story.team("owner")
    story.pool(shares=[story.share(team, 4)], **QUICK)
    story.ask(team, "serve", 4)
    story.until_phase(team, "serve", "Granted")
    enforced(story)
    story.run(team, "serve", 1)
    for fault, reason, says in (
        ("html", "NotPrometheus", "check prometheus.url"),
        ("401", "PrometheusRefused", "prometheus.credentialsSecret"),
        ("404", "PrometheusRefused", "path prefix included"),
        ("slow", "PrometheusSlow", "Prometheus"),
        ("down", "PrometheusUnreachable", "does not answer"),
    ):
        gate.fault = fault
        told = healthy(story, reason, says)
        assert told["status"] == "False"
        known(story, team, "Missing")
        untouched(story, team)
        gate.woken.set()
    gate.mend()
    healthy(story, "Fresh")
    assert lent(story, team)["allowance"] == 2
    logs = [file.read_text() for file in (plane.layout.logs / "pods").glob("gpupool-*.log")]
    assert any("prometheus_credentials" in text for text in logs)
    assert not any(TOKEN in text for text in logs)


@contextmanager
def rolling(story: Story, team: str, node: str) -> Iterator[None]:
    """Replace a team's only pod every few seconds."""
    stop = threading.Event()
    path = f"/api/v1/namespaces/{team}/pods"

    def roll() -> None:
        name = on_node(story, team, node, "0")
        while not stop.wait(4):
            old, name = name, on_node(story, team, node, "0")
            story.kube.delete(f"{path}/{old}?gracePeriodSeconds=0")

    thread = threading.Thread(target=roll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def test_each_team_is_judged_by_its_own_data_alone(
    story: Story, plane: Cluster, faults: Callable[..., None]
) -> None:
    states = {"dark": "Missing", "hung": "Stale", "denied": "Conflicting", "good": "OK", "rolled": "OK"}
    nodes = dict(zip(states, story.add_nodes(len(states), 4), strict=True))
    teams = {name: story.team(name) for name in states}
    shares = [story.share(team, 4) for team in teams.values()]
    looking = {**QUICK, "reclaim": {**QUICK["reclaim"], "mode": "Recommend"}}
    story.pool(shares=shares, **looking)
    for team in teams.values():
        story.ask(team, "serve", 4)
    for team in teams.values():
        story.until_phase(team, "serve", "Granted")
    enforced(story)
    faults(nodes["dark"], silent=True)
    pods = {name: on_node(story, teams[name], nodes[name], "40") for name in states if name != "rolled"}

    def lie() -> str:
        labels = f'namespace="{teams["denied"]}",pod="{pods["denied"]}",hostname="{nodes["denied"]}"'
        return f'{ENGINE}{{UUID="GPU-lie",gpu="0",{labels}}} 0\n'

    with (
        Exporters(plane, story.name) as exporters,
        rolling(story, teams["rolled"], nodes["rolled"]),
    ):
        exporters.add("dcgm-exporter", lie)
        seen = f'{ENGINE}{{namespace="{teams["hung"]}"}}'
        story.until(lambda: prometheus(plane, seen), "the exporter shows the pod before it hangs", MINUTE)
        faults({nodes["dark"]: {"silent": True}, nodes["hung"]: {"frozen": True}})
        for name, state in states.items():
            known(story, teams[name], state)
        story.pool(shares=shares, **QUICK)  # from now on it may take
        healthy(
            story,
            "BadData",
            *(teams[name] for name in ("dark", "hung", "denied")),
            f"No usable samples from nodes {nodes['dark']}",
            f"Values from nodes {nodes['hung']} do not move",
            "Exporters contradict each other",
        )
        assert lent(story, teams["good"])["allowance"] == 2
        lent(story, teams["rolled"])
        for name in ("dark", "hung", "denied"):
            untouched(story, teams[name])
    faults()
    healthy(story, "Fresh")
    for name in ("dark", "hung", "denied"):
        lent(story, teams[name])
