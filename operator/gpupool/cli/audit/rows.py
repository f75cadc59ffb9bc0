"""The threat table: each row with its attempts, what answers them, and what the API cannot see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gpupool.cli.audit import moves
from gpupool.cli.audit.attempts import Attempt
from gpupool.cli.audit.stage import Ground, Stage

Tries = Callable[[Stage, Ground], Iterable[Attempt]]


@dataclass(frozen=True, slots=True)
class Right:
    """A right that the roles people are given must not hold."""

    verbs: tuple[str, ...]
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{'/'.join(self.verbs)} {self.resource}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        number: in the table; it never changes.
        attempt: what somebody tries.
        control: what answers it; where the API does not see it, what does.
        tries: made of a pool; None where nothing can be tried.
        rights: what `admin` and `edit` must not hold.
        guard: ending of the name of a policy of the chart that must stand and deny; it is read, not tried.
        beyond: part of it is out of the API's reach: unrefused, it is documented and not open.
    """

    number: int
    attempt: str
    control: str
    tries: Tries | None = None
    rights: tuple[Right, ...] = ()
    guard: str = ""
    beyond: bool = False


WRITES = ("create", "update", "patch", "delete")

ROWS: tuple[Row, ...] = (
    Row(1, "sets spec.nodeName", "policies of the pool and for outsiders", moves.node_names),
    Row(2, "tolerates every taint, or a pool's", "policies of the pool and for outsiders", moves.tolerations),
    Row(3, "adds tolerations to a pod that exists", "the same policies on UPDATE", moves.added_tolerations),
    Row(4, "selects another pool's nodes", "policy, and injection where served", moves.selectors),
    Row(
        5,
        "binds pods, names a scheduler",
        "RBAC, binding guard, spec.isolation.schedulerNames",
        moves.binding,
        rights=(Right(("create",), "", "pods/binding"), Right(("create",), "", "bindings")),
        guard="-binding-guard",
    ),
    Row(6, "a DaemonSet that tolerates everything and asks for GPUs", "the same policies", moves.daemonsets),
    Row(7, "Jobs and other controllers", "all end as pods: the same policies", moves.controllers),
    Row(8, "limits alone, init containers, more than the quota", "ResourceQuota gpupool", moves.quota),
    Row(9, "MIG, shared, other vendors, quota spellings", "policy of the pool, quota spelling", moves.names),
    Row(10, "resource claims and templates, device classes", "claim guard", moves.claims),
    Row(
        11,
        "relabels a namespace, makes one inside",
        "RBAC, namespace guard; labels that shares select by: yours to keep",
        moves.namespaces,
        rights=(Right(("create", "update", "patch"), "", "namespaces"),),
    ),
    Row(
        12,
        "changes or deletes the quota",
        "RBAC, quota guard",
        moves.quota_writes,
        rights=(Right(WRITES, "", "resourcequotas"), Right(("update", "patch"), "", "resourcequotas/status")),
    ),
    Row(
        13,
        "makes a pool, asks for another team's",
        "RBAC, verb use",
        rights=(Right((*WRITES, "use"), "gpupool.dev", "gpupools"),),
        guard="-use",
    ),
    Row(14, "preempts by a system PriorityClass", "spec.isolation.priorityClassNames", moves.priorities),
    Row(
        15,
        "privileged, hostPath, device files",
        "Pod Security: label the pool's namespaces pod-security.kubernetes.io/enforce=baseline",
        moves.privileged,
        beyond=True,
    ),
    Row(
        16,
        "NVIDIA_VISIBLE_DEVICES without a GPU",
        "devices policy; baked into an image: container toolkit, accept-nvidia-visible-devices-envvar-when-"
        "unprivileged=false",
        moves.environment,
    ),
    Row(17, "an ephemeral container in a GPU pod", "API validation, devices policy", moves.ephemeral),
    Row(
        18,
        "forges or removes marks of a node",
        "NodeRestriction, node guard (chart value policies.nodeWriters)",
        moves.node_marks,
    ),
    Row(
        19,
        "writes a pod's status",
        "RBAC, pod guard",
        rights=(Right(("update", "patch"), "", "pods/status"),),
        guard="-pod-guard",
    ),
    Row(20, "waits until the operator is down", "none of these answers needs the operator"),
    Row(21, "asks for GPUs in a namespace without a pool", "policy for outsiders", moves.without_pool),
    Row(
        22,
        "a pod without GPUs goes to GPU nodes",
        "policy for outsiders, spec.isolation.cpuPods",
        moves.cpu_pods,
    ),
    Row(
        23,
        "a DaemonSet without GPUs goes to GPU nodes",
        "it passes, so that drivers and telemetry run: who may make DaemonSets is RBAC; see rows 15 and 16",
        beyond=True,
    ),
    Row(24, "grants itself GPUs in status", "status guard", moves.statuses),
    Row(25, "runs pods in the probe namespace", "probe guard", guard="-probe-guard"),
    Row(
        26,
        "publishes forged GPU metrics",
        "only spec.telemetry.jobs are believed, for pods bound to that node; keep who may name a scrape job",
        beyond=True,
    ),
    Row(
        27,
        "recreates a request, or rolls pods, to escape its notice",
        "the deadline stands on the quota, use is counted per workload, dead pods included",
        beyond=True,
    ),
    Row(
        28,
        "removes gpupool's policies",
        "RBAC; the API server exempts them from policies; its own come back, the chart's are told missing",
        rights=(
            Right(WRITES, "admissionregistration.k8s.io", "validatingadmissionpolicies"),
            Right(WRITES, "admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
        ),
    ),
    Row(
        29,
        "opens a pool by a DaemonSet that does not tolerate its taint",
        "a taint that stands is taken off for DaemonSets of exempt namespaces alone",
        beyond=True,
    ),
)
