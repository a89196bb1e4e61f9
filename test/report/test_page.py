# Copyright 2026 The hasrd authors
# Apache-2.0
import base64
import io
import re
import shutil
from html.parser import HTMLParser

import exp_tree
import pytest
import soundfile

VOID = {"meta", "link", "br", "img"}


class Checker(HTMLParser):
    """Collects what must hold of a page: balanced tags, unique ids, links and media."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.media, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes[name] for name in ("href", "xlink:href") if name in attributes]
        self.media += [(tag, attributes)] if "src" in attributes else []
        assert tag != "img" or attributes.get("alt")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def report(root, **options):
    md, html = root / "RESULTS.md", root / "report" / "index.html"
    exp_tree.report(root, single_speaker="true", out_md=md, out_html=html, **options)
    checker = Checker()
    checker.feed(html.read_text())
    assert not checker.open
    return md.read_text(), html.read_text(), checker


@pytest.fixture(scope="module")
def made(scored, tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "root"
    shutil.copytree(scored, root)
    return root, *report(root, num_examples=3)


def test_page_is_one_file(made):
    _, _, html, checker = made
    assert len(set(checker.ids)) == len(checker.ids)
    assert all(link.startswith(("#", "data:")) for link in checker.links)
    assert all(attributes["src"].startswith("data:") for _, attributes in checker.media)
    assert not re.search(r"https?://(?!www\.w3\.org)", html)
    assert len(html) < 10e6


def test_internal_links_lead_somewhere(made):
    checker = made[3]
    assert {link[1:] for link in checker.links if link.startswith("#")} <= set(checker.ids)


def test_audio_is_what_was_decoded(made):
    root, _, _, checker = made
    players = [attributes for tag, attributes in checker.media if tag == "audio"]
    assert len(players) == 3 * 4
    decoded = [f"exp/codec_small/decode/test/{version}" for version in ("combined", "semantic", "acoustic")]
    for player, version in zip(players, ["data/test", *decoded]):
        wave, rate = soundfile.read(io.BytesIO(base64.b64decode(player["src"].split(",")[1])))
        expected, _ = soundfile.read(root / version / "utt0.wav")
        assert rate == 16000 and (wave == expected).all()


def test_texts_are_escaped_and_shown(made):
    _, md, html, checker = made
    assert "<enter>" not in html and any('<enter> & "go"' in text for text in checker.text)
    assert any("one voice" in text for text in checker.text) and "CC BY 4.0" in md
    for section in ("Reconstruction", "CTC probes", "Masked prediction", "Codebooks"):
        assert f"## {section}: test" in md and section in html
    assert html.count("<svg") == 4


def test_what_was_not_measured_is_shown_where_it_is_asked_for(made, exp):
    """Nothing was measured of the acoustic tokens alone, of speaker similarity and of another's encoder."""
    for shown in made[1:3]:
        words = re.sub(r"<style>.*?</style>", "", shown, flags=re.DOTALL)
        assert not any(word in words for word in ("missing", "Acoustic tokens", "Speaker similarity", "Table 1, "))
        assert "Table 3, " in words and "(paper)" in words
    md, html, _ = report(exp, all_tables="true", num_examples=0)
    for shown, word in ((md, "missing"), (html, "not measured")):
        assert all(word in shown for word in (word, "Acoustic tokens", "Speaker similarity", "Table 1"))
    assert "missing" not in html
    assert html.count("<svg") == 4


@pytest.mark.parametrize(
    "given, shown",
    [
        ("./run.sh --stage 3 --ssl_args '--optim_conf lr=0.1'", "./run.sh --stage 3 --ssl_args '--optim_conf lr=0.1'"),
        ("./run.sh --expdir exp/a --datadir /home/me/data", "./run.sh --expdir exp/a --datadir .../data"),
        ("./run.sh --teachers 'lexical=text:/models/x/LaBSE'", "./run.sh --teachers 'lexical=text:.../LaBSE'"),
        ("/home/me/run.sh --codec_config ../a/b.yaml ~/c/d", ".../run.sh --codec_config ../a/b.yaml .../d"),
    ],
)
def test_the_command_is_shown_as_it_was_given(exp, given, shown):
    out = exp / "command.md"
    exp_tree.report(exp, command=given, out_md=out)
    assert f"\n- Command: {shown}\n" in out.read_text()


def test_no_path_of_this_machine(made):
    root, md, html, _ = made
    assert str(root) not in md + html and "/tmp" not in md and str(root.parent) not in html


def test_markdown_tables_have_as_many_cells_as_columns(made):
    blocks = [block.splitlines() for block in made[1].split("\n\n") if block.startswith("|")]
    assert len(blocks) == made[1].count("\n## ") >= 5
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block}) == 1


def test_missing_audio_and_trainings_are_shown(exp):
    shutil.rmtree(exp / "exp/codec_small/decode/test/semantic")
    (exp / "exp/ssl_small/history.json").unlink()
    _, html, _ = report(exp)
    assert "no training curves" not in html and 'id="training"' not in html and 'href="#training"' not in html
    _, html, _ = report(exp, all_tables="true")
    assert (
        "Not here: no training curves were found" in html and html.count('<span class="absent">not decoded</span>') >= 4
    )
    shutil.rmtree(exp / "exp/codec_small/decode")
    _, html, _ = report(exp)
    assert "no decoded audio was found" not in html and 'href="#listen"' not in html
    _, html, _ = report(exp, all_tables="true")
    assert "no decoded audio was found" in html


def test_numbers_of_the_paper_are_marked_and_ours_have_their_files(papers, tmp_path):
    exp_tree.report(papers, expdir=papers, out_html=tmp_path / "index.html")
    html = (tmp_path / "index.html").read_text()
    rows = re.findall(r"<tr( class=\"paper\")?>(.*?)</tr>", html, re.DOTALL)
    marked = [cell for of_paper, row in rows for cell in re.findall(r"<td class=\"paper\".*?</td>", row) if of_paper]
    # Table 1: DAC's mel distance; Table 3: the word errors of log-mel.
    assert any(">0.66<" in cell for cell in marked) and any(">35.8<" in cell for cell in marked)
    assert len(marked) == html.count('<td class="paper"') and "the paper's own numbers" in html
    ours = re.findall(r"<td title=\"([^\"]+)\"", html)
    assert ours and all(not path.startswith("/") and (tmp_path / path).is_file() for path in ours)
    assert "<li>DAC" in html.partition("Where the numbers come from")[2].partition("</details>")[0]


def test_no_score_at_all(tmp_path, one_line):
    (tmp_path / "exp").mkdir()
    one_line("no score", exp_tree.report, tmp_path, out_md=tmp_path / "R.md")
    options = {"test_sets": "test", "out_md": tmp_path / "R.md", "out_html": tmp_path / "index.html"}
    exp_tree.report(tmp_path, **options, all_tables="true")
    assert "## Reconstruction: test" in (tmp_path / "R.md").read_text()
    exp_tree.report(tmp_path, **options)
    for name in ("R.md", "index.html"):
        assert not any(word in (tmp_path / name).read_text() for word in ("Reconstruction", "What holds", "missing:"))
    one_line("nothing to write", exp_tree.report, tmp_path)
