"""One asynchronous client of the API server, raw JSON in and out."""

import json
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Self

from gpupool.errors import Failure, Gone, NotFound, kube_error
from gpupool.kube.auth import Credentials
from gpupool.kube.messages import DeleteOptions, EventKind, Page, WatchEvent
from gpupool.kube.resources import Json, Resource, Selection, group_path
from gpupool.kube.transport import Limits, Transport, failure_from_status

FIELD_MANAGER = "gpupool"
PAGE = 500  # objects per page: 6 MB of nodes
_RESTARTS = 3  # lists begun again because a continue token ran out


class KubeClient:
    """Verbs of the Kubernetes API. Every method may raise any KubeError.

    It reads and sends; who may write what, retries and fencing are the applier's business.

    Args:
        credentials: where to, and who we are.
        limits: time limits of calls.
    """

    def __init__(self, credentials: Credentials, limits: Limits | None = None) -> None:
        self.credentials = credentials
        self.transport = Transport(credentials, limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self.transport.aclose()

    def server_time(self) -> datetime:
        """The API server's time (UTC), within a second; it never runs backwards.

        Raises:
            LookupError: no answer has come yet.
        """
        return self.transport.clock.now()

    # ------------------------------------------------------------------ read

    async def get_path(self, path: str) -> Json:
        """Read any path that answers JSON, such as `/version`."""
        return await self.transport.request("GET", path)

    async def get(self, resource: Resource, name: str, namespace: str = "", *, subresource: str = "") -> Json:
        """Read one object, or its subresource (`status`, `scale`)."""
        return await self.transport.request("GET", resource.path(name, namespace, subresource))

    async def list_pages(
        self, selection: Selection, *, limit: int = PAGE, at: int | None = None
    ) -> AsyncGenerator[Page]:
        """List page by page, consistently: all pages are of one moment.

        Args:
            selection: what to list.
            limit: objects per page.
            at: list exactly as of this resourceVersion; None for now.

        Raises:
            Gone: `at` is compacted, or the pages ran out several times.
        """
        for _ in range(_RESTARTS):
            page = None
            try:
                async for page in self._pages(selection, limit, at):
                    yield page
            except Gone:
                if page is None:
                    raise
            else:
                return
        raise kube_error(f"GET {selection.path}", Failure(410, "Expired", "pages ran out again and again"))

    async def _pages(self, selection: Selection, limit: int, at: int | None) -> AsyncGenerator[Page]:
        query = {**selection.query, "limit": str(limit)}
        exact = {} if at is None else {"resourceVersion": str(at), "resourceVersionMatch": "Exact"}
        token = ""
        while True:
            more = {"continue": token} if token else exact
            answer = await self.transport.request(
                "GET",
                selection.path,
                query=query | more,
                headers=_accept(selection, "PartialObjectMetadataList"),
            )
            meta = answer["metadata"]
            first, token = not token, meta.get("continue", "")
            left = meta.get("remainingItemCount", None if token else 0)
            # An empty list of metadata alone comes as null.
            items = answer["items"] or []
            yield Page(items, int(meta["resourceVersion"]), left, first)
            if not token:
                return

    async def list_all(self, selection: Selection) -> list[Json]:
        """List everything at once, for small collections and command lines."""
        items: list[Json] = []
        async for page in self.list_pages(selection):
            items = page.items if page.first else items + page.items
        return items

    async def look_up(self, resource: Resource, name: str, namespace: str) -> Json:
        """Read one object by a list of its name: for kinds that we may list, and get nothing of.

        Raises:
            NotFound: there is none.
        """
        found = await self.list_all(Selection(resource, namespace, fields=f"metadata.name={name}"))
        if not found:
            raise kube_error(f"GET {resource.path(name, namespace)}", Failure(404, "NotFound", "not found"))
        return found[0]

    async def watch(
        self, selection: Selection, *, since: int, seconds: int, inactivity: float
    ) -> AsyncGenerator[WatchEvent]:
        """Follow changes after a resourceVersion, bookmarks included.

        Close the iterator (`contextlib.aclosing`): it holds a connection.

        Args:
            selection: what to follow.
            since: resourceVersion of a list, an event or a bookmark.
            seconds: the server ends the watch after this long; vary it, or all watches end at once.
            inactivity: seconds of silence after which the watch counts as broken.

        Raises:
            Gone: `since` is no longer kept; list again.
            Unreachable: the watch broke or fell silent; `since` of the last event is still good.
        """
        query = selection.query | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(since),
            "timeoutSeconds": str(seconds),
        }
        headers = _accept(selection, "PartialObjectMetadata")
        async with self.transport.stream(
            selection.path, query=query, headers=headers, inactivity=inactivity
        ) as lines:
            async for line in lines:
                yield _event(selection, line)

    async def count(self, selection: Selection, *, at: int | None = None) -> int | None:
        """Ask the server how many objects there are, with one small request.

        Returns:
            The number, or None where the server does not count (selectors narrow the list).
        """
        async for page in self.list_pages(selection.as_metadata(), limit=1, at=at):
            return None if page.remaining is None else len(page.items) + page.remaining
        return None

    async def has_resource(self, group: str, version: str, plural: str) -> bool:
        """Say whether the server serves a kind in this version."""
        try:
            answer = await self.get_path(group_path(group, version))
        except NotFound:
            return False
        return any(r["name"] == plural for r in answer["resources"])

    # ----------------------------------------------------------------- write

    async def create(
        self,
        resource: Resource,
        body: Json,
        *,
        subresource: str = "",
        dry_run: bool = False,
        warnings: list[str] | None = None,
    ) -> Json:
        """Create an object, or post to a subresource of it; `body` names it and its namespace.

        What the server warns of is logged, or added to `warnings`.
        """
        metadata = body["metadata"]
        namespace = metadata.get("namespace", "")
        if subresource:
            path = resource.path(metadata["name"], namespace, subresource)
        else:
            path = resource.collection(namespace)
        query = _writing(dry_run)
        return await self.transport.request("POST", path, query=query, body=body, warnings=warnings)

    async def apply(
        self,
        resource: Resource,
        body: Json,
        *,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Json:
        """Apply our fields on the server's side.

        Args:
            resource: the kind.
            body: identity and the fields we own, nothing else; with `metadata.resourceVersion` the
                server refuses (Conflict) unless the object is still that version.
            force: take fields over from other managers; else they are a Conflict.
            subresource: `status`, or empty.
            dry_run: ask what would happen.
        """
        metadata = body["metadata"]
        path = resource.path(metadata["name"], metadata.get("namespace", ""), subresource)
        identified = {"apiVersion": resource.api_version, "kind": resource.kind} | body
        query = _writing(dry_run) | {"force": "true" if force else "false"}
        return await self._patch(path, identified, "application/apply-patch+yaml", query)

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        operations: list[Json],
        *,
        namespace: str = "",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Json:
        """Apply JSON patch operations; a failed `test` is Invalid."""
        path = resource.path(name, namespace, subresource)
        return await self._patch(path, operations, "application/json-patch+json", _writing(dry_run))

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        patch: Json,
        *,
        namespace: str = "",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Json:
        """Merge a patch; None removes a field, and lists are replaced whole."""
        path = resource.path(name, namespace, subresource)
        return await self._patch(path, patch, "application/merge-patch+json", _writing(dry_run))

    async def _patch(self, path: str, body: Any, content_type: str, query: dict[str, str]) -> Json:
        headers = {"Content-Type": content_type}
        return await self.transport.request("PATCH", path, query=query, body=body, headers=headers)

    async def replace(
        self, resource: Resource, body: Json, *, subresource: str = "", dry_run: bool = False
    ) -> Json:
        """Write a whole object back; its resourceVersion makes a lost update a Conflict."""
        metadata = body["metadata"]
        path = resource.path(metadata["name"], metadata.get("namespace", ""), subresource)
        return await self.transport.request("PUT", path, query=_writing(dry_run), body=body)

    async def delete(
        self, resource: Resource, name: str, namespace: str = "", *, options: DeleteOptions | None = None
    ) -> Json:
        """Delete an object.

        Returns:
            A Status when it is gone, else the object as it waits for its finalizers or grace.
        """
        body = (options or DeleteOptions()).body()
        return await self.transport.request("DELETE", resource.path(name, namespace), body=body)


def _writing(dry_run: bool) -> dict[str, str]:  # noqa: FBT001 - private, one argument
    return {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})


def _accept(selection: Selection, kind: str) -> dict[str, str]:
    plain = "application/json"
    return {"Accept": f"{plain};as={kind};g=meta.k8s.io;v=v1" if selection.metadata_only else plain}


def _event(selection: Selection, line: bytes) -> WatchEvent:
    call = f"GET {selection.path}?watch"
    try:
        raw = json.loads(line)
        kind, obj = raw["type"], raw["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise kube_error(call, Failure(502, message="a watch line is not an event")) from error
    if kind == "ERROR":
        raise kube_error(call, failure_from_status(obj))
    return WatchEvent(EventKind(kind), obj)
