"""Writing to the real API server: only our own fields, only on what the decision was made on."""

import asyncio
from collections.abc import Callable

import pytest

from gpupool.applier.serverside import Deletion
from gpupool.errors import AlreadyExists, Conflict, FencedError, Invalid, NotFound
from gpupool.kube.client import KubeClient
from gpupool.kube.messages import DeleteOptions, Precondition
from gpupool.kube.resources import PODS, RESOURCE_QUOTAS, Json, ObjectKey, Resource
from localplane.kube import Kube
from support.polling import eventually
from support.writing import CONFIG_MAPS, config_map, quota, writer_of


def foreign(kube: Kube, namespace: str, name: str, **data: str) -> Json:
    """Somebody else applies data to the same object."""
    body = {"apiVersion": "v1", "kind": "ConfigMap"} | config_map(namespace, name, **data)
    return kube.apply(body, field_manager="somebody-else")


async def test_a_foreign_field_is_left_untouched(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, heard = writer_of(client)
    foreign(kube, home, "shared", theirs="1")
    obj = await writer.apply(CONFIG_MAPS, config_map(home, "shared", ours="2"), epoch=1)
    assert obj["data"] == {"theirs": "1", "ours": "2"}
    assert {"gpupool", "somebody-else"} <= {entry["manager"] for entry in obj["metadata"]["managedFields"]}
    assert heard.objects == [obj]


async def test_every_character_that_an_object_may_hold_is_applied_as_it_is(
    client: KubeClient, namespace: Callable[..., str]
) -> None:
    writer, _ = writer_of(client)
    people = "crew \U0001f469\u200d\U0001f680 \u05e9\u05dc\u05d5\u05dd"
    odd = '\x00\t\n\x1f\x7f\x85\x9f\u2028\ufeff\ufffe\uffff "\\ud83d'
    text = f"{people} {odd}"
    obj = await writer.apply(CONFIG_MAPS, config_map(namespace("write"), "shared", v=text), epoch=1)
    assert obj["data"] == {"v": text}


async def test_a_field_left_out_of_the_next_apply_is_given_up(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    foreign(kube, home, "shared", theirs="1")
    await writer.apply(CONFIG_MAPS, config_map(home, "shared", ours="2", more="3"), epoch=1)
    obj = await writer.apply(CONFIG_MAPS, config_map(home, "shared", ours="2"), epoch=1)
    assert obj["data"] == {"theirs": "1", "ours": "2"}


async def test_a_field_of_another_manager_is_a_conflict_unless_it_is_forced(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, heard = writer_of(client)
    foreign(kube, home, "shared", v="theirs")
    body = config_map(home, "shared", v="ours")
    with pytest.raises(Conflict) as refused:
        await writer.apply(CONFIG_MAPS, body, epoch=1)
    assert refused.value.contested == (".data.v",)
    assert heard.objects == []
    assert (await writer.apply(CONFIG_MAPS, body, epoch=1, force=True))["data"] == {"v": "ours"}


async def test_a_dry_run_changes_nothing_and_is_told_to_nobody(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, heard = writer_of(client)
    obj = await writer.apply(CONFIG_MAPS, config_map(home, "dry", v="1"), epoch=1, dry_run=True)
    assert obj["data"] == {"v": "1"}
    assert heard.objects == []
    assert not kube.exists(f"/api/v1/namespaces/{home}/configmaps/dry")


async def test_a_raise_on_an_old_version_is_a_conflict_and_raises_nothing(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, heard = writer_of(client)
    path = f"/api/v1/namespaces/{home}/resourcequotas/gpupool"
    old = await writer.raise_quota(quota(home, 4), on=None, epoch=1)
    kube.patch(path, {"metadata": {"annotations": {"gpupool.dev/epoch": "2"}}})  # a new leader's stamp
    heard.objects.clear()
    with pytest.raises(Conflict) as refused:
        await writer.raise_quota(quota(home, 8), on=Precondition.of(old), epoch=1)
    assert refused.value.contested == (), "the version was old, no field was contested"
    assert kube.get(path)["spec"]["hard"] == {"requests.nvidia.com/gpu": "4"}
    assert heard.objects == []


async def test_a_raise_on_the_present_version_is_made(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    await writer.raise_quota(quota(home, 4), on=None, epoch=1)
    path = f"/api/v1/namespaces/{home}/resourcequotas/gpupool"
    await eventually(lambda: "hard" in kube.get(path).get("status", {}), what="the quota controller")
    obj = await writer.raise_quota(quota(home, 8), on=Precondition.of(kube.get(path)), epoch=1)
    assert obj["spec"]["hard"] == {"requests.nvidia.com/gpu": "8"}


async def test_a_raise_of_a_quota_that_appeared_or_vanished_is_a_conflict(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    made = await writer.raise_quota(quota(home, 4), on=None, epoch=1)
    with pytest.raises(AlreadyExists):
        await writer.raise_quota(quota(home, 8), on=None, epoch=1)
    kube.delete(f"/api/v1/namespaces/{home}/resourcequotas/gpupool")
    with pytest.raises(Conflict):
        await writer.raise_quota(quota(home, 8), on=Precondition.of(made), epoch=1)
    assert not kube.exists(f"/api/v1/namespaces/{home}/resourcequotas/gpupool")


async def test_an_empty_quota_left_by_a_crash_is_taken_up(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    left = kube.create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"namespace": home, "name": "gpupool"}}
    )
    obj = await writer.raise_quota(quota(home, 4), on=Precondition.of(left), epoch=1)
    assert obj["spec"]["hard"] == {"requests.nvidia.com/gpu": "4"}


async def test_a_quota_created_by_us_can_be_applied_by_us_without_force(
    client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    await writer.raise_quota(quota(home, 4), on=None, epoch=1)
    obj = await writer.apply(RESOURCE_QUOTAS, quota(home, 2), epoch=1)
    assert obj["spec"]["hard"] == {"requests.nvidia.com/gpu": "2"}


async def test_a_status_is_applied_beside_what_others_wrote_in_it(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": home, "name": "waits"},
            "spec": {
                "nodeSelector": {"nobody": "here"},
                "containers": [{"name": "c", "image": "example.invalid/none"}],
            },
        }
    )
    path = f"/api/v1/namespaces/{home}/pods/waits"
    await eventually(
        lambda: bool(kube.get(path)["status"].get("conditions")), what="the scheduler's condition"
    )
    condition = {"type": "gpupool.dev/test", "status": "True"}
    body: Json = {"metadata": {"namespace": home, "name": "waits"}, "status": {"conditions": [condition]}}
    obj = await writer.apply_status(PODS, body, epoch=1)
    assert {entry["type"] for entry in obj["status"]["conditions"]} == {"PodScheduled", "gpupool.dev/test"}


async def test_a_patch_made_for_another_version_is_a_conflict(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    key = ObjectKey(home, "one")
    old = int(foreign(kube, home, "one", v="1")["metadata"]["resourceVersion"])
    new = int(foreign(kube, home, "one", v="2")["metadata"]["resourceVersion"])
    change = [{"op": "replace", "path": "/data/v", "value": "3"}]
    with pytest.raises(Conflict):
        await writer.json_patch(CONFIG_MAPS, key, change, version=old, epoch=1)
    wrong = [{"op": "remove", "path": "/data/none"}]
    with pytest.raises(Invalid):
        await writer.json_patch(CONFIG_MAPS, key, wrong, version=new, epoch=1)
    obj = await writer.json_patch(CONFIG_MAPS, key, change, version=new, epoch=1)
    assert obj["data"] == {"v": "3"}


async def test_a_delete_says_what_it_found(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, heard = writer_of(client)
    key = ObjectKey(home, "one")
    made = foreign(kube, home, "one", v="1")
    path = f"/api/v1/namespaces/{home}/configmaps/one"
    kube.patch(path, {"metadata": {"finalizers": ["example.com/hold"]}})
    assert await writer.delete(CONFIG_MAPS, key, epoch=1) is Deletion.GOING
    kube.patch(path, {"metadata": {"finalizers": None}})
    assert await writer.delete(CONFIG_MAPS, key, epoch=1) is Deletion.ABSENT
    again = foreign(kube, home, "one", v="1")
    assert await writer.delete(CONFIG_MAPS, key, epoch=1) is Deletion.GONE
    assert heard.gone == [(key, again["metadata"]["uid"])]
    assert made["metadata"]["uid"] != again["metadata"]["uid"]


async def test_a_delete_by_uid_spares_a_namesake(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    foreign(kube, home, "one", v="1")
    options = DeleteOptions(uid="00000000-0000-0000-0000-000000000000")
    with pytest.raises(Conflict):
        await writer.delete(CONFIG_MAPS, ObjectKey(home, "one"), epoch=1, options=options)
    assert kube.exists(f"/api/v1/namespaces/{home}/configmaps/one")


async def test_a_write_of_an_older_leader_is_refused(
    kube: Kube, client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    await writer.apply(CONFIG_MAPS, config_map(home, "one", v="new"), epoch=7)
    with pytest.raises(FencedError):
        await writer.apply(CONFIG_MAPS, config_map(home, "one", v="old"), epoch=6)
    assert kube.get(f"/api/v1/namespaces/{home}/configmaps/one")["data"] == {"v": "new"}


async def test_no_more_writes_are_under_way_than_allowed(
    client: KubeClient, namespace: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = namespace("write")
    writer, heard = writer_of(client, concurrency=3)
    under_way, most = 0, 0
    apply = client.apply

    async def counted(resource: Resource, body: Json, **options: object) -> Json:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await apply(resource, body, **options)  # type: ignore[arg-type]
        finally:
            under_way -= 1

    monkeypatch.setattr(client, "apply", counted)
    bodies = [config_map(home, f"m{number}", v="1") for number in range(20)]
    await asyncio.gather(*(writer.apply(CONFIG_MAPS, body, epoch=1) for body in bodies))
    assert (most, len(heard.objects)) == (3, 20)


async def test_refusals_are_told_apart_by_their_type(
    client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("write")
    writer, _ = writer_of(client)
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "none", home)
    with pytest.raises(NotFound):
        await writer.apply(CONFIG_MAPS, config_map("no-such-namespace", "one", v="1"), epoch=1)
    with pytest.raises(Invalid):
        await writer.apply(CONFIG_MAPS, config_map(home, "Not_A_Name", v="1"), epoch=1)
