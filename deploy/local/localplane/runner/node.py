"""The runner's own Node: registered once, kept Ready by a thread that renews its lease and condition."""

import threading
from datetime import UTC, datetime
from typing import Final

import httpx

from localplane.kube import Kube, KubeError
from localplane.runner.podspec import Json
from localplane.runner.settings import LABEL

LEASE_SECONDS: Final = 40
RENEW_SECONDS: Final = 5.0
CAPACITY: Final = {"cpu": "16", "memory": "32Gi", "pods": "50", "ephemeral-storage": "100Gi"}


class RunnerNode:
    """Keeps the node's Lease and Ready condition fresh."""

    def __init__(self, kube: Kube, name: str) -> None:
        self._kube = kube
        self._name = name
        self._over = threading.Event()
        self.registered = threading.Event()
        """Set once the API server has the node, Ready."""

        self._thread = threading.Thread(target=self._run, name="node", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Renew no more."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._renew()
                self.registered.set()
                self._over.wait(RENEW_SECONDS)
            except (KubeError, httpx.HTTPError):
                self._over.wait(1.0)

    def _renew(self) -> None:
        path = f"/api/v1/nodes/{self._name}"
        if not self._kube.exists(path):
            self._kube.create(node_manifest(self._name))
        self._kube.apply(_lease(self._name), field_manager=self._name)
        self._kube.patch(f"{path}/status", {"status": _status(_now())})


def node_manifest(name: str) -> Json:
    """The Node: for the release's pods alone, and never touched by kwok."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            # No kubernetes.io/os: the DaemonSets of kind select it, and their pods could never run here.
            "labels": {LABEL: "true", "kubernetes.io/hostname": name},
        },
        "spec": {
            # A provider nobody manages keeps cloud controllers from deleting the node.
            "providerID": f"gpupool-runner://{name}",
            "taints": [{"key": LABEL, "value": "true", "effect": "NoSchedule"}],
        },
        "status": _status(_now()),
    }


def _status(now: str) -> Json:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "RunnerReady",
        "message": "runs the release's pods as local processes",
        "lastHeartbeatTime": now,
    }
    return {
        "capacity": CAPACITY,
        "allocatable": CAPACITY,
        "conditions": [ready],
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "nodeInfo": {
            "architecture": "",
            "bootID": "",
            "containerRuntimeVersion": "process://1",
            "kernelVersion": "",
            "kubeProxyVersion": "",
            "kubeletVersion": "gpupool-runner",
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "",
            "systemUUID": "",
        },
    }


def _lease(name: str) -> Json:
    now = datetime.now(UTC)  # noqa: TID251 - a heartbeat is the wall clock's now
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251 - a heartbeat is the wall clock's now
