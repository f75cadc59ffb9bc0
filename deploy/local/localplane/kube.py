"""A small synchronous JSON client of the Kubernetes API, for the plane and its tests.

Objects are plain dicts, paths are the API's own (`/api/v1/namespaces/x/pods`); where a manifest is
enough, the path is worked out from its kind.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import httpx

from localplane.errors import PlaneError
from localplane.kubeconfig import Credentials, read_kubeconfig
from localplane.resources import resource_path

Json: TypeAlias = dict[str, Any]

TIMEOUT_SECONDS: Final = 30.0
PAGE: Final = 500
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"


class KubeError(PlaneError):
    """The API server refused a request.

    Attributes:
        status: HTTP status code.
        reason: The machine reason of the Status object, for example `Forbidden` or `Invalid`.
        message: What the server says, whole.
        details: The Status object's details (causes with their fields), or an empty dict.
    """

    def __init__(self, status: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}


class Kube:
    """One identity's connection to one API server."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        impersonate: str | None = None,
        groups: Sequence[str] = (),
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self.credentials = credentials
        headers = [("Accept", "application/json")]
        if credentials.token:
            headers.append(("Authorization", f"Bearer {credentials.token}"))
        if impersonate:
            headers.append(("Impersonate-User", impersonate))
            headers += [("Impersonate-Group", group) for group in groups]
        self._http = httpx.Client(
            base_url=credentials.server,
            verify=credentials.ssl_context(),
            headers=headers,
            timeout=timeout,
            trust_env=False,  # a proxy of the environment must not see loopback traffic
        )

    @classmethod
    def from_kubeconfig(
        cls,
        path: Path | str,
        *,
        impersonate: str | None = None,
        groups: Sequence[str] = (),
        timeout: float = TIMEOUT_SECONDS,
    ) -> Self:
        """Connect as the kubeconfig's user, or as somebody that user may impersonate.

        Impersonated users are in `system:authenticated` by themselves; other groups are `groups`.
        """
        return cls(read_kubeconfig(Path(path)), impersonate=impersonate, groups=groups, timeout=timeout)

    def impersonating(self, user: str, groups: Sequence[str] = ()) -> "Kube":
        """A second connection to the same server as another user."""
        return Kube(self.credentials, impersonate=user, groups=groups)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def request(
        self, method: str, path: str, *, body: Any = None, content_type: str = "", **query: Any
    ) -> Any:
        """One request; the parsed JSON answer, or text where the server sends text.

        Args:
            method: HTTP verb.
            path: Path below the server's root.
            body: JSON-able content.
            content_type: Media type of the body; plain JSON by default.
            query: Query parameters; None and False are left out.

        Raises:
            KubeError: The server answered with an error status.
            httpx.HTTPError: The server could not be reached, or did not answer in time.
        """
        headers = {"Content-Type": content_type or "application/json"} if body is not None else {}
        content = None if body is None else json.dumps(body)
        answer = self._http.request(method, path, content=content, headers=headers, params=_clean(query))
        if answer.is_error:
            raise _error(answer.status_code, answer.text)
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text

    def get(self, path: str, **query: Any) -> Json:
        """One object (or any JSON document)."""
        answer: Json = self.request("GET", path, **query)
        return answer

    def find(self, path: str) -> Json | None:
        """One object, or None where it does not exist."""
        try:
            return self.get(path)
        except KubeError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def exists(self, path: str) -> bool:
        """Whether the object exists."""
        return self.find(path) is not None

    def list(self, path: str, *, labels: str = "", fields: str = "") -> list[Json]:
        """All objects of a collection, read in pages.

        Args:
            path: Path of the collection.
            labels: Label selector.
            fields: Field selector.
        """
        items: list[Json] = []
        query: Json = {"limit": PAGE, "labelSelector": labels or None, "fieldSelector": fields or None}
        while True:
            page = self.get(path, **query)
            items += page["items"]
            query["continue"] = page["metadata"].get("continue")
            if not query["continue"]:
                return items

    def create(self, manifest: Mapping[str, Any], *, path: str = "", dry_run: bool = False) -> Json:
        """Create an object; `path` of its collection is worked out where it is not given."""
        created: Json = self.request(
            "POST", path or _collection(manifest), body=manifest, dryRun="All" if dry_run else None
        )
        return created

    def apply(
        self,
        manifest: Mapping[str, Any],
        *,
        path: str = "",
        field_manager: str = "localplane",
        force: bool = True,
        dry_run: bool = False,
    ) -> Json:
        """Server-side apply of a manifest, created where it is missing."""
        applied: Json = self.request(
            "PATCH",
            path or resource_path(manifest),
            body=manifest,
            content_type=APPLY,
            fieldManager=field_manager,
            force=force,
            dryRun="All" if dry_run else None,
        )
        return applied

    def patch(self, path: str, change: Any, *, dry_run: bool = False, content_type: str = MERGE) -> Json:
        """Merge-patch an object (or JSON-patch with JSON_PATCH)."""
        patched: Json = self.request(
            "PATCH", path, body=change, content_type=content_type, dryRun="All" if dry_run else None
        )
        return patched

    def update(self, manifest: Mapping[str, Any], *, path: str = "", dry_run: bool = False) -> Json:
        """Replace an object (PUT)."""
        updated: Json = self.request(
            "PUT", path or resource_path(manifest), body=manifest, dryRun="All" if dry_run else None
        )
        return updated

    def delete(
        self, path: str, *, grace_seconds: int | None = None, missing_ok: bool = True, dry_run: bool = False
    ) -> None:
        """Delete an object; one that is already gone is no error unless `missing_ok` is False."""
        try:
            self.request("DELETE", path, gracePeriodSeconds=grace_seconds, dryRun="All" if dry_run else None)
        except KubeError as error:
            if error.status != httpx.codes.NOT_FOUND or not missing_ok:
                raise

    def watch(
        self, path: str, *, resource_version: str = "", seconds: int = 300, **query: Any
    ) -> Iterator[Json]:
        """Raw watch events (`type`, `object`) until the server ends the watch.

        Args:
            path: Path of the collection.
            resource_version: Where to start; empty starts with an ADDED event for each object.
            seconds: The server ends the watch after this time.
            query: Further parameters, for example fieldSelector.

        Yields:
            Each event as the server sends it, ERROR events included.

        Raises:
            KubeError: The watch was refused.
            httpx.HTTPError: The connection broke, or nothing came for `seconds` + 10.
        """
        params = _clean(
            {"watch": True, "resourceVersion": resource_version, "timeoutSeconds": seconds, **query}
        )
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=seconds + 10)
        with self._http.stream("GET", path, params=params, timeout=timeout) as answer:
            if answer.is_error:
                raise _error(answer.status_code, answer.read().decode())
            for line in answer.iter_lines():
                yield json.loads(line)


def _collection(manifest: Mapping[str, Any]) -> str:
    return resource_path({**manifest, "metadata": {"name": "", **manifest["metadata"]}}).rpartition("/")[0]


def _clean(query: Json) -> Json:
    return {
        key: _spell(value)
        for key, value in query.items()
        if value is not None and value is not False and value != ""
    }


def _spell(value: Any) -> Any:
    return "true" if value is True else value


def _error(status: int, text: str) -> KubeError:
    try:
        body = json.loads(text)
        return KubeError(status, body.get("reason", ""), body.get("message", ""), body.get("details"))
    except (ValueError, AttributeError):
        return KubeError(status, httpx.codes.get_reason_phrase(status), text.strip())
