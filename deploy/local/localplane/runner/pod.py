"""One pod: its directory, its volumes, its containers, and where it stands."""

import os
import shutil
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localplane.kube import Kube
from localplane.ports import free_port
from localplane.processes import MARK, POD_MARK
from localplane.runner.container import Container, Launch
from localplane.runner.podspec import ContainerSpec, Json, PodSpec
from localplane.runner.settings import PORT_VARIABLES, RunnerSettings, repository
from localplane.runner.variables import ConfigError, container_environment, expand_all
from localplane.runner.volumes import Volumes

RETRY_SECONDS: Final = 2.0
METRICS: Final = "GPUPOOL_METRICS_PORT"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a pod's containers cannot be started."""

    reason: str
    message: str


class PodRun:
    """Runs one pod until it is finished or deleted."""

    def __init__(self, spec: PodSpec, settings: RunnerSettings, kube: Kube, executor: Executor) -> None:
        self.spec = spec
        self.problem: Problem | None = None
        self.init_containers = self._containers(spec.init_containers, executor, init=True)
        self.containers = self._containers(spec.containers, executor)
        self._settings = settings
        self._executor = executor
        self._directory = settings.layout.pods / spec.uid
        self._volumes = Volumes(kube, spec, self._directory / "volumes")
        self._launches: dict[str, Launch] = {}
        self._ports: dict[tuple[str, str], int] = {}
        self._setup: Future[dict[str, Launch]] | None = None
        self._renewal: Future[None] | None = None
        self._retry_at = 0.0
        self._began: float | None = None

    @property
    def initialized(self) -> bool:
        """Whether every init container has done its work."""
        return all(c.finished and c.last is not None and c.last.exit_code == 0 for c in self.init_containers)

    @property
    def metrics_port(self) -> int | None:
        """Port where the first container serves metrics, while it runs."""
        for container in self.containers:
            if container.running:
                return self._ports.get((container.spec.name, METRICS))
        return None

    def step(self, now: float, hold: str) -> None:
        """Prepare, then move every container on."""
        if not self._launches:
            self._prepare(now)
            return
        self._renew_tokens()
        for container in self._active():
            container.step(now, self._launches[container.spec.name], hold)

    def terminate(self, now: float) -> bool:
        """End all containers with grace; whether all are gone."""
        if self._setup is not None and not self._setup.done():
            return False
        gone = [container.terminate(now) for container in self._everything()]  # each must hear it
        return all(gone)

    def kill(self) -> None:
        """End all containers at once."""
        for container in self._everything():
            container.kill()

    def clean(self) -> None:
        """Remove the pod's private directory."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _everything(self) -> Iterable[Container]:
        return (*self.init_containers, *self.containers)

    def _active(self) -> Iterable[Container]:
        for container in self.init_containers:
            if not (container.finished and container.last and container.last.exit_code == 0):
                return (container,)
        return self.containers

    def _containers(
        self, specs: Iterable[ContainerSpec], executor: Executor, *, init: bool = False
    ) -> tuple[Container, ...]:
        policy = self.spec.restart_policy
        policy = "OnFailure" if init and policy == "Always" else policy
        made = tuple(Container(spec, policy, self.spec.grace, executor) for spec in specs)
        before = {
            row["name"]: row
            for row in self._reported("initContainerStatuses" if init else "containerStatuses")
        }
        for container in made:
            if container.spec.name in before:
                container.resume(before[container.spec.name])
        return made

    def _reported(self, key: str) -> list[Json]:
        rows: list[Json] = self.spec.manifest.get("status", {}).get(key, [])
        return rows

    def _prepare(self, now: float) -> None:
        if self._setup is None and now >= self._retry_at:
            self._setup = self._executor.submit(self._make_launches)
        elif self._setup is not None and self._setup.done():
            finished, self._setup = self._setup, None
            try:
                self._launches, self.problem = finished.result(), None
            except ConfigError as error:
                self.problem = Problem("CreateContainerConfigError", str(error))
                self._retry_at = now + RETRY_SECONDS

    def _renew_tokens(self) -> None:
        if self._renewal is not None and self._renewal.done():
            self._renewal = None
        if self._renewal is None and self._volumes.stale:
            self._renewal = self._executor.submit(self._volumes.write)

    def _make_launches(self) -> dict[str, Launch]:
        for spec in (*self.spec.init_containers, *self.spec.containers):
            if repository(spec.image) != self._settings.image:
                raise ConfigError(
                    f"this node runs only the chart's image {self._settings.image}, not {spec.image}"
                )
        self._volumes.write()
        return {spec.name: self._launch(spec) for spec in (*self.spec.init_containers, *self.spec.containers)}

    def _launch(self, spec: ContainerSpec) -> Launch:
        own = self._volumes.located(spec, container_environment(self.spec, spec, self._volumes.lookup))
        ports = dict(spec.ports)
        for variable in PORT_VARIABLES:
            if variable in own:
                self._move_port(spec, variable, own, ports)
        environment = {**self._base_environment(), **own, **self._volumes.mounts(spec)}
        directory = Path(spec.working_dir) if spec.working_dir else self._directory
        log = self._settings.layout.logs / "pods" / f"{self.spec.name}_{spec.name}.log"
        return Launch(expand_all(spec.argv, environment), environment, directory, log, ports)

    def _move_port(
        self, spec: ContainerSpec, variable: str, own: dict[str, str], ports: dict[str, int]
    ) -> None:
        declared = int(own[variable])
        serves = declared in spec.ports.values()
        moved = ports.get(str(declared)) or free_port(frozenset({self._settings.metrics_port}))
        own[variable] = str(moved)
        if serves:  # a hook's container is told the port too, and listens on none
            self._ports[spec.name, variable] = moved
        ports[str(declared)] = moved
        for name, number in spec.ports.items():
            if number == declared:
                ports[name] = moved

    def _base_environment(self) -> dict[str, str]:
        settings = self._settings
        scratch = self._directory / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": f"{settings.programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self._directory),
            "TMPDIR": str(scratch),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "HOSTNAME": self.spec.name,
            "KUBERNETES_SERVICE_HOST": settings.server_host,
            "KUBERNETES_SERVICE_PORT": str(settings.server_port),
            MARK: str(settings.layout.root),
            POD_MARK: str(settings.layout.root),
        }
