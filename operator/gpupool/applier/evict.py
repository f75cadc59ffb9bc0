"""Ending pods: by the Eviction API, which asks disruption budgets, or by a delete, which does not.

A refusal is an answer, not an error: the caller decides whether to ask again or, when a recall is
due, to delete.
"""

from dataclasses import dataclass
from typing import TypeAlias

from gpupool.applier.serverside import Deletion, Writer
from gpupool.errors import Conflict, NotFound, TooManyRequests
from gpupool.kube.messages import DeleteOptions
from gpupool.kube.resources import PODS, ObjectKey

BUDGET_CAUSE = "DisruptionBudget"
DEFAULT_WAIT = 10.0  # seconds: what the API server itself asks while it looks at a budget


@dataclass(frozen=True, slots=True)
class Evicted:
    """The pod is going: it ends with its own grace period."""


@dataclass(frozen=True, slots=True)
class BlockedByBudget:
    """A PodDisruptionBudget holds it.

    Attributes:
        retry_after: seconds before asking again makes sense.
        message: which budget, in the server's words.
    """

    retry_after: float
    message: str


@dataclass(frozen=True, slots=True)
class AlreadyGone:
    """That pod is not there; a namesake may be, and was not touched."""


EvictionResult: TypeAlias = Evicted | BlockedByBudget | AlreadyGone


async def evict(writer: Writer, namespace: str, pod: str, uid: str, *, epoch: int) -> EvictionResult:
    """Evict one pod, and no namesake of it.

    Args:
        writer: the way to the cluster.
        namespace: of the pod.
        pod: its name.
        uid: its uid.
        epoch: the leader's.

    Raises:
        KubeError: anything but the three answers, for example Forbidden.
    """
    options = DeleteOptions(uid=uid)
    try:
        await writer.evict(ObjectKey(namespace, pod), epoch=epoch, options=options)
    except (NotFound, Conflict):
        return AlreadyGone()
    except TooManyRequests as error:
        if not error.has_cause(BUDGET_CAUSE):
            raise
        return BlockedByBudget(error.retry_after or DEFAULT_WAIT, _budget_words(error))
    return Evicted()


async def delete_pod(
    writer: Writer, namespace: str, pod: str, uid: str, *, epoch: int
) -> Evicted | AlreadyGone:
    """Delete one pod with its own grace period, past its disruption budgets, and no namesake of it.

    Args:
        writer: the way to the cluster.
        namespace: of the pod.
        pod: its name.
        uid: its uid.
        epoch: the leader's.

    Raises:
        KubeError: for example Forbidden.
    """
    options = DeleteOptions(uid=uid)
    try:
        outcome = await writer.delete(PODS, ObjectKey(namespace, pod), epoch=epoch, options=options)
    except Conflict:
        return AlreadyGone()
    return AlreadyGone() if outcome is Deletion.ABSENT else Evicted()


def _budget_words(error: TooManyRequests) -> str:
    words = (cause.message for cause in error.failure.causes if cause.reason == BUDGET_CAUSE)
    return next(words, "") or error.failure.message
