"""Volumes of a pod as directories: config maps, secrets, projected tokens, and empty ones."""

import base64
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx

from localplane.kube import Kube, KubeError
from localplane.runner.podspec import ContainerSpec, Json, PodSpec
from localplane.runner.variables import ConfigError, field_value

TOKEN_MOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path, not a secret
TOKEN_SECONDS: Final = 3600
MINIMUM_TOKEN_SECONDS: Final = 600


class Volumes:
    """The volume directories of one pod; tokens are renewed long before they expire."""

    def __init__(self, kube: Kube, pod: PodSpec, directory: Path) -> None:
        self._kube = kube
        self._pod = pod
        self._directory = directory
        self._renew_at = float("inf")

    def write(self) -> None:
        """Write every volume's content.

        Raises:
            ConfigError: A volume names something that does not exist.
        """
        self._renew_at = float("inf")
        for volume in self._pod.volumes:
            directory = self._directory / str(volume["name"])
            directory.mkdir(parents=True, exist_ok=True)
            for path, content in self._files(volume):
                target = directory / path
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(f".{target.name}.new")
                partial.write_text(content)
                partial.chmod(0o600)
                partial.replace(target)  # a reader sees the old token or the new one

    @property
    def stale(self) -> bool:
        """Whether a token has used four fifths of its life."""
        return time.monotonic() >= self._renew_at

    def mounts(self, container: ContainerSpec) -> dict[str, str]:
        """The variables that tell a container where its volumes are."""
        found: dict[str, str] = {}
        for mount in container.mounts:
            path = self._place(mount)
            name = str(mount["name"]).upper().replace("-", "_")
            if mount["mountPath"].rstrip("/") == TOKEN_MOUNT:
                found["GPUPOOL_SERVICEACCOUNT_DIR"] = str(path)
            else:
                found[f"GPUPOOL_MOUNT_{name}"] = str(path)
        return found

    def located(self, container: ContainerSpec, values: Mapping[str, str]) -> dict[str, str]:
        """The variables, where one that is a path below a mount leads to the volume's directory."""
        return {name: self._located(container, value) for name, value in values.items()}

    def _located(self, container: ContainerSpec, value: str) -> str:
        for mount in container.mounts:
            root = mount["mountPath"].rstrip("/")
            if value == root or value.startswith(f"{root}/"):
                return f"{self._place(mount)}{value.removeprefix(root)}"
        return value

    def _place(self, mount: Json) -> Path:
        path = self._directory / str(mount["name"])
        return path / mount["subPath"] if "subPath" in mount else path

    def lookup(self, kind: str, name: str) -> Mapping[str, str]:
        """Decoded data of a ConfigMap or Secret.

        Raises:
            ConfigError: It does not exist.
        """
        resource = "configmaps" if kind == "ConfigMap" else "secrets"
        found = self._kube.find(f"/api/v1/namespaces/{self._pod.namespace}/{resource}/{name}")
        if found is None:
            raise ConfigError(f"{kind} {self._pod.namespace}/{name} does not exist")
        data: dict[str, str] = found.get("data") or {}
        if kind == "Secret":
            return {key: base64.b64decode(value).decode() for key, value in data.items()}
        return data

    def _files(self, volume: Json) -> Iterator[tuple[str, str]]:
        if "configMap" in volume:
            yield from self._keys("ConfigMap", volume["configMap"], volume["configMap"]["name"])
        elif "secret" in volume:
            yield from self._keys("Secret", volume["secret"], volume["secret"]["secretName"])
        elif "projected" in volume:
            for source in volume["projected"].get("sources", ()):
                yield from self._projected(source)
        elif "emptyDir" not in volume:
            raise ConfigError(f"volume {volume['name']!r} is of a type the local runner does not offer")

    def _projected(self, source: Json) -> Iterator[tuple[str, str]]:
        if "serviceAccountToken" in source:
            yield source["serviceAccountToken"]["path"], self._token(source["serviceAccountToken"])
        elif "configMap" in source:
            yield from self._keys("ConfigMap", source["configMap"], source["configMap"]["name"])
        elif "secret" in source:
            yield from self._keys("Secret", source["secret"], source["secret"]["name"])
        elif "downwardAPI" in source:
            for item in source["downwardAPI"]["items"]:
                yield item["path"], field_value(self._pod, item["fieldRef"]["fieldPath"])

    def _keys(self, kind: str, source: Json, name: str) -> Iterator[tuple[str, str]]:
        try:
            data = self.lookup(kind, name)
        except ConfigError:
            if source.get("optional"):
                return
            raise
        for item in source.get("items") or [{"key": key, "path": key} for key in data]:
            if item["key"] not in data:
                raise ConfigError(f"{kind} {name} has no key {item['key']}")
            yield item["path"], data[item["key"]]

    def _token(self, source: Json) -> str:
        seconds = max(MINIMUM_TOKEN_SECONDS, int(source.get("expirationSeconds", TOKEN_SECONDS)))
        pod = {"apiVersion": "v1", "kind": "Pod", "name": self._pod.name, "uid": self._pod.uid}
        spec: Json = {"expirationSeconds": seconds, "boundObjectRef": pod}
        if "audience" in source:
            spec["audiences"] = [source["audience"]]
        accounts = f"/api/v1/namespaces/{self._pod.namespace}/serviceaccounts"
        path = f"{accounts}/{self._pod.service_account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        try:
            answer = self._kube.request("POST", path, body=body)
        except (KubeError, httpx.HTTPError) as error:
            raise ConfigError(f"no token for ServiceAccount {self._pod.service_account}: {error}") from error
        self._renew_at = min(self._renew_at, time.monotonic() + 0.8 * seconds)
        return str(answer["status"]["token"])
