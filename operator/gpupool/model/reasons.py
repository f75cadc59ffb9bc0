"""Every machine reason a decision can carry, each with what it means."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a request stands where it stands (`status.decision.reason`)."""

    GRANTED = "Granted"
    """All that was asked is granted."""
    PROVISIONING = "Provisioning"
    """All that was asked is granted, and nodes for a part of it are still to come."""
    GRANTED_IN_PART = "GrantedInPart"
    """At least `minGpus` is granted; the rest follows when GPUs come free."""
    RELEASED = "Released"
    """What was lent out for `releaseAfter` without demand is no longer claimed; a new `gpus` asks anew."""
    INCREASE_QUEUED = "IncreaseQueued"
    """What was granted stays; the increase waits in the queue."""
    QUOTA_NOT_IN_FORCE = "QuotaNotInForce"
    """GPUs are given, and the quota controller has not taken over the quota that lets their pods in."""
    WAITING_FOR_CAPACITY = "WaitingForCapacity"
    """It fits the rules, and not enough GPUs are free now."""
    WAITING_FOR_GUARANTEE = "WaitingForGuarantee"
    """It fits the share's guarantee once others of the same share release."""
    WAITING_FOR_RECALL = "WaitingForRecall"
    """It is within the guarantee, and GPUs are being brought back from borrowers."""
    BEHIND_OTHERS = "BehindOthers"
    """An earlier or higher request of the same share is served first."""
    NOT_HEARD = "NotHeard"
    """The API server tells nothing of pods, nodes or quotas, so nothing is given until it does."""
    NOT_READ = "NotRead"
    """A pod, node or quota cannot be read, so what it holds is not known, and nothing is given."""
    NO_CAPACITY = "NoCapacity"
    """The pool has no GPU of this resource yet."""
    ABOVE_GUARANTEE = "AboveGuarantee"
    """Not preemptible, and more than the share's guarantee: it can never be granted as it is."""
    ABOVE_LIMIT = "AboveLimit"
    """More than the share's limit: it can never be granted as it is."""
    ABOVE_CAPACITY = "AboveCapacity"
    """More than the pool has: it can never be granted as it is."""
    SLO_MET = "SloMet"
    """Its endpoint keeps its objectives with head-room, so more GPUs would bring its users nothing."""
    REPLICAS_DO_NOT_HELP = "ReplicasDoNotHelp"
    """Its endpoint misses its objectives for a cause that more replicas do not cure."""
    SLO_UNKNOWN = "SloUnknown"
    """It is not known how its endpoint fares, so nothing is given above the guarantee until it is."""
    UNKNOWN_POOL = "UnknownPool"
    """`spec.pool` names a pool that does not exist."""
    NAMESPACE_WITHOUT_POOL = "NamespaceWithoutPool"
    """No share of any pool lists the request's namespace."""
    NAMESPACE_CLAIMED_TWICE = "NamespaceClaimedTwice"
    """Shares of two pools list the namespace, so it belongs to none."""
    MOVING = "Moving"
    """The namespace goes to another pool as soon as it holds nothing in this one."""
    OTHER_POOL = "OtherPool"
    """The namespace belongs to another pool than the one named."""
    UNKNOWN_RESOURCE = "UnknownResource"
    """The pool does not govern the resource."""


class DataState(StrEnum):
    """What is known about the use of held GPUs; only OK data may take something (law 1)."""

    OK = "OK"
    MISSING = "Missing"
    PARTIAL = "Partial"
    STALE = "Stale"
    CONFLICTING = "Conflicting"


class Phase(StrEnum):
    """Summary of a request; its conditions are the truth."""

    PENDING = "Pending"
    QUEUED = "Queued"
    GRANTED = "Granted"
    PARTIAL = "Partial"
    REFUSED = "Refused"


class Stage(StrEnum):
    """Where a taking stands."""

    NONE = "None"
    WARNED = "Warned"
    LENT = "Lent"
    RECALLING = "Recalling"
