"""Things deleted, made again, or broken while GPUs are granted: what was granted stays, and it is told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from integration.operator.test_bad_input import told
from integration.operator.test_isolation import all_tainted, enforced
from localplane.kube import JSON_PATCH, KubeError
from support.marks import standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localplane.kube import Kube
    from support.story import Story

Json = dict[str, Any]
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def test_a_request_deleted_and_made_again_is_granted_again(story: Story, granted: str) -> None:
    story.kube.delete(story.request_path(granted, "work"))
    story.until(lambda: story.hard(granted) == 0, "the wall falls with the request")
    story.ask(granted, "work", 4)
    story.until(lambda: story.in_force(granted) == 4, "and rises again")
    story.until_phase(granted, "work", "Granted")


def test_a_pool_deleted_and_made_again_is_enforced_again(story: Story, granted: str) -> None:
    path = f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}"
    story.kube.delete(path)
    told(story, granted, "work", "Pending", "NamespaceWithoutPool")
    story.until(lambda: not standing(story.kube, story.name), "everything is released", 90)
    story.pool(shares=[story.share(granted, 4)])
    story.until_phase(granted, "work", "Granted")
    enforced(story)


def test_a_namespace_deleted_and_made_again_starts_anew(story: Story, granted: str) -> None:
    gone = story.team("gone")
    story.pool(shares=[story.share(granted, 4), story.share(gone, 4)])
    story.ask(gone, "work", 4)
    story.until(lambda: story.in_force(gone) == 4, "the wall is in force")
    story.kube.delete(f"/api/v1/namespaces/{gone}")
    story.until(lambda: not story.kube.exists(f"/api/v1/namespaces/{gone}"), "nothing keeps it", 90)
    story.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": gone}})
    story.until(lambda: story.hard(gone) == 0, "a wall stands in the new one")
    story.ask(gone, "work", 2)
    assert story.until_phase(gone, "work", "Granted")["granted"] == 2


@pytest.fixture
def relaxed(kube: Kube) -> Iterator[Callable[[str, str], None]]:
    """Takes a bound out of a CRD, as an older one would lack it: `relaxed("gpupools", "reserve/minimum")`."""
    before: list[Json] = []

    def relax(plural: str, bound: str) -> None:
        path = f"{CRD}/{plural}.gpupool.dev"
        before.append(kube.get(path))
        place = f"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{bound}"
        kube.patch(path, [{"op": "remove", "path": place}], content_type=JSON_PATCH)

    yield relax
    for crd in before:
        meta = {k: crd["metadata"][k] for k in ("name", "labels", "annotations")}
        body = {"apiVersion": crd["apiVersion"], "kind": crd["kind"], "metadata": meta, "spec": crd["spec"]}
        kube.apply(body, field_manager="helm")  # whose it was, so that the next upgrade meets no conflict


def test_a_stored_object_that_breaks_the_rules_is_told_and_costs_nothing(
    story: Story, granted: str, relaxed: Callable[[str, str], None]
) -> None:
    enforced(story)
    story.until(lambda: all_tainted(story), "the taint stands")
    before = standing(story.kube, story.name)
    relaxed("gpupools", "reserve/minimum")
    relaxed("capacityrequests", "expectedUtilization/maximum")
    pool = f"/apis/gpupool.dev/v1alpha1/gpupools/{story.name}"
    work = story.request_path(granted, "work")
    # The schema is served a moment after it was written.
    story.until(lambda: _taken(story.kube, pool, {"spec": {"reserve": -1}}), "the relaxed pool")
    story.until(
        lambda: _taken(story.kube, work, {"spec": {"expectedUtilization": 150}}), "the relaxed request"
    )
    for namespace, name, said in (
        ("default", story.name, "spec.reserve (-1)"),
        (granted, "work", "spec.expectedUtilization (150)"),
    ):
        message = story.until(partial(_invalid, story.kube, namespace, name), f"an Event about {name}")
        assert said in message
        assert "The last valid version stays in force" in message
    assert standing(story.kube, story.name) == before
    story.kube.patch(pool, {"spec": {"reserve": 0}})
    story.kube.patch(work, {"spec": {"expectedUtilization": 80}})


def _taken(kube: Kube, path: str, change: Json) -> bool:
    try:
        kube.patch(path, change)
    except KubeError as error:
        if error.status != 422:
            raise
        return False
    return True


def _invalid(kube: Kube, namespace: str, name: str) -> str:
    found = kube.list(
        f"/api/v1/namespaces/{namespace}/events", fields=f"involvedObject.name={name},reason=Invalid"
    )
    return str(found[0]["message"]) if found else ""
