"""What `gpupool adopt` prints: YAML documents that the API's models accept, and comments for people."""

import io
import json
from typing import Any

import pytest
import yaml

from gpupool.api import v1alpha1 as api
from gpupool.cli import adopt as command
from gpupool.cli import main as cli
from gpupool.cli.survey import Survey
from gpupool.errors import Failure, NotFound
from gpupool.model.objects import ForeignQuota, Namespace, ObjectRef
from gpupool.model.snapshot import Snapshot
from gpupool.model.world import Template
from gpupool.planner.drafting.adopt import adopt
from gpupool.planner.drafting.draft import Hints
from support.builders import GPU, a_pool, a_share, a_snapshot, pods

Json = dict[str, Any]
SELECTOR = {"selector": {"matchLabels": {"group": "lab"}}}
RAW: Json = {
    "metadata": {"name": "lab", "uid": "u", "annotations": {"kubectl": "x"}},
    "spec": {"nodes": SELECTOR, "mode": "Observe", "shares": [{"team": "vision", "namespaces": ["vision"]}]},
}
QUOTA = ForeignQuota("compute", {GPU: 8, "other.example/thing": 1})


def printed(raw: Json = RAW, *, retire: bool = False, hints: Hints | None = None, **more: Any) -> str:
    found = (*pods(2, "train"), *pods(1, "chat", "nlp"))
    pool = more.pop("pool", a_pool(a_share("vision", 7)))
    shared = {n for s in pool.shares for n in s.namespaces}
    nlp = Namespace("nlp", None, foreign=(QUOTA, ForeignQuota("odd", {"x.example/y": 1})))
    strangers = () if "nlp" in shared else (nlp,)
    snapshot: Snapshot = a_snapshot(pool, pods=found, strangers=strangers)
    known = hints or Hints(teams={"nlp": "language"})
    survey = Survey(raw, snapshot, known, more.pop("unmeasured", ""), more.pop("templates", ()))
    return "".join(command._text(survey, adopt(snapshot, known), retire=retire))


def documents(text: str) -> list[Json]:
    return [d for d in yaml.safe_load_all(io.StringIO(text)) if d]


def test_every_document_is_one_that_the_api_takes() -> None:
    pool, *requests = documents(printed())
    api.GpuPool.model_validate(pool)
    for request in requests:
        api.CapacityRequest.model_validate(request)
    assert pool["metadata"] == {"name": "lab"}
    assert pool["spec"]["nodes"] == SELECTOR
    assert pool["spec"]["mode"] == "Observe", "adopting switches nothing on"
    assert [s["team"] for s in pool["spec"]["shares"]] == ["vision", "language"]
    assert pool["spec"]["shares"][1] == {"team": "language", "namespaces": ["nlp"], "guaranteed": 1}
    assert [(r["metadata"]["namespace"], r["metadata"]["name"]) for r in requests] == [
        ("nlp", "chat"),
        ("vision", "train"),
    ]
    spec = requests[1]["spec"]
    assert spec == {
        "gpus": 2,
        "resource": GPU,
        "owner": {"team": "vision", "contact": "UNKNOWN"},
        "workload": {"ref": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "train"}},
        "expectedUtilization": 80,
    }


def test_what_was_measured_stands_beside_each_draft() -> None:
    found = pods(2, "train")
    known = Hints(peaks={("vision", "train"): 5}, use={p.key: (90.0, 100.0) for p in found})
    text = printed(hints=known)
    assert "vision Deployment/train: 2 pods hold 2 now, at most 5 in 30 days; busy 90 % of the window." in (
        text.replace("\n# ", " ")
    )
    assert documents(text)[2]["spec"]["expectedUtilization"] == 90
    assert documents(text)[2]["spec"]["gpus"] == 5
    blind = printed(unmeasured="no Prometheus was named").replace("\n# ", " ")
    assert "Use and peaks are not known (no Prometheus was named): gpus is what is held now." in blind
    assert "80 is a guess" in blind


def test_a_share_that_lists_its_namespaces_is_widened_in_place() -> None:
    text = printed(hints=Hints(teams={"nlp": "vision"}))
    pool = documents(text)[0]
    assert pool["spec"]["shares"] == [{"team": "vision", "namespaces": ["vision", "nlp"]}]
    assert "# Share vision is given the namespaces nlp.\n" in text


def test_a_second_resource_gets_a_guarantee_of_its_own() -> None:
    found = pods(1, "train", "nlp", resource="amd.com/gpu")
    snapshot = a_snapshot(a_pool(resources=(GPU, "amd.com/gpu"), declared={"amd.com/gpu": 4}), pods=found)
    raw = {"metadata": {"name": "lab"}, "spec": {"nodes": SELECTOR, "resources": [GPU, "amd.com/gpu"]}}
    text = "".join(command._text(Survey(raw, snapshot, Hints()), adopt(snapshot, Hints()), retire=False))
    (share,) = documents(text)[0]["spec"]["shares"]
    assert share["perResource"] == {"amd.com/gpu": {"guaranteed": 1}}
    assert share["guaranteed"] == 0
    api.GpuPool.model_validate(documents(text)[0])


def test_where_nothing_is_to_be_drafted_the_pool_stays_as_it_is() -> None:
    snapshot = a_snapshot(a_pool(), pods=())
    raw = {"metadata": {"name": "lab"}, "spec": {"nodes": SELECTOR}}
    text = "".join(command._text(Survey(raw, snapshot, Hints()), adopt(snapshot, Hints()), retire=False))
    assert documents(text) == [
        {
            "apiVersion": "gpupool.dev/v1alpha1",
            "kind": "GpuPool",
            "metadata": {"name": "lab"},
            "spec": raw["spec"],
        }
    ]


def test_quotas_of_others_are_named_and_their_deletion_is_printed_only_when_asked() -> None:
    text = printed()
    assert f"#   nlp/compute: {GPU} 8, other.example/thing 1\n" in text
    assert "nlp/odd" not in text, "it counts nothing of this pool"
    assert "kubectl delete" not in text
    assert "--retire-quota prints the commands" in text
    asked = printed(retire=True)
    assert "#   kubectl delete resourcequota compute -n nlp\n" in asked
    assert "--retire-quota" not in asked


ALL_SHARED = a_pool(a_share("vision", 7), a_share("nlp"))
READY: Json = {"type": "ReadyToEnforce", "status": "True", "reason": "NoDenial", "message": "All in."}
VACUOUS = READY | {"reason": "NothingRuns", "message": "No GPU workload stands in the shares."}
REFUSED = READY | {"status": "False", "reason": "WouldBeDenied", "message": "No."}
DENIED = {"namespace": "nlp", "owner": "Job/a", "message": "remove it"}
NOTHING = "#   nothing that is known."
ASKS = {"name": "main", "resources": {"limits": {GPU: "1"}}}


def wild(namespace: str, name: str) -> Template:
    """A live template that tolerates every taint."""
    spec = {"containers": [ASKS], "tolerations": [{"operator": "Exists"}]}
    return Template(
        namespace, ObjectRef("apps/v1", "Deployment", name), json.dumps({"labels": {}, "spec": spec})
    )


@pytest.mark.parametrize(
    ("status", "says", "untried"),
    [
        ({}, "#   the operator has not looked at this pool yet.\n", True),
        ({"conditions": [READY]}, NOTHING, False),
        ({"conditions": [VACUOUS]}, "The other templates were not tried yet", True),
        (
            {"conditions": [REFUSED, {"type": "Conflict", "status": "False"}], "wouldBeDenied": [DENIED]},
            "#   ReadyToEnforce is False (WouldBeDenied): No.\n#   nlp Job/a: remove it\n",
            False,
        ),
    ],
)
def test_what_would_break_is_what_the_status_says_and_what_was_not_tried_is_no_all_clear(
    status: Json, says: str, *, untried: bool
) -> None:
    text = printed({**RAW, "status": status}, pool=ALL_SHARED)
    assert says in text
    assert ("The other templates were not tried yet" in text) is untried
    assert ("kubectl patch gpool lab --type merge" in text) is untried
    assert (NOTHING in text) is (says == NOTHING)


def test_a_pool_without_shares_names_who_would_certainly_be_denied_and_gives_no_all_clear() -> None:
    """Six lines, on the first day: the operator keeps no templates of namespaces that no share lists."""
    live = (wild("vision", "train"), wild("elsewhere", "not-ours"))
    text = printed({**RAW, "status": {"conditions": [VACUOUS]}}, pool=a_pool(), templates=live)
    assert "#   vision Deployment/train: spec.tolerations has an entry without a key" in text
    assert "elsewhere" not in text
    assert NOTHING not in text


def test_what_was_tried_speaks_for_shares_that_stand_and_not_for_those_that_are_drafted() -> None:
    status = {"conditions": [READY]}
    assert NOTHING not in printed({**RAW, "status": status})
    assert NOTHING in printed({**RAW, "status": status}, pool=ALL_SHARED)


def test_who_was_refused_is_named_once_in_the_words_of_the_policy() -> None:
    row = {"namespace": "vision", "owner": "Deployment/train", "message": "as the API server says it"}
    status = {"conditions": [REFUSED], "wouldBeDenied": [row]}
    text = printed({**RAW, "status": status}, pool=ALL_SHARED, templates=(wild("vision", "train"),))
    assert "#   vision Deployment/train: as the API server says it\n" in text
    assert text.count("vision Deployment/train: ") == 2, "its draft, and the refusal"


def test_the_command_prints_to_stdout_and_a_missing_pool_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Json] = []

    async def found(environ: object, pool: str, **options: Any) -> str:
        del environ
        asked.append({"pool": pool, **options})
        if pool == "gone":
            raise NotFound(
                "GET /apis/gpupool.dev/v1alpha1/gpupools/gone", Failure(404, "NotFound", "not found")
            )
        return "# drafts\n"

    monkeypatch.setattr(command, "adopt_pool", found)
    assert cli.main(["adopt", "lab", "--prometheus", "http://p", "--exempt", "sys", "--retire-quota"]) == 0
    assert capsys.readouterr().out == "# drafts\n"
    assert asked == [{"pool": "lab", "prometheus": "http://p", "exempt": ["sys"], "retire": True}]
    assert cli.main(["adopt", "gone"]) == 1
    assert "404" in capsys.readouterr().err
    assert asked[1]["exempt"] == command.EXEMPT
