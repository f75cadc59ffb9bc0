"""The YAML of the docs as it stands: whole objects of Kubernetes, and values of the chart."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.manifests import ROOT

DOCS = ROOT / "deploy" / "docs"
GUIDES = DOCS / "guides"
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
VALUES = "# values.yaml\n"
"""First line of a block that is no object."""
_FENCED = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """One block of YAML: where it stands, and its text."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_values(self) -> bool:
        """Whether it is a values file of the chart."""
        return self.text.startswith(VALUES)

    @property
    def objects(self) -> tuple[Json, ...]:
        """The documents in it."""
        return tuple(yaml.safe_load_all(self.text))

    @property
    def is_whole(self) -> bool:
        """Whether people can apply it; the rest are parts of objects."""
        return all({"apiVersion", "kind", "metadata"} <= found.keys() for found in self.objects)


def blocks(pages: Iterable[Path] = PAGES) -> Iterator[Block]:
    """Every block of YAML in these pages."""
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for found in _FENCED.finditer(text):
            yield Block(page.stem, text.count("\n", 0, found.start()) + 2, found[1])


def manifests() -> tuple[Block, ...]:
    """The blocks that people apply."""
    return tuple(block for block in blocks() if block.is_whole)


def values() -> tuple[Block, ...]:
    """The blocks that people give to helm."""
    return tuple(block for block in blocks() if block.is_values)
