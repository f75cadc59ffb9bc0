"""The command line behind `make demo`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from demo.closing import closing
from demo.narrator import Narrator
from demo.reading import ExpectationError
from demo.scenes import FIRST_ACT, SECOND_ACT
from demo.stage import CommandError, Stage
from demo.theatre import DAY, LOGS, PICTURE, theatre
from localplane import toolchain
from localplane.errors import PlaneError
from localplane.paths import default_directory


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story; returns 0 only if every expectation held."""
    chosen = _parser().parse_args(arguments)
    directory: Path = chosen.directory.resolve()
    try:
        toolchain.build(quiet=True)  # shows what it compiles, and nothing when all is there
        with theatre(directory, keep=chosen.keep) as cluster:
            tell(Stage(cluster, Narrator()), directory)
    except ExpectationError as error:
        _report(error, directory)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    except (CommandError, PlaneError, TimeoutError, httpx.HTTPError) as error:
        print(f"demo: {error}\n  logs      {directory / LOGS}", file=sys.stderr)
    else:
        return 0
    return 1


def tell(stage: Stage, folder: Path) -> None:
    """All scenes, the closing table and the pictures.

    Raises:
        ExpectationError: Something was not as the story says.
        CommandError: A command was refused that should have worked.
        PlaneError: A part of the cluster did not start.
    """
    try:
        for scene in (*FIRST_ACT, *SECOND_ACT):
            scene(stage)
        closing(stage, folder / PICTURE, folder / DAY)
    finally:
        stage.close()


def _report(error: ExpectationError, directory: Path) -> None:
    print(
        f"\ndemo: an expectation did not hold\n"
        f"  expected  {error.what}\n"
        f"  read      {error.reading.text}\n"
        f"  waited    {error.seconds:.0f} s\n"
        f"  logs      {directory / LOGS} (the operator's: {LOGS}/pods)",
        file=sys.stderr,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--directory", type=Path, default=default_directory() / "demo")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running at the end")
    return parser
