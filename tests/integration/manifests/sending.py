"""Bytes to the API server, several at a time, and its answers."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from integration.manifests.answers import OK
from integration.manifests.cases import Case
from localplane.kube import Kube

Json = dict[str, Any]
AT_ONCE: Final = 4
SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said to one case."""

    case: Case
    status: int
    body: Json

    @property
    def accepted(self) -> bool:
        """Whether the object is there now."""
        return self.status in OK

    @property
    def message(self) -> str:
        """The sentence of a refusal."""
        return str(self.body.get("message", ""))

    @property
    def path(self) -> str:
        """Where the accepted object lives."""
        return f"{self.case.collection}/{self.body['metadata']['name']}"


class Sender:
    """Posts cases as `kubectl apply` does: unknown and duplicate fields are refused."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def send(self, found: Iterable[Case]) -> list[Answer]:
        """Post all; returns the answers in their order."""
        with ThreadPoolExecutor(AT_ONCE) as at_once:
            return list(at_once.map(self._post, found))

    def _post(self, case: Case) -> Answer:
        response = self._http.post(
            case.collection,
            params={"fieldValidation": "Strict"},
            content=case.content,
            headers={"Content-Type": case.media},
        )
        try:
            body = response.json()
        except ValueError:
            body = {"message": response.text}
        return Answer(case, response.status_code, body)


@contextmanager
def sender(kube: Kube) -> Iterator[Sender]:
    """A sender with the rights of a connection."""
    credentials = kube.credentials
    headers = {"Authorization": f"Bearer {credentials.token}"} if credentials.token else {}
    with httpx.Client(
        base_url=credentials.server,
        verify=credentials.ssl_context(),
        headers=headers,
        timeout=SECONDS,
        trust_env=False,
    ) as http:
        yield Sender(http)
