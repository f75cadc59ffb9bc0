"""What an audit makes of answers: who refused, whether that proves anything, what a row comes to."""

from dataclasses import replace
from typing import Any, cast

import pytest

from gpupool.applier.policies.outsider_policies import OutsiderSpec, outsider_policies
from gpupool.cli.audit.attempts import Answer, Asker, Attempt, By, Who, judge
from gpupool.cli.audit.rows import ROWS
from gpupool.cli.audit.stage import Ground, Stage, passing, refusing
from gpupool.cli.audit.verdict import State, run
from gpupool.errors import Failure, Forbidden, NotFound
from gpupool.kube.client import KubeClient
from gpupool.model.outsiders import OutsiderPool, SetOutsiders
from support.builders import a_pool, a_share

POOL = a_pool(a_share("vision"))
GROUND = Ground(POOL, "vision", "node-1", "train", 4, "other")
ROLES = {"admin": ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},), "edit": ()}
OURS = frozenset(
    {
        "gpupool-use",
        "gpupool-binding-guard",
        "gpupool-probe-guard",
        "gpupool-pod-guard",
        "gpupool-lab-pods",
    }
)
STAGE = Stage((GROUND,), "default", "gpupool-probe", OURS, OURS, ROLES, claims=True)

DENIED = "pods \"x\" is forbidden: ValidatingAdmissionPolicy '{}' with binding 'b' denied request: no"


@pytest.mark.parametrize(
    ("status", "message", "by"),
    [
        (403, DENIED.format("gpupool-lab-pods"), By.POLICY),
        (403, 'pods "x" is forbidden: exceeded quota: gpupool, requested: ...', By.QUOTA),
        (403, 'pods "x" is forbidden: exceeded quota: theirs, requested: ...', By.OTHER),
        (403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', By.POD_SECURITY),
        (403, 'users "a" is forbidden: User "me" cannot impersonate resource "users"', By.IMPERSONATION),
        (403, 'pods is forbidden: User "me" cannot create resource "pods"', By.RBAC),
        (403, 'node "a" is not allowed to modify labels', By.NODE_RESTRICTION),
        (422, "Pod is invalid: resources cannot be set for an Ephemeral Container", By.INVALID),
        (500, "", By.OTHER),
    ],
)
def test_who_refused_is_read_off_the_answer(status: int, message: str, by: By) -> None:
    assert judge(status, message)[0] is by


class Server:
    """Answers every attempt alike; `transport` is itself."""

    def __init__(self, error: Exception | None = None, made: dict[str, Any] | None = None) -> None:
        self.transport = self
        self.error = error
        self.made = made or {}
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []

    async def request(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        assert more["query"]["dryRun"] == "All"
        self.asked.append((method, path, more["body"], more["headers"]))
        if self.error is not None:
            raise self.error
        return self.made


def asker(error: Exception | None = None, made: dict[str, Any] | None = None) -> tuple[Asker, Server]:
    server = Server(error, made)
    return Asker(cast("KubeClient", server), OURS), server


def denied(policy: str) -> Forbidden:
    return Forbidden("POST /x", Failure(403, "Forbidden", DENIED.format(policy)))


async def test_only_a_refusal_by_what_is_there_to_refuse_closes() -> None:
    attempt = Attempt("x", "POST", "/x", {})
    ours, _ = asker(denied("gpupool-lab-pods"))
    assert (await ours.ask(attempt)).closed
    theirs, _ = asker(denied("somebody-elses"))
    answer = await theirs.ask(attempt)
    assert (answer.closed, answer.open) == (False, False)
    assert answer.words == "policy somebody-elses, which is not gpupool's"
    absent, _ = asker(NotFound("PATCH /x", Failure(404)))
    assert (await absent.ask(attempt)).by is By.ABSENT


async def test_what_is_accepted_is_open_unless_it_was_put_in_its_own_place() -> None:
    attempt = Attempt("x", "POST", "/x", {}, placed=(("spec", "nodeSelector", "k"), "lab"))
    let, _ = asker(made={"spec": {"nodeSelector": {"k": "other"}}})
    assert (await let.ask(attempt)).open
    bare, _ = asker(made={"spec": {}})
    assert (await bare.ask(attempt)).open
    put, _ = asker(made={"spec": {"nodeSelector": {"k": "lab"}}})
    answer = await put.ask(attempt)
    assert (answer.closed, answer.open) == (True, False)


async def test_every_attempt_is_a_dry_run_also_a_delete_and_says_as_whom() -> None:
    ask, server = asker(denied("gpupool-lab-pods"))
    await ask.ask(Attempt("x", "DELETE", "/x", {"kind": "DeleteOptions"}))
    await ask.ask(Attempt("x", "PATCH", "/x", [], who=Who.KUBELET, name="node-1", patch="json"))
    (_, _, body, _), (_, _, _, headers) = server.asked
    assert body == {"kind": "DeleteOptions", "dryRun": ["All"]}
    assert headers["Content-Type"] == "application/json-patch+json"
    assert (headers["Impersonate-User"], headers["Impersonate-Group"]) == (
        "system:node:node-1",
        "system:nodes",
    )


async def test_a_cluster_that_refuses_nothing_is_open_in_every_row_that_can_be_tried() -> None:
    ask, _ = asker()
    verdicts = {v.row.number: v for v in await run(STAGE, ask)}
    tried = {r.number for r in ROWS if r.tries and not r.beyond}
    assert {n for n, v in verdicts.items() if v.state is State.OPEN} == tried | {20}
    assert verdicts[1].answer.startswith("GPU pod was accepted (pool lab)")
    assert verdicts[20].answer.startswith("see row 1, 2")
    assert verdicts[15].state is State.DOCUMENTED


async def test_where_no_pool_enforces_every_row_that_could_be_tried_is_open() -> None:
    ask, server = asker()
    verdicts = {v.row.number: v for v in await run(replace(STAGE, grounds=()), ask)}
    assert server.asked == []
    assert (verdicts[1].state, verdicts[1].answer) == (State.OPEN, "no pool enforces isolation")
    assert verdicts[20].state is State.OPEN
    assert (verdicts[13].state, verdicts[15].state) == (State.CLOSED, State.DOCUMENTED)


async def test_a_right_that_a_role_holds_is_open_and_one_that_cannot_be_read_is_not_proven() -> None:
    ask, _ = asker(denied("gpupool-lab-pods"))
    wide = {**ROLES, "edit": ({"verbs": ["*"], "apiGroups": [""], "resources": ["*/status"]},)}
    verdicts = {v.row.number: v for v in await run(replace(STAGE, roles=wide), ask)}
    assert (verdicts[19].state, verdicts[19].answer) == (State.OPEN, "role edit may update/patch pods/status")
    assert verdicts[13].state is State.CLOSED
    blind = {v.row.number: v for v in await run(replace(STAGE, roles={}), ask)}
    assert (blind[19].state, blind[19].answer) == (
        State.UNPROVEN,
        "you may not read the roles admin and edit",
    )


async def test_a_guard_that_does_not_stand_is_an_open_row() -> None:
    ask, _ = asker(denied("gpupool-lab-pods"))
    verdicts = {v.row.number: v for v in await run(replace(STAGE, bindings=frozenset()), ask)}
    assert verdicts[25].state is State.OPEN
    assert "policies.enabled" in verdicts[25].answer


async def test_binding_pods_is_open_where_only_the_probe_namespace_is_guarded() -> None:
    ask, _ = asker(denied("gpupool-binding-guard"))
    standing = {v.row.number: v for v in await run(STAGE, ask)}
    assert standing[5].state is State.CLOSED
    assert "gpupool-binding-guard stands and denies (read, not tried)" in standing[5].answer
    gone = replace(STAGE, bindings=OURS - {"gpupool-binding-guard"})
    verdicts = {v.row.number: v for v in await run(gone, ask)}
    assert verdicts[5].state is State.OPEN
    assert "no policy *-binding-guard whose binding denies" in verdicts[5].answer


@pytest.mark.parametrize(
    ("name", "actions", "product", "counts"),
    [
        ("gpupool-binding-guard", ["Deny", "Audit"], "gpupool", True),
        ("gpupool-binding-guard", ["Warn", "Audit"], "gpupool", False),
        ("gpupool-binding-guard", ["Deny"], "other", False),
        ("gpupool-binding-guard-probe", ["Deny"], "gpupool", False),
    ],
)
def test_a_policy_denies_by_the_binding_of_its_own_name(
    name: str, actions: list[str], product: str, counts: bool
) -> None:
    body = {
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": product}},
        "spec": {"policyName": "gpupool-binding-guard", "validationActions": actions},
    }
    assert refusing([body]) == (frozenset({"gpupool-binding-guard"}) if counts else frozenset())


async def test_a_pool_that_allows_pods_without_gpus_has_nothing_to_close_there() -> None:
    ask, _ = asker(denied("gpupool-lab-pods"))
    allowing = replace(STAGE, grounds=(replace(GROUND, pool=replace(POOL, cpu_pods=True), node=""),))
    verdicts = {v.row.number: v for v in await run(allowing, ask)}
    assert (verdicts[22].state, verdicts[22].answer) == (
        State.DOCUMENTED,
        "nothing to try on these pools",
    )
    assert verdicts[18].state is State.DOCUMENTED


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (By.IMPERSONATION, "you may not impersonate the Job controller"),
        (By.RBAC, "RBAC refused the Job controller, before any policy spoke"),
        (By.ABSENT, "is it running?"),
        (By.OTHER, "refused, but by something else: a webhook"),
    ],
)
async def test_what_proves_nothing_says_why(by: By, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_: Asker, attempt: Attempt) -> Answer:
        return Answer(replace(attempt, who=Who.JOBS), by, "a webhook")

    monkeypatch.setattr(Asker, "ask", answer)
    ask, _ = asker()
    verdicts = {v.row.number: v for v in await run(STAGE, ask)}
    assert verdicts[1].state is State.UNPROVEN
    assert said in verdicts[1].answer


def test_somebody_whom_the_policies_let_pass_is_told() -> None:
    asked = SetOutsiders(
        deny=True, pools=(OutsiderPool("lab", "u", ("x/gpu",), cpu_pods=False, counts=True),)
    )
    policies: Any = outsider_policies(OutsiderSpec(asked, break_glass_group="sre"))
    real = [p for p in policies if p["kind"] == "ValidatingAdmissionPolicy"]
    assert passing(["system:masters"], real) == ""
    assert passing(["sre"], real).startswith("you are in the break-glass group sre")


def test_the_numbers_of_rows_stand_for_ever() -> None:
    assert [r.number for r in ROWS] == list(range(1, len(ROWS) + 1))
