"""What the mirrors say together of what is not known."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from gpupool.kube.client import KubeClient
from gpupool.model.senses import Senses, Unread
from gpupool.runtime.mirror import Mirror
from gpupool.runtime.settings import Settings
from support.builders import NOW


def a_mirror() -> Mirror:
    """Mirrors that never run, as if they had just heard."""

    def now() -> datetime:
        return NOW

    client = cast("KubeClient", SimpleNamespace(server_time=now))
    return Mirror(client, Settings(), lambda _: None, mutating=False)


def test_mirrors_that_hear_nothing_are_named_at_once_though_nothing_changes() -> None:
    mirror = a_mirror()
    assert mirror.mapped()[0].senses == Senses()
    for reflector in (mirror.pods, mirror.requests):
        reflector._heard_at -= 1000.0
    assert mirror.mapped()[0].senses == Senses(unheard=("capacityrequests", "pods"))
    mirror.pods._heard()
    mirror.requests._heard()
    assert mirror.mapped()[0].senses == Senses()


def test_objects_that_would_count_and_cannot_be_read_are_named() -> None:
    mirror = a_mirror()
    for reflector in (mirror.pods, mirror.quotas, mirror.nodes, mirror.jobs):
        meta: dict[str, Any] = {"name": "odd", "uid": "odd", "resourceVersion": "7"}
        place = {} if reflector is mirror.nodes else {"namespace": "vision"}
        reflector.store.upsert(reflector.store.entry({"metadata": meta | place, "spec": "odd"}))
    assert mirror.senses().unread == (
        Unread("pods", "odd", "vision"),
        Unread("nodes", "odd"),
        Unread("resourcequotas", "odd", "vision"),
    )
