"""Rows 34 and 31: statuses wiped, quotas deleted, requests made again. Nobody who runs is cut."""

from integration.scenarios.conftest import LONG, enforced
from localplane.cluster import Cluster
from localplane.kube import JSON_PATCH, Kube
from support.replicas import killed
from support.story import QUICK, Story


def _uids(story: Story, team: str) -> set[str]:
    pods = story.kube.list(f"/api/v1/namespaces/{team}/pods")
    return {p["metadata"]["uid"] for p in pods if "deletionTimestamp" not in p["metadata"]}


def _granted(story: Story, team: str, name: str) -> int | None:
    found = story.status(team, name).get("granted")
    return None if found is None else int(found)


def _quota(story: Story, team: str) -> str:
    """The uid of our quota, empty where there is none."""
    found = story.kube.find(f"/api/v1/namespaces/{team}/resourcequotas/gpupool")
    return "" if found is None else str(found["metadata"]["uid"])


def _owners(story: Story, team: str) -> list[str]:
    """The uids of what our quota is collected with."""
    found = story.kube.find(f"/api/v1/namespaces/{team}/resourcequotas/gpupool") or {}
    return [o["uid"] for o in found.get("metadata", {}).get("ownerReferences", [])]


def _full_pool(story: Story) -> tuple[str, str]:
    """Two teams that hold all eight GPUs, and an ask that waits behind them."""
    story.add_nodes(1)
    one, two = story.team("one"), story.team("two")
    story.pool(shares=[story.share(one, 4), story.share(two, 4)])
    for team in (one, two):
        story.ask(team, "work", 4)
        story.until_phase(team, "work", "Granted", seconds=LONG)
    enforced(story)
    story.ask(one, "later", 2)
    story.until_phase(one, "later", "Queued", seconds=LONG)
    for team in (one, two):
        story.deploy(team, "work", 4)
    story.until(lambda: story.held(one) == story.held(two) == 4, "all eight run", LONG)
    return one, two


def _wipe(operator: Kube, path: str) -> None:
    wiped = [{"op": "replace", "path": "/status", "value": {}}]
    operator.patch(f"{path}/status", wiped, content_type=JSON_PATCH)


def test_all_statuses_wiped_at_once_are_rebuilt_and_no_new_ask_overtakes(
    story: Story, operator: Kube
) -> None:
    one, two = _full_pool(story)
    before = {team: _uids(story, team) for team in (one, two)}
    asks = [(one, "work"), (one, "later"), (two, "work")]
    for team, name in asks:
        _wipe(operator, story.request_path(team, name))
    story.until(lambda: all(story.status(t, n).get("phase") for t, n in asks), "all are told again", LONG)
    story.until(lambda: _granted(story, one, "work") == _granted(story, two, "work") == 4, "whole", LONG)
    assert story.status(one, "later")["phase"] == "Queued"
    assert (story.hard(one), story.hard(two)) == (4, 4)
    assert {team: _uids(story, team) for team in (one, two)} == before


def test_all_quotas_deleted_by_hand_come_back_over_the_same_pods(story: Story, operator: Kube) -> None:
    one, two = _full_pool(story)
    before = {team: _uids(story, team) for team in (one, two)}
    old = {team: _quota(story, team) for team in (one, two)}
    for team in (one, two):
        operator.delete(f"/api/v1/namespaces/{team}/resourcequotas/gpupool")
    story.until(
        lambda: all(_quota(story, t) not in {"", old[t]} for t in (one, two)), "quotas are made again", LONG
    )
    story.until(lambda: story.hard(one) == story.hard(two) == 4, "as they were", LONG)
    assert (_granted(story, one, "work"), _granted(story, two, "work")) == (4, 4)
    assert _granted(story, one, "later") == 0
    assert {team: _uids(story, team) for team in (one, two)} == before


def test_a_cluster_restored_without_statuses_and_quotas_is_rebuilt_from_who_runs(
    story: Story, operator: Kube, plane: Cluster
) -> None:
    """Two runs two of its four, so that one more ask than there is room for is there to overtake it."""
    one, two = _full_pool(story)
    story.deploy(two, "work", 2)
    story.until(lambda: story.held(two) == 2, "two holds less than it was granted", LONG)
    before = {team: _uids(story, team) for team in (one, two)}
    asks = [(one, "work"), (one, "later"), (two, "work")]
    with killed(plane):
        for path in (story.path, *(story.request_path(*ask) for ask in asks)):
            _wipe(operator, path)
        for team in (one, two):
            operator.delete(f"/api/v1/namespaces/{team}/resourcequotas/gpupool")
        assert not any(story.status(*ask) for ask in asks)
        assert (story.hard(one), story.hard(two)) == (None, None)
    story.until(lambda: story.hard(one) == story.hard(two) == 4, "walls stand where they stood", LONG)
    story.until(lambda: _granted(story, one, "work") == _granted(story, two, "work") == 4, "whole", LONG)
    story.until_phase(one, "later", "Queued", seconds=LONG)
    assert _granted(story, one, "later") == 0
    enforced(story)
    assert {team: _uids(story, team) for team in (one, two)} == before


def test_a_pool_made_anew_at_once_has_the_walls_and_the_collector_takes_none(story: Story) -> None:
    one, two = _full_pool(story)
    before = {team: _uids(story, team) for team in (one, two)}
    path = f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}"
    story.kube.delete(path)
    story.pool(shares=[story.share(one, 4), story.share(two, 4)])
    uid = story.kube.get(path)["metadata"]["uid"]
    story.until(lambda: _owners(story, one) == _owners(story, two) == [uid], "walls go with it", LONG)
    story.until(lambda: story.hard(one) == story.hard(two) == 4, "as they were", LONG)
    assert {team: _uids(story, team) for team in (one, two)} == before


def test_a_recreated_request_has_its_gpus_and_its_open_deadline(story: Story) -> None:
    story.add_nodes(1)
    team = story.team("a")
    reclaim = {**QUICK["reclaim"], "grace": "10m"}
    story.pool(shares=[story.share(team, 8)], **{**QUICK, "reclaim": reclaim})
    story.ask(team, "serve", 8)
    story.until_phase(team, "serve", "Granted", seconds=LONG)
    enforced(story)
    story.deploy(team, "serve", 2)
    story.until(lambda: story.held(team) == 2, "two GPUs are held", LONG)
    warned = story.until(
        lambda: s if (s := story.status(team, "serve"))["reclaim"]["stage"] == "Warned" else None,
        "the owner is warned",
        LONG,
    )
    before, uid = _uids(story, team), story.request(team, "serve")["metadata"]["uid"]
    story.kube.delete(story.request_path(team, "serve"))
    story.ask(team, "serve", 8)
    again = story.until(
        lambda: (
            s
            if (s := story.status(team, "serve")).get("reclaim", {}).get("deadline") and s["granted"] == 8
            else None
        ),
        lambda: f"it has its GPUs and is warned still (now {story.status(team, 'serve')})",
        LONG,
    )
    assert again["reclaim"]["deadline"] == warned["reclaim"]["deadline"]
    assert story.request(team, "serve")["metadata"]["uid"] != uid
    assert _uids(story, team) == before
