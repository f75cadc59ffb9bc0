"""The end of the story: a table read from the pools, and a picture read from Prometheus."""

import time
from pathlib import Path
from typing import Final

from rich.table import Table

from demo.picture import draw
from demo.series import read_teams
from demo.stage import RESOURCE, Stage

POOLS: Final = {"vision": "lab", "nlp": "lab", "chat": "production", "search": "production"}
REQUESTS: Final = {
    "vision": ("vision-lab", "train-sam"),
    "nlp": ("nlp-lab", "finetune"),
    "chat": ("chat-prod", "chat"),
    "search": ("search-prod", "ranker"),
}


def closing(stage: Stage, picture: Path) -> None:
    """Print the table, write the picture, say where it is."""
    ended = time.time()
    console = stage.narrator.console
    console.print()
    console.print(_table(stage))
    teams = read_teams(
        stage, POOLS, {t: n for t, (n, _) in REQUESTS.items()}, stage.narrator.marks[0].at, ended
    )
    draw(teams, stage.narrator.marks, picture)
    seconds = int(stage.narrator.seconds)
    console.print(
        f"\n{stage.narrator.kept} expectations held in {seconds // 60} min {seconds % 60:02} s, "
        f"each read back from the API server or Prometheus."
    )
    console.print(f"Granted, held and busy GPUs over time: {picture}", soft_wrap=True)


def _table(stage: Stage) -> Table:
    table = Table(
        title="Who holds what, at the end", title_justify="left", width=stage.narrator.console.width
    )
    for heading in ("pool", "team"):
        table.add_column(heading, no_wrap=True)
    for heading in ("promised", "granted", "lent", "held", "busy"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("phase and what its Events tell", ratio=1)
    for team, pool in POOLS.items():
        row = next(r for r in stage.pool(pool)["shares"] if r["team"] == team)
        counts = [
            row.get(key, {}).get(RESOURCE, 0) for key in ("guaranteed", "granted", "lent", "held", "busy")
        ]
        table.add_row(pool, team, *(str(count) for count in counts), _story(stage, team))
    return table


def _story(stage: Stage, team: str) -> str:
    namespace, name = REQUESTS[team]
    reasons = [str(event["reason"]) for event in stage.events(namespace, name)]
    told = [reason for i, reason in enumerate(reasons) if i == 0 or reasons[i - 1] != reason]
    return f"{stage.request(namespace, name)['phase']}: {', '.join(told)}"
