# Copyright 2026 The hasrd authors
# Apache-2.0
"""The page in a real browser, where one is installed."""

from __future__ import annotations

import shutil

import pytest
from browser import Browser, find_browser
from exp_tree import put, put_books, report
from extras import add_codec, add_conversion, add_map

# Seconds of each player once it knows its audio, or what went wrong. A browser plays only what it can decode.
DECODE = """Promise.all([...document.querySelectorAll("audio")].map(player => new Promise(done => {
  player.addEventListener("loadedmetadata", () => done(player.duration));
  player.addEventListener("error", () => done(player.error.message || "error"));
  player.preload = "auto"; player.load();
})))"""
# Everything that a finger has to hit.
SMALL = """[...document.querySelectorAll("nav a, .contents a, summary, audio")]
  .filter(e => e.checkVisibility()).map(e => [e.outerHTML.slice(0, 60), e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 44 || box.width < 44).map(([text, box]) => [text, box.width, box.height])"""
# Texts that a drawing cuts off.
CUT = """[...document.querySelectorAll(".plot svg text")].filter(text => {
  const box = text.getBoundingClientRect(), frame = text.closest("svg").getBoundingClientRect();
  return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1
    || box.bottom > frame.bottom + 1;
}).map(text => text.textContent)"""
OPEN = "document.querySelectorAll('details').forEach(d => d.open = true)"
WIDE = """[document.documentElement.scrollWidth, window.innerWidth]"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_browser()
    if program is None:
        pytest.skip("no chromium or google-chrome is installed")
    with Browser(program, tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def made(scored, tmp_path_factory):
    """A page with several codecs, a conversion, a map and a curve."""
    root = tmp_path_factory.mktemp("browsed") / "root"
    shutil.copytree(scored, root)
    add_codec(root, "codec_train_codec_dac_01234567")
    add_codec(root, "codec_a_peer_with_an_extraordinarily_long_name_without_any_space", peer=True)
    add_conversion(root)
    add_map(root)
    put(root / "exp/codec_small", "test", "books_1", mel=3.0)
    streams = ["semantic", "lexical", *["acoustic"] * 7]
    put_books(root / "exp/codec_small", "test", streams, [0.4] * 9, [0.3] * 9)
    report(root, num_examples=2, out_html=root / "index.html")
    return root


def problems(browser):
    """What the page reported, and what it asked of others."""
    requests = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    reported = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed")
    outside = [url[:80] for url in requests if not url.startswith(("file:", "data:", "blob:"))]
    return outside + [event for event in browser.events if event["method"] in reported]


def test_a_handful_of_screens(browser, made):
    """As it is opened: the summary within the first, everything within ten of a desktop."""
    browser.open((made / "index.html").as_uri(), 1280, 900)
    assert browser.run("document.querySelector('#listen').getBoundingClientRect().top") < 1100
    assert browser.run("document.documentElement.scrollHeight") < 10 * 900


def test_small_tables_are_blocks_on_a_phone(browser, made):
    """A line for each number, with its column's name, and nothing to scroll sideways."""
    browser.open((made / "index.html").as_uri(), 360, 800)
    browser.run(OPEN)
    boxes = browser.run("[...document.querySelectorAll('.stack')].map(e => [e.scrollWidth, e.clientWidth])")
    assert boxes and all(inside <= box for inside, box in boxes)
    cell = "[...document.querySelectorAll('.stack td')].filter(e => e.checkVisibility())[0]"
    assert browser.run(f"getComputedStyle({cell}, '::before').content === JSON.stringify({cell}.dataset.of)")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width, height", [(360, 800), (1280, 900)])
def test_page(browser, made, width, height, dark):
    browser.open((made / "index.html").as_uri(), width, height, dark)
    assert browser.run(OPEN) is None
    needed, given = browser.run(WIDE)
    assert needed <= given <= width
    assert browser.run(SMALL) == [] and browser.run(CUT) == []
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    # Original, three codecs, two streams, the converted voice and its target; of two utterances.
    lengths = browser.run(DECODE)
    assert len(lengths) == 2 * 8 and all(isinstance(length, float) and length > 1.5 for length in lengths)
    assert not problems(browser)


def test_long_tables_scroll_in_their_box(browser, made):
    browser.open((made / "index.html").as_uri(), 360, 800)
    browser.run(OPEN)
    boxes = browser.run(
        "[...document.querySelectorAll('.scroll')].filter(e => e.checkVisibility())"
        ".map(e => [e.scrollWidth, e.clientWidth, getComputedStyle(e).overflowX, e.tabIndex])"
    )
    assert any(inside > box for inside, box, *_ in boxes)
    assert all(overflow == "auto" and index == 0 for *_, overflow, index in boxes)
    # A long name is broken, not written over the numbers.
    cells = "document.querySelectorAll('.scroll th, .scroll td, .stack th, .stack td')"
    over = f"[...{cells}].filter(e => e.scrollWidth > e.clientWidth + 1)"
    assert browser.run(f"{over}.map(e => e.textContent)") == []


def test_one_player_at_a_time(browser, made):
    """Through the keyboard: the focus goes to a player, the space bar starts it."""
    browser.open((made / "index.html").as_uri(), 1280, 900)
    # A slow machine must not find the end before it looks, nor press before there is something to play.
    browser.run("document.querySelectorAll('audio').forEach(player => { player.loop = true; player.preload = 'auto' })")
    playing = "[...document.querySelectorAll('audio')].map((p, i) => p.currentTime && !p.paused ? i : -1)"
    wait = "(async () => { while (!(%s)) await new Promise(go => setTimeout(go, 50)) })()"
    for number in (0, 1):
        browser.run(f"document.querySelectorAll('audio')[{number}].focus()")
        browser.run(wait % "document.activeElement.src.startsWith('blob:') && document.activeElement.readyState > 3")
        browser.press(" ")
        browser.run(wait % f"{playing}.includes({number})")
        assert browser.run(f"{playing}.filter(i => i >= 0)") == [number]
    assert browser.run("[...document.querySelectorAll('.clip.playing')].length") == 1
    assert browser.run("document.querySelector('audio').src").startswith("blob:")
    assert not problems(browser)


def test_links_are_reached_with_the_keyboard(browser, made):
    browser.open((made / "index.html").as_uri(), 1280, 900)
    browser.press("Tab")
    assert browser.run("document.activeElement.textContent") == "Listen"
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_broken_page_is_found_out(browser, made):
    """The checks above do fail: audio that is no audio, an external picture, an error, an overflow."""
    text = (made / "index.html").read_text()
    first = text.index("data:audio/flac;base64,") + len("data:audio/flac;base64,")
    text = text[:first] + "A" * 400 + text[first + 400 :]
    bad = '<img src="http://127.0.0.1:9/x.png" alt="x"><div style="width:2000px">x</div>'
    bad += "<script>console.error(1)</script>"
    (made / "bad.html").write_text(text.replace("<main>", f"<main>{bad}"))
    browser.open((made / "bad.html").as_uri(), 360, 800)
    needed, given = browser.run(WIDE)
    assert needed > 360 and sum(isinstance(length, str) for length in browser.run(DECODE)) == 1
    found = problems(browser)
    assert "http://127.0.0.1:9/x.png" in found
    assert any(isinstance(e, dict) and e["method"] == "Runtime.consoleAPICalled" for e in found)
