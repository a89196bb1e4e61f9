# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the page of `hasrd demo` calls, without a browser."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

import hasrd
from hasrd.demo.listen import MAX_SECONDS, Abx, Choice, Listener, choice_of
from hasrd.errors import UserError


@pytest.fixture(scope="module")
def listener(codec_dir):
    return Listener({"small": hasrd.load(codec_dir)})


@pytest.fixture
def recordings(tmp_path):
    """Two recordings of other rates and channels than the model's."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / "one.wav", tmp_path / "two.flac"]
    soundfile.write(paths[0], rng.uniform(-0.3, 0.3, (22050, 2)), 22050)
    soundfile.write(paths[1], rng.uniform(-0.3, 0.3, 24000), 16000)
    return [str(path) for path in paths]


def test_what_is_heard_is_what_the_model_decodes(listener, recordings):
    model = listener.models["small"]
    whole = listener.whole("small")
    (rate, wave), text = listener.hear(whole, recordings[1])
    expected = model.decode(model.encode(soundfile.read(recordings[1], dtype="float32")[0], 16000))[0].numpy()
    expected = expected / max(1, abs(expected).max())
    # 16 bits.
    assert rate == 16000 and wave.dtype == np.int16 and np.abs(wave / 32767 - expected).max() < 2 / 32767
    assert f"{model.num_codebooks} codebooks" in text and "bit/s" in text
    # Of another rate and two channels: as long as it lasts.
    assert len(listener.hear(whole, recordings[0])[0][1]) == 16000


def test_muting_and_fewer_codebooks_change_it(listener, recordings):
    whole = listener.whole("small")
    sounds = [listener.hear(whole, recordings[1])[0][1]]
    for choice in (Choice("small", ("semantic",), whole.codebooks), Choice("small", ("acoustic",), whole.codebooks),
                   Choice("small", whole.streams, 2)):  # fmt: skip
        sound = listener.hear(choice, recordings[1])[0][1]
        assert len(sound) == len(sounds[0]) and all(not np.array_equal(sound, other) for other in sounds)
        sounds.append(sound)
    for streams, books in (((), whole.codebooks), (("acoustic",), 1)):
        with pytest.raises(UserError, match="nothing is left to hear"):
            listener.hear(Choice("small", streams, books), recordings[1])


def test_exchange_of_voices(listener, recordings):
    (_, forth), (_, back) = listener.swap("small", *recordings)
    assert (len(forth), len(back)) == (16000, 24000)
    own = listener.hear(listener.whole("small"), recordings[0])[0][1]
    assert not np.array_equal(forth, own)
    # With itself, nothing but the loudness's rounding changes.
    same = listener.swap("small", recordings[0], recordings[0])[0][1]
    assert len(same) == len(own)


def test_tokens_are_saved_as_hasrd_encode_does(listener, recordings):
    model = listener.models["small"]
    path = listener.save(Choice("small", ("semantic",), model.num_codebooks), recordings[0])
    tokens = model.load_tokens(path)
    assert set(tokens.stream_names) == {"semantic"} and path.endswith("one.npz")
    assert torch.equal(tokens.codes, listener.tokens("small", recordings[0]).select(["semantic"]).codes)


def test_the_picture_shows_time_and_what_is_muted(listener, recordings):
    figure = listener.picture(Choice("small", ("semantic",), 9), recordings[1])
    above, below = figure.axes
    assert above.get_xlim() == (0, 1.5) and above.get_ylim() == (0, 8)
    shown = below.images[0].get_array()
    tokens = listener.tokens("small", recordings[1])
    assert shown.shape[:2] == tokens.codes.shape[:0:-1]
    muted = [name != "semantic" for name in tokens.stream_names]
    assert np.allclose(shown[muted], 0.93) and shown[~np.array(muted)].std() > 0.1
    labels = [label.get_text() for label in below.get_yticklabels()]
    assert labels == ["semantic", "acoustic"]


def test_what_cannot_be_heard_is_one_line(listener, tmp_path, refused):
    whole = listener.whole("small")
    assert refused(listener.hear, whole, None) == "record or drop a file first"
    (tmp_path / "text.wav").write_text("no audio")
    assert "not an audio file" in refused(listener.hear, whole, str(tmp_path / "text.wav"))
    soundfile.write(tmp_path / "long.wav", np.zeros(int(8000 * (MAX_SECONDS + 1))), 8000)
    assert "61 s, at most 60 s" in refused(listener.hear, whole, str(tmp_path / "long.wav"))
    assert refused(Abx().answer, "A") == "listen to X first"


def test_a_choice_stays_within_the_model(listener):
    whole = listener.whole("small")
    assert choice_of(listener, "small", ["acoustic", "semantic", "other"], 99) == whole
    assert choice_of(listener, "small", [], 0) == Choice("small", (), 1)


def test_the_listening_test_counts_and_says_how_sure_it_is():
    rng = np.random.default_rng(0)
    test, drawn = Abx(), []
    for _ in range(10):
        test = test.next(rng)
        drawn.append(test.x)
        test = test.answer("A")
    assert set(drawn) == {"A", "B"} and sum(test.answers) == drawn.count("A")
    binomtest = pytest.importorskip("scipy.stats").binomtest
    for right in range(11):
        answers = Abx(tuple(k < right for k in range(10)))
        assert answers.p_value == pytest.approx(binomtest(right, 10, alternative="greater").pvalue)
    text = str(Abx((False,) * 2 + (True,) * 8))
    assert text.startswith("Right. 8 of 10 are right") and "0.055" in text
