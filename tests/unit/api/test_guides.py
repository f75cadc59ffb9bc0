"""The docs: their manifests are read without loss, and their links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpupool.api.kinds import KINDS
from support.guides import GUIDES, PAGES, Block, blocks, manifests, values
from support.manifests import ROOT

MODELS = {kind.name: kind.model for kind in KINDS}
OURS = [(block, found) for block in manifests() for found in block.objects if found["kind"] in MODELS]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def paths(found: Any, at: str = "") -> Iterator[str]:
    """Every field that is given, by its path."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield f"{at}.{key}"
            yield from paths(value, f"{at}.{key}")
    if isinstance(found, list):
        for number, value in enumerate(found):
            yield from paths(value, f"{at}[{number}]")


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have where Markdown is shown."""
    headings = _HEADING.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_that_shows_objects_is_read() -> None:
    assert {block.page for block in manifests()} == {"README", "slo", "inference-owner", "platform-team"}
    assert {found["kind"] for _, found in OURS} == set(MODELS)
    assert values()


@pytest.mark.parametrize("block", [*blocks(GUIDES.glob("*.md"))], ids=str)
def test_a_block_of_a_guide_can_be_used_as_it_stands(block: Block) -> None:
    assert block.is_whole or block.is_values


@pytest.mark.parametrize(("block", "manifest"), OURS, ids=lambda it: str(it) if isinstance(it, Block) else "")
def test_a_manifest_of_ours_is_read_whole(block: Block, manifest: dict[str, Any]) -> None:
    del block
    model = MODELS[manifest["kind"]].model_validate(manifest)
    again = model.to_wire()
    assert set(paths(manifest["spec"])) <= set(paths(again["spec"]))
    assert MODELS[manifest["kind"]].model_validate(again) == model


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_pages_and_headings_that_are_there(page: Path) -> None:
    dead = []
    for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


def test_the_readme_leads_to_the_guides() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"deploy/docs/guides/{guide.name}" in text for guide in GUIDES.glob("*.md"))
