# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import json

import exp_tree
import pytest
from exp_tree import put, put_rate

from hasrd.report.claims import claims
from hasrd.report.collect import collect
from hasrd.report.summary import summary

CODEC = "codec_train_codec_89abcdef"


def summed(exp, *names, **options):
    results = collect([exp / name for name in names] or [exp])
    return summary(results, claims(results, []), **options)


@pytest.fixture
def codec(papers):
    """The paper's HASRD, and log-mel."""
    probes = [path.name for path in papers.glob("probe_log_mel*")]
    return lambda **options: summed(papers, CODEC, *probes, **options)


def test_each_number_stands_beside_its_yardsticks(codec):
    found = {headline.label: headline for headline in codec().headlines}
    words = found["of the words that a speech recogniser hears are wrong"]
    assert words.value == "12.0%" and words.yardsticks == [("in the recordings", "5.0%")]
    mel = next(headline for label, headline in found.items() if label.startswith("mel distance"))
    assert (
        mel.value == "0.70"
        and mel.note == "0.67 to 0.73"
        and ("the paper's model of full size", "0.64") in mel.yardsticks
    )
    probe = next(headline for label, headline in found.items() if "probe" in label)
    assert probe.value == "7.0%" and {*probe.yardsticks} >= {
        ("from log-mel", "40.0%"),
        ("the paper's model of full size", "6.4%"),
    }
    # One measure of the voice, that of the paper where it was taken.
    voice = [headline for label, headline in found.items() if label.startswith("voice")]
    assert [(one.value, one.yardsticks) for one in voice] == [("0.80", [("the paper's model of full size", "0.92")])]


def test_what_is_good_and_what_is_not(codec):
    found = codec()
    good, not_good = ([claim.text for claim in part] for part in (found.good, found.not_good))
    assert any(text.startswith("A probe reads the semantic tokens better than log-mel") for text in good)
    (lost,) = [claim for claim in found.not_good if claim.text.startswith("Words are lost")]
    assert lost.evidence == "12.0% against 5.0% word errors"
    assert not any("voice" in text and "tried" in text for text in not_good)
    assert any("was not tried" in claim.text for claim in codec(single_speaker=True).not_good)


def test_words_that_are_kept(codec, papers):
    put(papers / CODEC, "test-clean", "combined", recogniser_wer=5.1)
    assert any(claim.text.startswith("A recogniser hears no difference") for claim in codec().good)


def test_it_is_of_a_test_set_not_of_that_by_which_weights_were_chosen(tmp_path):
    for test_set, mel in (("dev-clean", 1.0), ("test-other", 2.0)):
        put(tmp_path / "codec_x", test_set, "combined", mel=mel)
        put_rate(tmp_path / "codec_x", test_set, [8], ["acoustic"])
    found = summed(tmp_path)
    assert found.test_set == "test-other" and found.headlines[0].value == "2.00"


def test_numbers_of_several_codecs_are_left_to_the_tables(papers):
    found = summed(papers)
    assert not found.headlines and found.good


def test_nothing_scored(tmp_path):
    assert summed(tmp_path).test_set == ""


def test_the_page_listens_to_the_set_of_its_numbers(scored, tmp_path):
    """The order in which the sets are named does not matter."""
    import shutil

    root = tmp_path / "root"
    shutil.copytree(scored, root)
    codec = root / "exp/codec_small"
    shutil.copytree(root / "data/test", root / "data/valid")
    shutil.copytree(codec / "decode/test", codec / "decode/valid")
    put(codec, "valid", "combined", mel=(1.0, {}))
    exp_tree.report(root, test_sets=["valid", "test"], out_html=root / "index.html")
    html = (root / "index.html").read_text()
    assert "Recordings of test set test." in html and "All of test set <b>test</b>" in html
    assert json.dumps("missing") not in html and "missing" not in html
