# Copyright 2026 The hasrd authors
# Apache-2.0
"""Every block of commands on the pages is run by a test, or says in a comment why it is not."""

from __future__ import annotations

import re

import pytest
from doc_pages import DOCS, ROOT

PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
TESTS = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("test/**/*.py"))
# Why a block is run by none.
REASON = re.compile(r"#.*\b(hours|minutes|GPU|download)")
# Blocks that a test runs, of pages whose other blocks take too long: page to what they begin with.
RUN = {
    "README.md": (". tools/venv",),
    "models.md": ("hasrd info",),
    "measures.md": ("hasrd score",),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_run_or_say_why_not(page):
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
        if language not in ("", "bash") or body.startswith(RUN.get(page.name, ("\0",))) or REASON.search(body):
            continue
        others = page.name in RUN or page.name in ("corpus.md", "encoder.md")
        is_run = f'blocks("{page.name}", "{language}")' in TESTS and not (others and language == "")
        assert is_run, f"{page.name}: neither run nor marked:\n{body}"
