# Copyright 2026 The hasrd authors
# Apache-2.0
"""The page of `hasrd demo` in a browser: a file goes in, sound comes out, muting changes it."""

from __future__ import annotations

import io
import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Browser, find_browser

import hasrd
from hasrd.demo.listen import Listener

pytest.importorskip("gradio", reason="gradio is not installed (extra: demo)")

# Waits in the page until an expression is true, and returns it; the browser's own limit ends what never comes.
WAIT = """new Promise(done => {{
    const look = () => {{ const found = {expression}; if (found) done(found); else setTimeout(look, 50); }};
    look();
}})"""
SOURCE = "document.querySelector('#{name} a.download-link')?.href"
TAB = "[...document.querySelectorAll('[role=tab]')].find(tab => tab.textContent.trim() == {name!r})"


class Page:
    """The open page."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url

    def wait(self, expression: str):
        return self.browser.run(WAIT.format(expression=expression))

    def drop(self, name: str, path: Path) -> None:
        """Give a file to the input of a component."""
        selector = f"#{name} input[type=file]"
        self.wait(f"document.querySelector({selector!r}) != null")
        found = self.browser.call("Runtime.evaluate", expression=f"document.querySelector({selector!r})")
        self.browser.call("DOM.setFileInputFiles", files=[str(path)], objectId=found["result"]["objectId"])
        # The player takes its place when the file has come.
        self.wait(f"document.querySelector({selector!r}) == null")

    def sound(self, name: str, before: str = "") -> tuple[str, np.ndarray]:
        """Wait for another sound than `before`, and return its address and samples."""
        source = SOURCE.format(name=name)
        address = self.wait(f"({source} && {source} != {before!r}) ? {source} : ''")
        with urllib.request.urlopen(address) as answer:
            return address, soundfile.read(io.BytesIO(answer.read()))[0]

    def click(self, expression: str) -> None:
        self.wait(f"{expression} != null")
        self.browser.run(f"({expression}).click()")

    def tab(self, name: str) -> None:
        self.click(TAB.format(name=name))


@pytest.fixture(scope="module")
def url(codec_dir):
    from hasrd.demo import page

    listener = Listener({"one": hasrd.load(codec_dir), "other": hasrd.load(codec_dir)})
    gradio_page = []
    make = page.make_page
    page.make_page = lambda *arguments: gradio_page.append(make(*arguments)) or gradio_page[-1]
    try:
        yield page.serve(listener, "127.0.0.1", 0, block=False)
    finally:
        page.make_page = make
        for one in gradio_page:
            one.close(verbose=False)


@pytest.fixture
def page(url, tmp_path):
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    with Browser(program, tmp_path / "profile", seconds=120) as browser:
        browser.open(url, 1280, 900)
        yield Page(browser, url)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, 24000), 16000)
    return path


def test_a_file_goes_in_sound_comes_out_and_muting_changes_it(page, recording):
    page.drop("recording", recording)
    address, whole = page.sound("heard")
    assert len(whole) == 24000 and np.abs(whole).max() > 0.01
    assert "bit/s" in page.wait("document.querySelector('#facts textarea').value")
    assert page.wait("document.querySelector('#picture img')?.src")
    page.click("document.querySelector('#streams input[type=checkbox]')")
    _, muted = page.sound("heard", address)
    assert len(muted) == 24000 and not np.array_equal(muted, whole)
    # The button makes a link and clicks it.
    page.browser.run("HTMLAnchorElement.prototype.click = function () { window.asked = this.href; }")
    page.click("document.querySelector('#download')")
    tokens = page.wait("window.asked")
    with urllib.request.urlopen(tokens) as answer:
        assert set(np.load(io.BytesIO(answer.read()))) >= {"codes"}
    # Nothing is asked of other machines.
    asked = [event["params"]["request"]["url"] for event in page.browser.events
             if event["method"] == "Network.requestWillBeSent"]  # fmt: skip
    assert asked and all(one.startswith((page.url, "blob:", "data:")) for one in asked), json.dumps(asked)[:2000]


def test_voices_are_exchanged_and_ears_compared(page, recording, tmp_path):
    page.tab("Exchange voices")
    other = tmp_path / "other.wav"
    soundfile.write(other, np.random.default_rng(1).uniform(-0.3, 0.3, 16000), 16000)
    for name, path in (("first", recording), ("second", other)):
        page.drop(name, path)
    page.click("document.querySelector('#swap')")
    assert [len(page.sound(name)[1]) for name in ("first-out", "second-out")] == [24000, 16000]
    page.tab("Compare by ear")
    page.drop("compared", recording)
    page.click("document.querySelector('#draw')")
    a, x, b = (page.sound(name)[1] for name in ("out-a", "out-x", "out-b"))
    # Both are the same model's.
    assert np.array_equal(a, b) and np.array_equal(x, a)
    page.click("document.querySelector('#is-a')")
    assert "of 1 are right" in page.wait(
        "(value => value.includes('are right') && value)(document.querySelector('#result textarea').value)"
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(page, recording, width, tmp_path):
    page.browser.open(page.url, width, 844)
    page.drop("recording", recording)
    page.sound("heard")
    page.wait("document.querySelector('#picture img')?.src")
    assert page.browser.run("document.documentElement.scrollWidth") <= width
    page.browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10000
