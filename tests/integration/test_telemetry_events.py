"""Events as the real API server takes them."""

from collections.abc import Callable

import httpx
import pytest

from gpupool.model.objects import Key
from gpupool.model.plan import Notice
from gpupool.telemetry.events import event
from localplane.kube import Kube, KubeError
from support.usage import moment


def test_a_notice_becomes_an_event_once(kube: Kube, namespace: Callable[..., str]) -> None:
    place = namespace("events")
    notice = Notice("CapacityRequest", Key(place, "train"), "uid", "UnderUsed", "44 GPUs.", warning=True)
    body = event(notice, moment(), instance="gpupool-0")
    kube.create(body)
    found = kube.list(f"/api/v1/namespaces/{place}/events")
    assert [(e["reason"], e["type"], e["involvedObject"]["name"]) for e in found] == [
        ("UnderUsed", "Warning", "train")
    ]
    with pytest.raises((KubeError, httpx.HTTPStatusError), match="exists"):
        kube.create(body)


def test_an_event_of_a_pool_lives_in_default(kube: Kube) -> None:
    body = event(
        Notice("GpuPool", Key("", f"lab-{moment().timestamp():.0f}"), "", "Ready", "4 nodes."), moment()
    )
    kube.create(body)
    path = f"/api/v1/namespaces/default/events/{body['metadata']['name']}"
    assert kube.get(path)["message"] == "4 nodes."
    kube.delete(path)
