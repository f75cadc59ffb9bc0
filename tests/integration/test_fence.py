"""The epoch on quotas: whatever a leader still sends that was replaced meanwhile changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from gpupool.applier.fence import lower, settle, stamp
from gpupool.applier.serverside import Writer
from gpupool.errors import Conflict, FencedError, NotFound
from gpupool.kube.client import KubeClient
from gpupool.kube.messages import DeleteOptions, Precondition
from gpupool.kube.resources import RESOURCE_QUOTAS, ObjectKey
from gpupool.model.annotations import EPOCH
from gpupool.model.marks import MANAGED
from localplane.kube import Kube
from support.writing import Heard, quota, writer_of

Json = dict[str, Any]
_epochs = itertools.count(1000, 100)
"""Each test is a newer leader than those before it: quotas of other tests are stamped, too."""


def ours(namespace: str, gpus: int, at: int) -> Json:
    """A quota as the operator applies it, with the epoch of its writer."""
    body = quota(namespace, gpus)
    body["metadata"] |= {"labels": dict(MANAGED), "annotations": {EPOCH: str(at)}}
    return body


def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/resourcequotas/gpupool"


def hard(kube: Kube, namespace: str) -> list[str]:
    return list(kube.get(path(namespace))["spec"].get("hard", {}).values())


@pytest.fixture
def old(client: KubeClient) -> Writer:
    """The leader that was replaced; it believes that it leads."""
    return writer_of(client, within=2.0)[0]


async def test_nothing_that_an_old_leader_decided_before_the_stamp_has_an_effect_after_it(
    client: KubeClient, kube: Kube, namespace: Callable[..., str], old: Writer
) -> None:
    home = namespace("fence")
    made = await old.raise_quota(ours(home, 8, 5), on=None, epoch=5)
    decided = Precondition.of(made)
    new, heard = writer_of(client)
    await stamp(client, new, at := next(_epochs))
    told = [o for o in heard.objects if o["metadata"]["namespace"] == home]
    assert [o["metadata"]["annotations"][EPOCH] for o in told] == [str(at)], "the mirror hears what stands"
    with pytest.raises(Conflict):
        await old.raise_quota(ours(home, 16, 5), on=decided, epoch=5)
    with pytest.raises(FencedError):
        await lower(client, old, ours(home, 2, 5), on=decided, epoch=5)
    options = DeleteOptions(uid=decided.uid, version=decided.version)
    with pytest.raises(Conflict):
        await old.delete(RESOURCE_QUOTAS, ObjectKey(home, "gpupool"), epoch=5, options=options)
    assert hard(kube, home) == ["8"]


async def test_a_quota_that_was_only_begun_is_stamped_too_and_taken_over(
    client: KubeClient, kube: Kube, namespace: Callable[..., str], old: Writer
) -> None:
    home = namespace("fence")
    begun = await old.create(RESOURCE_QUOTAS, {"metadata": quota(home, 0)["metadata"]}, epoch=5)
    new, _ = writer_of(client)
    await stamp(client, new, at := next(_epochs))
    with pytest.raises(Conflict):
        await old.apply(
            RESOURCE_QUOTAS, Precondition.of(begun).guarding(ours(home, 8, 5)), epoch=5, force=True
        )
    await new.raise_quota(ours(home, 4, at), on=None, epoch=at)
    assert hard(kube, home) == ["4"], "an empty quota left behind is no reason to give up"


async def test_a_quota_of_somebody_else_keeps_its_numbers_and_gets_no_stamp(
    client: KubeClient, kube: Kube, namespace: Callable[..., str], old: Writer
) -> None:
    home = namespace("fence")
    kube.create({"apiVersion": "v1", "kind": "ResourceQuota"} | quota(home, 3))
    await stamp(client, old, next(_epochs))
    assert EPOCH not in kube.get(path(home))["metadata"].get("annotations", {})
    with pytest.raises(Conflict):
        await old.raise_quota(ours(home, 8, 5), on=None, epoch=next(_epochs))
    assert hard(kube, home) == ["3"]


async def test_a_leader_that_meets_a_higher_epoch_stamps_nothing(
    client: KubeClient, kube: Kube, namespace: Callable[..., str], old: Writer
) -> None:
    home = namespace("fence")
    await old.raise_quota(ours(home, 8, 400_000_000), on=None, epoch=400_000_000)
    with pytest.raises(FencedError, match="carries epoch"):
        await stamp(client, writer_of(client)[0], 7)
    kube.delete(path(home))


async def test_a_lowering_goes_on_where_only_its_use_was_counted_meanwhile(
    client: KubeClient, kube: Kube, namespace: Callable[..., str], old: Writer
) -> None:
    home = namespace("fence")
    seen = Precondition.of(await old.raise_quota(ours(home, 8, 5), on=None, epoch=5))
    kube.patch(path(home), {"metadata": {"annotations": {"counted": "yes"}}})
    await lower(client, old, ours(home, 2, 5), on=seen, epoch=5)
    assert hard(kube, home) == ["2"]
    kube.delete(path(home))
    namesake = await writer_of(client)[0].raise_quota(ours(home, 6, 5), on=None, epoch=5)
    with pytest.raises(Conflict):
        await lower(client, old, ours(home, 1, 5), on=seen, epoch=5)
    assert kube.get(path(home))["metadata"]["uid"] == namesake["metadata"]["uid"]
    assert hard(kube, home) == ["6"]


async def test_a_raise_that_comes_after_its_quota_was_settled_changes_nothing(
    client: KubeClient, kube: Kube, namespace: Callable[..., str]
) -> None:
    home = namespace("fence")
    writer, heard = writer_of(client)
    made = await writer.raise_quota(ours(home, 4, at := next(_epochs)), on=None, epoch=at)
    decided = Precondition.of(made)
    await settle(client, writer, home, at)
    assert heard.objects[-1]["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        await writer.raise_quota(ours(home, 8, at), on=decided, epoch=at)
    assert hard(kube, home) == ["4"]
    await settle(client, writer, home, at)
    await settle(client, writer, namespace("bare"), at)


async def test_who_leads_no_more_sends_nothing_at_all(
    client: KubeClient, namespace: Callable[..., str]
) -> None:
    home = namespace("fence")
    leads = [True, False]
    writer = Writer(client, Heard(), leads=lambda: leads.pop(0))
    await writer.apply(RESOURCE_QUOTAS, quota(home, 4), epoch=1)
    before = client.transport.answers.total()
    with pytest.raises(FencedError, match="our lease may have run out"):
        await writer.apply(RESOURCE_QUOTAS, quota(home, 8), epoch=1)
    assert client.transport.answers.total() == before


async def test_a_quota_is_read_with_the_right_to_list_alone(
    client: KubeClient, kube: Kube, namespace: Callable[..., str], as_user: Callable[..., Kube]
) -> None:
    """The operator's role lists quotas and gets none: what it asks is what this user may."""
    home, user = namespace("fence"), "lister@example.com"
    await writer_of(client)[0].raise_quota(ours(home, 8, 5), on=None, epoch=5)
    rules = [{"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["list"]}]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "lister", "namespace": home}}
    kube.create(rbac | {"kind": "Role", "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lister"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    kube.create(rbac | {"kind": "RoleBinding", "roleRef": role, "subjects": [subject]})
    seen: list[tuple[str, dict[str, str] | None]] = []
    request = client.transport.request

    async def noting(method: str, path: str, *, query: dict[str, str] | None = None, **more: Any) -> Json:
        seen.append((path, query))
        return await request(method, path, query=query, **more)

    client.transport.request = noting  # type: ignore[method-assign]
    found = await client.look_up(RESOURCE_QUOTAS, "gpupool", home)
    assert found["metadata"]["name"] == "gpupool"
    ((asked, query),) = seen
    allowed = as_user(user).get(f"{asked}?fieldSelector={(query or {})['fieldSelector']}")
    assert [q["metadata"]["name"] for q in allowed["items"]] == ["gpupool"]
    with pytest.raises(NotFound):
        await client.look_up(RESOURCE_QUOTAS, "another", home)
