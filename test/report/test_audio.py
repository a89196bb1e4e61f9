# Copyright 2026 The hasrd authors
# Apache-2.0
import base64
import io

import numpy as np
import pytest
import soundfile
from extras import add_codec, add_conversion

from hasrd.data.kaldi import read_table, write_table
from hasrd.report import audio
from hasrd.report.audio import _spectrogram, examples
from hasrd.report.collect import collect


def make(root, number=4):
    return examples([root / "exp"], root / "data", collect([root / "exp"]), ["test"], number)


def labels(example):
    return {group.title: [clip.label for clip in group.clips] for group in example.groups}


def test_one_codec_with_conversion(exp):
    add_conversion(exp)
    first = make(exp)[0]
    assert labels(first) == {
        "": ["Original", "Combined", "Semantic only", "Acoustic only", "Voice conversion", "Its target's voice"]
    }
    original, *_, converted, target = first.groups[0].clips
    assert original.heard == "original of utt0" and converted.heard == "conversion of utt0"
    # The target's voice is a recording of another utterance.
    assert target.note == "utt1" and target.heard == "original of utt1"
    wave, _ = soundfile.read(io.BytesIO(base64.b64decode(target.audio.split(",")[1])))
    assert (wave == soundfile.read(exp / "data/test/utt1.wav")[0]).all()
    assert all(clip.audio and clip.picture.startswith("data:image/png") for clip in first.groups[0].clips)


def test_several_codecs_side_by_side(exp):
    """Those with streams first, those from elsewhere last; a recording is embedded once."""
    add_codec(exp, "codec_a_peer", peer=True)
    add_codec(exp, "codec_train_codec_dac_01234567")
    first = make(exp)[0]
    assert labels(first) == {
        "All streams of each codec": ["Original", "small", "dac", "a_peer"],
        "small, stream by stream": ["Semantic only", "Acoustic only"],
    }
    assert [clip.note for clip in first.groups[0].clips] == ["", "", "", "another's codec"]
    clips = [clip.audio for group in first.groups for clip in group.clips]
    assert sum(clip == clips[0] for clip in clips) == 1


def test_codecs_of_one_name_are_not_mixed(exp):
    add_codec(exp, "one/codec_dac")
    other = add_codec(exp, "two/codec_dac") / "tokens/test/combined/wav.scp"
    write_table(other, {"utt0": read_table(other)["utt1"]})
    first = make(exp)[0]
    assert labels(first)["All streams of each codec"] == ["Original", "small", "one/codec_dac", "two/codec_dac"]
    assert first.groups[0].clips[2].audio != first.groups[0].clips[3].audio


def test_what_is_missing_is_shown_and_other_utterances_are_preferred(exp):
    codec = add_codec(exp, "codec_dac") / "tokens/test/combined/wav.scp"
    table = read_table(codec)
    write_table(codec, {utt: table[utt] for utt in ("utt1", "utt3")})
    assert [example.utterance for example in make(exp, 2)] == ["utt1", "utt3"]
    write_table(codec, {"none": table["utt0"]})
    for example in make(exp):
        assert [bool(clip.audio) for clip in example.groups[0].clips] == [True, True, False]


def test_the_page_stays_small(exp, monkeypatch):
    assert len(make(exp)) == 4 and make(exp, 0) == []
    lengths = [example.seconds for example in make(exp)]
    monkeypatch.setattr(audio, "BUDGET", 4 * sum(lengths[:2]) + 0.1)
    assert len(make(exp)) == 2
    monkeypatch.undo()
    size = sum(len(clip.audio) + len(clip.picture) for clip in make(exp)[0].groups[0].clips)
    monkeypatch.setattr(audio, "BYTES", size)
    assert len(make(exp)) == 1


def test_short_utterances_make_room_for_many_codecs(exp, monkeypatch):
    """The shorter ones of a set are taken where all versions of the longer ones would be too much."""
    monkeypatch.setattr(audio, "ROOM", 1.5)
    lengths = {example.utterance: example.seconds for example in make(exp)}
    shortest = sorted(lengths, key=lengths.get)[:2]
    monkeypatch.setattr(audio, "BUDGET", 2 * 4 * max(lengths[utt] for utt in shortest) + 0.1)
    assert {example.utterance for example in make(exp, 2)} == set(shortest)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_spectrograms_have_one_scale_at_every_rate(rate):
    """A tone of 2 kHz is at a quarter of the height: the picture goes to 8 kHz."""
    from PIL import Image

    tone = 0.5 * np.sin(2 * np.pi * 2000 * np.arange(rate) / rate)
    picture = Image.open(io.BytesIO(_spectrogram(tone, rate)))
    level = np.asarray(picture.convert("L"), dtype=float).mean(1)
    assert picture.height == 64 and abs(level.argmax() - 47.5) <= 1
    assert Image.open(io.BytesIO(_spectrogram(np.zeros(3), rate))).height == 64
