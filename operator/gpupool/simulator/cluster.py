"""The API server's half of the model: objects, quota admission, controllers, the scheduler.

Admission compares with `status.hard`, which the quota controller copies from `spec.hard` later; a quota whose
status was never written keeps nobody out. Counts in `status.used` rise with every admitted pod and fall when
the quota controller looks again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gpupool.model.objects import Demand, Key, Node, Quota, Request
from gpupool.model.pool import Pool
from gpupool.simulator.workloads import Running, Template, Workload


@dataclass(slots=True)
class Cluster:
    """Objects of one cluster with one pool. `quota_works`: the quota controller does its rounds."""

    now: datetime
    pool: Pool
    nodes: dict[str, Node] = field(default_factory=dict)
    quotas: dict[str, Quota] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    requests: dict[Key, Request] = field(default_factory=dict)
    workloads: dict[Key, Workload] = field(default_factory=dict)
    pods: dict[Key, Running] = field(default_factory=dict)
    quota_works: bool = True
    serial: int = 0

    def number(self) -> int:
        """A number never given before: names, uids, resource versions."""
        self.serial += 1
        return self.serial

    def step(self, duration: timedelta) -> tuple[Running, ...]:
        """Let time pass and every controller act once; returns the pods that ended."""
        self.now += duration
        ended = tuple(p for p in self.pods.values() if p.gone(self.now) or self._orphaned(p))
        for pod in ended:
            del self.pods[pod.key]
        if self.quota_works:
            self._sync_quotas()
        for workload in self.workloads.values():
            self._scale(workload)
        self._schedule()
        return ended

    def _orphaned(self, pod: Running) -> bool:
        """Pods of a node that is gone are collected."""
        return pod.node is not None and pod.node not in self.nodes

    # ------------------------------------------------------------------ quota

    def _sync_quotas(self) -> None:
        for name, quota in self.quotas.items():
            used = {r: self.charged(name, r) for r in quota.hard}
            self.quotas[name] = replace(quota, status_hard=dict(quota.hard), used=used)

    def charged(self, namespace: str, resource: str) -> int:
        """GPUs of the pods that quota counts."""
        return sum(
            p.template.gpus
            for p in self.pods.values()
            if p.key.namespace == namespace and p.template.resource == resource and p.charged(self.now)
        )

    def held(self, namespace: str, resource: str) -> int:
        """GPUs of bound pods, Terminating ones included."""
        return sum(
            p.template.gpus
            for p in self.pods.values()
            if p.key.namespace == namespace and p.template.resource == resource and p.node is not None
        )

    def _admit(self, namespace: str, template: Template) -> bool:
        quota = self.quotas.get(namespace)
        resource = template.resource
        if quota is None or resource not in quota.status_hard:
            return True
        used = quota.used.get(resource, 0) + template.gpus
        if used > quota.status_hard[resource]:
            return False
        self.quotas[namespace] = replace(quota, used={**quota.used, resource: used})
        return True

    # ------------------------------------------------------------------ pods

    def create_pod(self, namespace: str, template: Template, workload: Workload | None = None) -> bool:
        """Try to create a pod; False where quota refuses."""
        if not self._admit(namespace, template):
            return False
        number = self.number()
        key = Key(namespace, f"pod-{number}")
        owner = None if workload is None else workload.ref
        self.pods[key] = Running(key, f"uid-{number}", template, self.now, owner)
        return True

    def delete_pod(self, key: Key) -> None:
        """Begin to terminate a pod."""
        pod = self.pods.get(key)
        if pod is not None and pod.deleted is None:
            pod.deleted = self.now

    def of(self, workload: Workload) -> list[Running]:
        """A workload's pods that are not on their way out, oldest first."""
        return [
            p
            for p in self.pods.values()
            if p.key.namespace == workload.namespace and p.owner == workload.ref and p.deleted is None
        ]

    def _scale(self, workload: Workload) -> None:
        existing = self.of(workload)
        for pod in existing[workload.pods :]:
            self.delete_pod(pod.key)
        missing = workload.pods - len(existing)
        while missing > 0 and self.create_pod(workload.namespace, workload.template, workload):
            missing -= 1
        workload.refused = max(0, missing)

    def _schedule(self) -> None:
        free: dict[tuple[str, str], int] = defaultdict(int)
        for node in self.nodes.values():
            for resource, gpus in node.gpus.items():
                free[node.name, resource] = gpus if node.ready and node.schedulable else 0
        for pod in self.pods.values():
            if pod.node is not None:
                free[pod.node, pod.template.resource] -= pod.template.gpus
        for pod in self.pods.values():
            if pod.node is None and pod.deleted is None:
                self._bind(pod, free)

    def _bind(self, pod: Running, free: dict[tuple[str, str], int]) -> None:
        resource, gpus = pod.template.resource, pod.template.gpus
        found = next((n for n in self.nodes if free[n, resource] >= gpus), None)
        if found is not None:
            free[found, resource] -= gpus
            pod.node, pod.started = found, self.now

    def demands(self) -> Iterable[Demand]:
        """What controllers want and quota refused."""
        for workload in self.workloads.values():
            template = workload.template
            if workload.refused > 0:
                yield Demand(
                    namespace=workload.namespace,
                    owner=workload.ref,
                    labels=template.labels,
                    resource=template.resource,
                    gpus=workload.refused * template.gpus,
                    gpus_per_pod=template.gpus,
                )
