# Copyright 2026 The hasrd authors
# Apache-2.0
import json
import re

import pytest
from exp_tree import put, put_rate
from extras import add_map

from hasrd.report.collect import Results, collect
from hasrd.report.figures import curve_figures, layer_weight_figures
from hasrd.report.rate_quality import curves, phone_figures, rate_quality_figures
from hasrd.report.token_map import CLASSES, phone_class, token_map_figures


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_curves_over_the_bitrate(papers):
    """31.25 Hz x (9, 9 + 10, 9 + 30, 9 + 80 bit); a codec without codebooks of its own has one point."""
    results = collect([papers])
    found = curves(results, "test-clean", "mel")
    hasrd = found["codec_train_codec_89abcdef"]
    assert [point.rate for point in hasrd] == pytest.approx([0.28125, 0.59375, 1.21875, 2.78125])
    assert [point.score.mean for point in hasrd] == [2.0, 1.0, 0.5, 0.7]
    assert [point.rate for point in found["codec_dac_04s"]] == [2.8125]
    # Without a bitrate there is no place for it.
    assert "codec_mine" not in found and "codec_encodec" not in found


def test_rate_quality_figure(papers):
    (figure,) = rate_quality_figures(collect([papers]))
    panels = figure.svg.split("<svg")[1:]
    # Panels for what was scored of some codebooks, not for PESQ or ECAPA.
    assert len(panels) == 4 and "test-clean" in figure.caption
    assert "Mel distance ↓" in texts(panels[0]) and {"hasrd", "dac", "dac_04s"} <= set(texts(panels[0]))
    assert "dac" not in texts(panels[3])
    assert all('role="img"' in panel and "aria-label=" in panel for panel in panels)


def test_without_codebooks_alone_there_is_no_curve(tmp_path):
    for name in ("codec_dac", "codec_hasrd"):
        put(tmp_path / name, "test", "combined", mel=1.0)
        put_rate(tmp_path / name, "test", [8], ["acoustic"])
    assert rate_quality_figures(collect([tmp_path])) == []


def test_labels_of_curves_that_end_together_do_not_overlap(tmp_path):
    for index in range(9):
        codec = tmp_path / f"codec_c{index}"
        put_rate(codec, "test", [8, 8], ["acoustic"] * 2)
        put(codec, "test", "books_1", mel=3.0)
        put(codec, "test", "combined", mel=1.0)
    (figure,) = rate_quality_figures(collect([tmp_path]))
    heights = sorted(float(y) for y in re.findall(r'y="(-?[\d.]+)"[^>]*>c\d<', figure.svg))
    assert len(heights) == 9 and min(b - a for a, b in zip(heights, heights[1:])) > 8
    # Beside the axes, though all curves end at their lower edge.
    (below,) = re.findall(r'y="(-?[\d.]+)"[^>]*>kbps<', figure.svg)
    assert heights[0] > 0 and heights[-1] < float(below)


def test_phone_figures(papers):
    (figure,) = phone_figures(collect([papers]))
    assert {"semantic", "acoustic", "shuffled", "PNMI"} <= set(texts(figure.svg))
    assert "codec_train_codec_89abcdef" in figure.caption


def test_layer_weights_of_the_same_layers_share_a_figure():
    """HASRD, Figure 2: the probe's weights and the codec's, from two experiments."""
    weights = {
        "codec_hasrd": {"reconstruction": [0.1, 0.6, 0.2, 0.1]},
        "layer_0123abcd": {"asr": [0.4, 0.1, 0.1, 0.4]},
        "codec_hubert": {"reconstruction": [0.2, 0.8]},
    }
    four, two = layer_weight_figures(Results(layer_weights=weights))
    assert {"reconstruction", "ASR probe", "CNN", "3"} <= set(texts(four.svg))
    assert "reconstruction: most on layer 1 (0.60), ASR probe: most on the CNN (0.40)" in four.caption
    assert "even weights would be 0.25" in four.caption and "on layers 1 to 3" in four.caption
    assert "most on layer 1 (0.80)" in two.caption
    weights["codec_wide"] = {"reconstruction": [0.3, 0.3, 0.2, 0.2]}
    four, _ = layer_weight_figures(Results(layer_weights=weights))
    assert {"reconstruction, hasrd", "reconstruction, wide", "ASR probe"} <= set(texts(four.svg))
    assert layer_weight_figures(Results()) == []


def test_phone_classes():
    assert [phone_class(p) for p in ("AA", "t", "ZH", "NG", "R", "JH", "ɾ")] == [
        "vowel", "stop", "fricative", "nasal", "approximant", "affricate", "other"
    ]  # fmt: skip
    phones = " ".join(CLASSES.values()).split()
    assert len(set(phones)) == len(phones)


def test_token_map(exp):
    add_map(exp)
    (figure,) = token_map_figures(collect([exp / "exp"]))
    assert figure.svg.count("<svg") == 4 and figure.svg.count("h0") == 4 * 40
    assert "neighbours of the same phone: 70% [60, 80], chance 20%" in figure.svg
    for stream in ("Semantic", "Acoustic"):
        assert f"<h4>{stream} tokens by speaker</h4>" in figure.svg
    assert "&lt;spk0&gt;" in figure.svg and "<spk0>" not in figure.svg
    # Every dot is inside of the drawing.
    places = [float(value) for dot in re.findall(r"M([\d.-]+ [\d.-]+)h0", figure.svg) for value in dot.split()]
    assert 0 < min(places) and max(places) < 300
    # Some hundred kilobytes would be too much for thousands of points.
    assert len(figure.svg) < 4 * 40 * 20 + 6000


def test_one_speaker_is_not_coloured(exp):
    add_map(exp, speakers=1)
    (figure,) = token_map_figures(collect([exp / "exp"]))
    assert figure.svg.count("<svg") == 2 and "by speaker" not in figure.svg


@pytest.mark.parametrize("change", ["test_set", "streams", "points", "text"])
def test_damaged_map(exp, change, one_line):
    path = add_map(exp)
    content = json.loads(path.read_text())
    if change == "points":
        content["streams"]["semantic"]["points"].pop()
    else:
        content[change] = "other"
    path.write_text("{" if change == "text" else json.dumps(content))
    one_line("test.json", token_map_figures, collect([exp / "exp"]))


def history(*parts):
    """Epochs, each with the statistics of its training."""
    return {"epochs": [{"epoch": n, "train": part, "valid": {"loss": 1.0}} for n, part in enumerate(parts, 1)]}


def test_the_epoch_is_marked_in_which_the_discriminator_joins():
    alone, together = {"loss": 2.0, "mel_distance": 1.0}, {"loss": 3.0, "mel_distance": 0.9, "discriminator_loss": 2.0}
    results = Results(histories={"late": history(alone, alone, together), "first": history(together, together)})
    first, late = curve_figures(results)
    assert texts(late.svg).count("discriminator joins") == 2 and "discriminator joins" not in texts(first.svg)
    assert "mel distance" in texts(late.svg) and "padded" in late.caption
    assert "padded" not in curve_figures(Results(histories={"ssl": history({"loss": 1.0})}))[0].caption
