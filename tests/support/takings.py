"""Pods that the operator ended: each at most once, by what the API server answered."""

from collections import Counter
from collections.abc import Iterable

import httpx

from support.faultproxy.asked import Asked
from support.faultproxy.faults import endings


def takings(journal: Iterable[Asked]) -> list[Asked]:
    """Evictions and deletes of pods that the API server accepted; not what a test answered for it."""
    return [a for a in journal if endings(a) and not a.ours and httpx.codes.is_success(a.status)]


def pod_of(asked: Asked) -> str:
    """Which very pod a request ends: its uid, which the operator always says; its place where it does not."""
    body = asked.content
    options = body.get("deleteOptions", {}) if asked.kind == "pods/eviction" else body
    uid = (options.get("preconditions") or {}).get("uid", "no uid")
    return f"{asked.namespace}/{asked.name} ({uid})"


def ended_twice(journal: Iterable[Asked]) -> list[str]:
    """Pods that were ended more than once, in words."""
    done = Counter(pod_of(a) for a in takings(journal))
    return [f"pod ended {number} times: {pod}" for pod, number in done.items() if number > 1]
