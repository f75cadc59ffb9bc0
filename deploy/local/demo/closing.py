"""The end of the story: a table read from the pools, and two pictures read from Prometheus."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.table import Table

from demo import day, daypicture
from demo.picture import draw
from demo.scenes import FIRST_ACT
from demo.scenes.serving import ENDPOINTS, PROMISED
from demo.series import read_lines, read_teams
from demo.stage import RESOURCE, Stage

POOLS: Final = {"vision": "lab", "nlp": "lab", "chat": "production", "search": "production"}
REQUESTS: Final = {
    "vision": ("vision-lab", "train-sam"),
    "nlp": ("nlp-lab", "finetune"),
    "chat": ("chat-prod", "chat"),
    "search": ("search-prod", "ranker"),
}


REPLICA: Final = 2
"""GPUs of a replica of assist."""


def closing(stage: Stage, picture: Path, day_picture: Path) -> None:
    """Print the table, write a picture of each act, say where they are."""
    ended = time.time()
    first, second = stage.narrator.marks[: len(FIRST_ACT)], stage.narrator.marks[len(FIRST_ACT) :]
    console = stage.narrator.console
    console.print()
    console.print(_table(stage))
    namespaces = {team: namespace for team, (namespace, _) in REQUESTS.items()}
    teams = read_teams(stage, POOLS, namespaces, first[0].at, second[0].at)
    draw(teams, first, picture)
    lines = read_lines(stage, queries(), second[0].at, ended)
    daypicture.draw_day(lines, second, PROMISED, day_picture)
    seconds = int(stage.narrator.seconds)
    console.print(
        f"\n{stage.narrator.kept} expectations held in {seconds // 60} min {seconds % 60:02} s, "
        f"each read back from the API server or Prometheus."
    )
    console.print(f"Granted, held and busy GPUs over time: {picture}", soft_wrap=True)
    console.print(f"Load, replicas, attainment and error budget: {day_picture}", soft_wrap=True)


def queries() -> Mapping[str, str]:
    """What the second picture asks Prometheus, by the names of its lines."""
    came = 'fake_gateway_requests_total{namespace="assist-live",workload="assist"}'
    found = {daypicture.load_of("assist"): f"sum(rate({came}[3s])) / {day.SPEED:g}"}
    for team in ("assist", "fixed"):
        held = f'gpupool_share_held_gpus{{pool="serving",team="{team}"}}'
        found[daypicture.replicas_of(team)] = f"max({held}) / {REPLICA}"
    namespace = ENDPOINTS["assist"][0]
    found[daypicture.needed_by("assist")] = f'max(gpupool_required_replicas{{namespace="{namespace}"}})'
    for team in ("assist", "fixed", "coder"):
        where = f'{{namespace="{ENDPOINTS[team][0]}"}}'
        found[daypicture.attainment_of(team)] = f"min(gpupool_slo_attainment_percent{where})"
        found[daypicture.budget_of(team)] = f"min(gpupool_slo_budget_remaining_percent{where})"
    return found


def _table(stage: Stage) -> Table:
    table = Table(
        title="Who holds what, at the end", title_justify="left", width=stage.narrator.console.width
    )
    for heading in ("pool", "team"):
        table.add_column(heading, no_wrap=True)
    for heading in ("promised", "granted", "lent", "held", "busy"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("phase and what its Events tell", ratio=1)
    for team, pool in {**POOLS, **dict.fromkeys(ENDPOINTS, "serving")}.items():
        row = next(r for r in stage.pool(pool)["shares"] if r["team"] == team)
        counts = [row.get(key, {}).get(RESOURCE, 0) for key in ("guaranteed", "granted", "lent", "held")]
        counts.append(row.get("busy", {}).get(RESOURCE, "?"))  # unknown is not idle
        table.add_row(pool, team, *(str(count) for count in counts), _story(stage, team))
    return table


def _story(stage: Stage, team: str) -> str:
    namespace, name = {**REQUESTS, **ENDPOINTS}[team]
    reasons = [str(event["reason"]) for event in stage.events(namespace, name)]
    told = [reason for i, reason in enumerate(reasons) if i == 0 or reasons[i - 1] != reason]
    return f"{stage.request(namespace, name)['phase']}: {', '.join(told)}"
