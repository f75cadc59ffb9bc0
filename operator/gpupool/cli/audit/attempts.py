"""What a row of the threat table tries, and what the answer of the API server means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gpupool.errors import KubeError, NotFound
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json

POLICY = "ValidatingAdmissionPolicy '"


class Who(StrEnum):
    """As whom it is tried. Others than the caller are impersonated."""

    CALLER = ""
    JOBS = "system:serviceaccount:kube-system:job-controller"
    DAEMONSETS = "system:serviceaccount:kube-system:daemon-set-controller"
    # May patch every object by RBAC and is no cluster admin: what stops it is a policy.
    BROAD = "system:serviceaccount:kube-system:generic-garbage-collector"
    KUBELET = "system:node:"

    @property
    def said(self) -> str:
        """For people."""
        words = {
            Who.JOBS: "the Job controller",
            Who.DAEMONSETS: "the DaemonSet controller",
            Who.BROAD: "a ServiceAccount that may patch everything",
            Who.KUBELET: "a kubelet",
        }
        return words.get(self, "you")


class By(StrEnum):
    """What refused an attempt."""

    POLICY = "policy"
    RBAC = "RBAC"
    QUOTA = "quota"
    INVALID = "validation"
    POD_SECURITY = "Pod Security"
    NODE_RESTRICTION = "NodeRestriction"
    IMPERSONATION = "impersonation"
    ABSENT = "absence"
    OTHER = "something else"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request, always a dry run.

    Attributes:
        what: for people, in a few words.
        method: HTTP verb.
        path: from the root.
        body: of the request.
        who: as whom.
        name: completes `who` where it ends in a colon.
        closes: what may refuse it; another refusal proves nothing.
        patch: media type of a patch.
        placed: path into the answer and the value that make an accepted object harmless.
    """

    what: str
    method: str
    path: str
    body: Any = None
    who: Who = Who.CALLER
    name: str = ""
    closes: tuple[By, ...] = (By.POLICY,)
    patch: str = "merge"
    placed: tuple[tuple[str, ...], str] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Beside those of every request."""
        kind = f"application/{self.patch}-patch+json" if self.method == "PATCH" else "application/json"
        found = {"Content-Type": kind}
        if self.who is not Who.CALLER:
            groups = {
                Who.KUBELET: "system:nodes",
            }
            found["Impersonate-User"] = f"{self.who}{self.name}"
            found["Impersonate-Group"] = groups.get(self.who, "system:serviceaccounts:kube-system")
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt.

    Attributes:
        attempt: what was tried.
        by: who refused it.
        words: the policy's or role's name, or what the server said.
    """

    attempt: Attempt
    by: By
    words: str = ""
    harmless: bool = False

    @property
    def closed(self) -> bool:
        """Whether it was refused by what is there to refuse it."""
        return self.harmless or self.by in self.attempt.closes

    @property
    def open(self) -> bool:
        """Whether it was let through."""
        return self.by is By.NOBODY and not self.harmless


@dataclass(slots=True)
class Asker:
    """Makes attempts.

    Args:
        client: as the caller.
        policies: names of gpupool's own admission policies; others' refusals prove nothing.
    """

    client: KubeClient
    policies: frozenset[str]

    async def ask(self, attempt: Attempt) -> Answer:
        """The answer to one attempt."""
        try:
            obj = await self.client.transport.request(
                attempt.method,
                attempt.path,
                query={"dryRun": "All", "fieldManager": "gpupool-audit"},
                body=_body(attempt),
                headers=attempt.headers,
                warnings=[],
            )
        except NotFound:
            return Answer(attempt, By.ABSENT, "there is no such object")
        except KubeError as error:
            return self._refused(attempt, error)
        if attempt.placed is not None and _at(obj, attempt.placed[0]) == attempt.placed[1]:
            return Answer(attempt, By.NOBODY, "accepted, and placed in its own pool", harmless=True)
        return Answer(attempt, By.NOBODY, "accepted")

    def _refused(self, attempt: Attempt, error: KubeError) -> Answer:
        by, words = judge(error.failure.status, error.failure.message)
        if by is By.POLICY and words not in self.policies:
            by, words = By.OTHER, f"policy {words}, which is not gpupool's"
        return Answer(attempt, by, words)


def _body(attempt: Attempt) -> Any:
    # The option must be in the body as well: a DELETE with options ignores the query.
    return {**attempt.body, "dryRun": ["All"]} if attempt.method == "DELETE" else attempt.body


def judge(status: int, message: str) -> tuple[By, str]:
    """Who refused, by what the API server says; and its name, or the beginning of the sentence."""
    if POLICY in message:
        return By.POLICY, message.split(POLICY, 1)[1].split("'", 1)[0]
    marks = (
        ("cannot impersonate", By.IMPERSONATION),
        ("exceeded quota: gpupool,", By.QUOTA),
        ("violates PodSecurity", By.POD_SECURITY),
        ("is not allowed to modify", By.NODE_RESTRICTION),
        ("can only ", By.NODE_RESTRICTION),
        (" cannot ", By.RBAC),
    )
    found = By.INVALID if status == INVALID else next((by for t, by in marks if t in message), By.OTHER)
    return found, message.splitlines()[0][:120] if message else f"status {status}"


INVALID = 422


def _at(obj: Json, path: tuple[str, ...]) -> Any:
    found: Any = obj
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found
