# Copyright 2026 The hasrd authors
# Apache-2.0
"""What README.md and the pages of docs/ point to is there."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from doc_pages import DOCS, ROOT

from hasrd.recipe.options import OPTIONS

PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def prose(page) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page) -> set[str]:
    """The names that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_of_the_recipe_exist(page):
    """Options in commands that call run.sh, and those that stand alone in the prose of the recipe's page."""
    known = {*OPTIONS, "help"}
    text = page.read_text(encoding="utf-8")
    for command in re.findall(r"^.*\./run\.sh((?:.*\\\n)*.*)$", text, re.M):
        outside = re.sub(r'"[^"]*"', "", command.split("#")[0].split("`")[0])
        for option in re.findall(r"--([a-z_]+)", outside):
            assert option in known, f"{page.name}: --{option}"


def test_pictures_are_whole():
    for picture in (DOCS / "img").glob("*.svg"):
        ElementTree.parse(picture)


def test_help_of_the_installer_is_what_readme_points_to():
    shown = subprocess.run([ROOT / "tools/install.sh", "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("HASRD_TORCH_BACKEND", "HASRD_PYTHON"):
        assert name in shown and name in PAGES[0].read_text(encoding="utf-8")
