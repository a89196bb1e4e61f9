# Copyright 2026 The hasrd authors
# Apache-2.0
"""Corpora of any form: what is found, what is left out, and the audio that is written, read back by other tools."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from hasrd.bin.prepare import main
from hasrd.data.corpora.recording import archive_part
from hasrd.data.kaldi import DataDir
from hasrd.data.validate import validate
from hasrd.errors import UserError, run_main

soundfile = pytest.importorskip("soundfile")

ALL = ["train", "valid", "test"]


def tone(frequency: float, seconds: float = 1.0, rate: int = 16000) -> np.ndarray:
    return 0.4 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def frequency_of(path: str) -> tuple[float, int]:
    """The loudest frequency of a file in Hz, and its rate."""
    wave, rate = soundfile.read(path)
    assert wave.ndim == 1
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * rate / len(wave)), rate


def prepare(tmp_path: Path, *words: object) -> dict[str, DataDir]:
    """The sets that `hasrd prepare` makes; a model's stage 1 accepts them."""
    out = tmp_path / "data"
    main([*map(str, words), "--out", str(out), "--download_dir", str(tmp_path / "downloads")])
    return {name: DataDir.load(out / name) for name in ALL if (out / name).is_dir()}


def everything(sets: dict[str, DataDir], table: str) -> dict[str, str]:
    return {name: value for data in sets.values() for name, value in data.table(table).items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six speakers with two clips each, with texts beside them."""
    root = tmp_path / "corpus"
    for speaker in range(6):
        for clip in range(2):
            path = root / f"s{speaker}" / f"clip {clip}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(300 + 100 * speaker), 16000)
            path.with_suffix(".txt").write_text(f"Clip, number {speaker + 1}{clip + 1}.\n")
    return root


def test_a_folder_with_speakers(folder, tmp_path, capsys):
    pytest.importorskip("num2words")
    sets = prepare(tmp_path, "--from", "folder", "--root", folder, "--lang", "en")
    assert [len(sets[name].wavs) for name in ALL] == [8, 2, 2]
    speakers = [set(data.table("utt2spk").values()) for data in sets.values()]
    assert [len(names) for names in speakers] == [4, 1, 1] and len(set.union(*speakers)) == 6
    assert everything(sets, "text")["s2-clip_0"] == "CLIP NUMBER THIRTY ONE"
    # What fits is read where it is.
    assert everything(sets, "wav.scp")["s2-clip_0"] == str(folder / "s2/clip 0.wav")
    assert not (tmp_path / "downloads").exists()
    validate([data.path for data in sets.values()], 16000, 784, check_audio=True)
    assert "no speaker is in two sets" in capsys.readouterr().out


def test_parts_are_sets(folder, tmp_path):
    for name, speakers in {"dev": [0], "eval": [1, 2], "tr": [3, 4, 5]}.items():
        for speaker in speakers:
            (folder / name).mkdir(exist_ok=True)
            (folder / f"s{speaker}").rename(folder / name / f"s{speaker}")
    sets = prepare(tmp_path, "folder", "--root", folder, "--train", "tr", "--valid", "dev", "--test", "eval")
    assert {name: set(data.table("utt2spk").values()) for name, data in sets.items()} == {
        "train": {"s3", "s4", "s5"}, "valid": {"s0"}, "test": {"s1", "s2"},
    }  # fmt: skip


@pytest.mark.parametrize("rate, fs", [(44100, "16k"), (8000, "24000"), (48000, "8k"), (16000, "44.1k")])
def test_rates_channels_and_one_voice(tmp_path, rate, fs, capsys):
    root = tmp_path / "corpus"
    root.mkdir()
    lines = []
    for clip in range(40):
        wave = np.stack([tone(500 + 20 * clip, 0.5, rate), np.zeros(rate // 2)], axis=1)
        soundfile.write(root / f"c{clip:02d}.ogg", wave, rate)
        # Two clips of each text.
        lines.append(f"c{clip:02d}\ttext of {'abcdefghijklmnopqrst'[clip // 2]}")
    (root / "metadata.tsv").write_text("file\ttext\n" + "\n".join(lines))
    words = ("folder", "--root", root, "--speaker", "one", "--fs", fs, "--valid_share", 0.1, "--min_samples", 100)
    sets = prepare(tmp_path, *words)
    target = round(float(fs.removesuffix("k")) * (1000 if "k" in fs else 1))
    texts = [set(data.table("text").values()) for data in sets.values()]
    assert len(set.union(*texts)) == sum(map(len, texts)) == 20 and all(texts)
    for name, path in everything(sets, "wav.scp").items():
        found, found_rate = frequency_of(path)
        assert found_rate == target and abs(found - (500 + 20 * int(name[1:]))) < 3
    counts = everything(sets, "utt2num_samples")
    assert all(int(count) == soundfile.info(everything(sets, "wav.scp")[name]).frames for name, count in counts.items())
    validate([data.path for data in sets.values()], target, 100, single_speaker=True, check_audio=True)
    assert "--single_speaker true" in capsys.readouterr().out
    # A second run writes no audio again; a changed file of the corpus does.
    times = {path: Path(path).stat().st_mtime_ns for path in everything(sets, "wav.scp").values()}
    soundfile.write(root / "c07.ogg", tone(2000, 0.5, rate), rate)
    again = everything(prepare(tmp_path, *words), "wav.scp")
    changed = [name for name, path in again.items() if Path(path).stat().st_mtime_ns != times[path]]
    assert changed == ["c07"] and abs(frequency_of(again["c07"])[0] - 2000) < 3


def test_the_report_comes_before_anything_is_written(folder, tmp_path, capsys):
    soundfile.write(folder / "s0/short.wav", tone(300, 0.03), 16000)
    soundfile.write(folder / "s0/long.wav", tone(300, 3), 16000)
    for name, text in {"short": "a", "long": "b", "clip 0": "10 %"}.items():
        (folder / f"s0/{name}.txt").write_text(text)
    (folder / "s1/clip 1.txt").unlink()
    (folder / "s2/clip 1.wav").write_bytes(b"")
    words = ("folder", "--root", folder, "--max_wav_duration", 2)
    with pytest.raises(SystemExit, match=r"(?s)clip 1.wav: empty file.*drop_bad") as error:
        run_main(lambda: prepare(tmp_path, *words, "--dry_run"))
    assert "Traceback" not in str(error.value)
    assert prepare(tmp_path, *words, "--drop_bad", "true", "--dry_run") == {}
    shown = capsys.readouterr().out
    for reason in (
        "shorter than one token",
        "longer than 2 s",
        "no transcript",
        "transcript: the sign %",
        "empty file",
    ):
        assert f"      1  {reason}" in shown, reason
    assert "left out: 5" in shown and "nothing was written" in shown
    assert not (tmp_path / "data").exists() and not (tmp_path / "downloads").exists()
    sets = prepare(tmp_path, *words, "--drop_bad", "true", "--require_text", "false")
    assert "s1-clip_1" in everything(sets, "text")
    assert len((tmp_path / "data/left_out").read_text().splitlines()) == 4


TABLES = {
    "metadata.csv": "a|It is 1.|It is one.\nb|Two|Two words\nc|Three|Three words\n",
    "txt.done.data": '( a "It is one." )\n( b "Two words" )\n( c "Three words" )\n',
    "text": "a It is one\nb Two words\nc Three words\n",
    "metadata.tsv": "client_id\tpath\tsentence\nx y\ta.wav\tIt is one.\nz\tb.wav\tTwo words\nu\tc.wav\tThree words\n",
    "clips.csv": 'file_name,transcription\na.wav,"It is, one"\nb.wav,Two words\nsub/../c.wav,x\n',
}


@pytest.mark.parametrize("name", list(TABLES)[:4])
def test_tables_of_transcripts(tmp_path, name):
    root = tmp_path / "corpus"
    root.mkdir()
    for clip in "abc":
        soundfile.write(root / f"{clip}.wav", tone(300), 16000)
    (root / name).write_text(TABLES[name])
    sets = prepare(tmp_path, "folder", "--root", root)
    assert everything(sets, "text") == {"a": "IT IS ONE", "b": "TWO WORDS", "c": "THREE WORDS"}
    speakers = {"a": "x_y", "b": "z", "c": "u"} if name == "metadata.tsv" else {clip: clip for clip in "abc"}
    assert everything(sets, "utt2spk") == speakers


def test_a_line_without_audio_is_named(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    for clip in "abc":
        soundfile.write(root / f"{clip}.wav", tone(300), 16000)
    (root / "clips.csv").write_text(TABLES["clips.csv"])
    with pytest.raises(UserError, match=r"clips.csv:4: 'sub/../c.wav': no such audio file"):
        prepare(tmp_path, "folder", "--root", root, "--transcripts", "clips.csv")
    with pytest.raises(UserError, match="--transcripts no.tsv: no such file"):
        prepare(tmp_path, "folder", "--root", root, "--transcripts", "no.tsv")


def kaldi(root: Path, wavs: dict[str, str], **tables: str) -> Path:
    root.mkdir(parents=True)
    (root / "wav.scp").write_text("".join(f"{name} {path}\n" for name, path in wavs.items()))
    for name, content in tables.items():
        (root / name).write_text(content)
    return root


def test_kaldi_segments_and_archives(tmp_path):
    """Archives as Kaldi's wav-copy and kaldiio write them, and segments of both."""
    kaldiio = pytest.importorskip("kaldiio")
    steps = np.concatenate([tone(400 + 200 * step, 1) for step in range(6)])
    waves = {f"r{i}": (16000, (steps * 32767).astype(np.int16)) for i in range(2)}
    kaldiio.save_ark(str(tmp_path / "a.ark"), waves, scp=str(tmp_path / "a.scp"))
    kaldiio.save_ark(str(tmp_path / "b.ark"), {"r2": waves["r0"][::-1]}, scp=str(tmp_path / "b.scp"),
                     write_function="soundfile")  # fmt: skip
    soundfile.write(tmp_path / "r3.flac", steps, 16000)
    entries = dict(line.split(" ", 1) for name in "ab" for line in (tmp_path / f"{name}.scp").read_text().splitlines())
    segments, texts, speakers = "", "", ""
    for recording in ("r0", "r1", "r2", "r3"):
        for step in range(6):
            segments += f"{recording}-{step} {recording} {step + 0.1} {step + 0.9}\n"
            texts += f"{recording}-{step} step {'abcdef'[step]}\n"
            speakers += f"{recording}-{step} {recording}\n"
    root = kaldi(tmp_path / "kaldi", {**entries, "r3": str(tmp_path / "r3.flac")}, segments=segments, text=texts,
                 utt2spk=speakers)  # fmt: skip
    sets = prepare(tmp_path, "--from", "kaldi", "--root", root)
    found = everything(sets, "wav.scp")
    assert len(found) == 24
    for name, path in found.items():
        assert abs(frequency_of(path)[0] - (400 + 200 * int(name[-1]))) < 3
        assert soundfile.info(path).frames == 12800
    assert [len(set(data.table("utt2spk").values())) for data in sets.values()] == [2, 1, 1]


def test_kaldi_runs_no_command_and_unpickles_nothing(tmp_path, capsys):
    kaldiio = pytest.importorskip("kaldiio")
    marker = tmp_path / "ran"
    for function, name in (("pickle", "p"), ("numpy", "n")):
        kaldiio.save_ark(str(tmp_path / f"{name}.ark"), {"u": np.zeros(9)}, scp=str(tmp_path / f"{name}.scp"),
                         write_function=function)  # fmt: skip
    kaldiio.save_ark(str(tmp_path / "m.ark"), {"u": np.zeros((3, 4), np.float32)}, scp=str(tmp_path / "m.scp"))
    entries = {name: (tmp_path / f"{name}.scp").read_text().split(" ", 1)[1].strip() for name in "pnm"}
    soundfile.write(tmp_path / "good.wav", tone(300), 16000)
    root = kaldi(tmp_path / "kaldi", {**entries, "c": f"touch {marker} |", "d": f"| touch {marker}", "e": f"{marker}:5",
                                      "good": str(tmp_path / "good.wav")},
                 segments="s good 0 9\nt good 0.5 0.2\nu nobody 0 1\nv good x 1\nw good 0 -1\n")  # fmt: skip
    with pytest.raises(UserError) as error:
        prepare(tmp_path, "kaldi", "--root", root, "--require_text", "false")
    text = str(error.value)
    for number in (1, 2, 3):
        assert f"wav.scp:{number}: " in text and "matrices have no sample rate" in text
    assert text.count("is a command, not a file") == 2 and "no such archive" in text
    assert "segments:3: recording 'nobody' has no line" in text and "segments:4: 'v good x 1' is not" in text
    assert not marker.exists() and not (tmp_path / "data").exists()
    with pytest.raises(UserError, match="the file ends before|no WAV"):
        (tmp_path / "cut.ark").write_bytes(b"u RIFF\xff\x00\x00\x00WAVE")
        archive_part(f"{tmp_path}/cut.ark:2").content()


@pytest.fixture
def lhotse_sets(tmp_path):
    lhotse = pytest.importorskip("lhotse")
    recordings, supervisions = [], []
    for index in range(3):
        path = tmp_path / f"rec{index}.flac"
        left, right = (np.concatenate([tone(f + 300 * index), tone(f + 100 + 300 * index)]) for f in (400, 600))
        soundfile.write(path, np.stack([left, right], 1), 16000)
        recordings.append(lhotse.Recording.from_file(path))
        for channel in range(2):
            for part in range(2):
                supervisions.append(
                    lhotse.SupervisionSegment(
                        id=f"u{index}{channel}{part}", recording_id=f"rec{index}", start=part, duration=1.0,
                        channel=channel, text="ab"[part], speaker=f"s{index}{channel}", language="en",
                    )
                )  # fmt: skip
    return lhotse, lhotse.RecordingSet.from_recordings(recordings), lhotse.SupervisionSet.from_segments(supervisions)


def expected(name: str) -> float:
    index, channel, part = map(int, name[1:])
    return 400 + 300 * index + 200 * channel + 100 * part


@pytest.mark.parametrize("form", ["pair", "cuts", "file", "shar"])
def test_lhotse(tmp_path, lhotse_sets, form):
    lhotse, recordings, supervisions = lhotse_sets
    root = tmp_path / "manifests"
    root.mkdir()
    cuts = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
    if form == "pair":
        recordings.to_file(root / "my_recordings_train.jsonl.gz")
        supervisions.to_file(root / "my_supervisions_train.jsonl.gz")
    elif form == "shar":
        (root / "train").mkdir()
        cuts.trim_to_supervisions(keep_overlapping=False).to_eager().to_shar(
            str(root / "train"), fields={"recording": "flac"}, shard_size=5
        )
    else:
        cuts.to_file(root / "cuts_train.jsonl.gz")
    words = ["--root", root / "cuts_train.jsonl.gz"] if form == "file" else ["--root", root]
    sets = prepare(tmp_path, "--from", "lhotse", *words)
    found = everything(sets, "wav.scp")
    assert len(found) == 12 and everything(sets, "text")["u000"] == "A"
    for name, path in found.items():
        assert abs(frequency_of(path)[0] - expected(name)) < 3, name
    assert everything(sets, "utt2spk")["u210"] == "s21"


def test_lhotse_runs_no_command(tmp_path, lhotse_sets):
    lhotse, recordings, supervisions = lhotse_sets
    cuts = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
    cuts.to_file(tmp_path / "cuts.jsonl.gz")
    with gzip.open(tmp_path / "cuts.jsonl.gz", "rt") as file:
        lines = [json.loads(line) for line in file]
    marker = tmp_path / "ran"
    lines[0]["recording"]["sources"] = [{"type": "command", "channels": [0, 1], "source": f"touch {marker}"}]
    bad = tmp_path / "bad.jsonl"
    bad.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UserError, match="its audio is of the type command"):
        prepare(tmp_path, "lhotse", "--root", bad)
    bad.write_text("{}\n")
    with pytest.raises(UserError, match="bad.jsonl: "):
        prepare(tmp_path, "lhotse", "--root", bad)
    assert not marker.exists()


@pytest.mark.parametrize("form", ["disk", "parquet"])
def test_hugging_face(tmp_path, form):
    datasets = pytest.importorskip("datasets")
    splits = {}
    for split, clips in {"train": 6, "test": 2}.items():
        rows = []
        for clip in range(clips):
            buffer = io.BytesIO()
            soundfile.write(buffer, tone(400 + 50 * clip, 1, 22050), 22050, format="WAV")
            audio = {"bytes": buffer.getvalue(), "path": None}
            speaker = clip // 2 + 10 * (split == "test")
            sentence = f"clip {'abcdef'[clip]}"
            rows.append({"id": f"{split}/{clip}", "audio": audio, "sentence": sentence, "speaker_id": speaker})
        table = datasets.Dataset.from_list(rows)
        splits[split] = table.cast_column("audio", datasets.Audio(decode=False))
    root = tmp_path / "hub"
    if form == "disk":
        datasets.DatasetDict(splits).save_to_disk(str(root))
    else:
        (root / "data").mkdir(parents=True)
        for split, table in splits.items():
            table.to_parquet(str(root / "data" / f"{split}-00000-of-00001.parquet"))
    sets = prepare(
        tmp_path, "--from", "huggingface", "--root", root, "--train", "train", "--test", "test", "--nj", 1
    )  # fmt: skip
    assert {name: len(data.wavs) for name, data in sets.items()} == {"train": 4, "valid": 2, "test": 2}
    for name, path in everything(sets, "wav.scp").items():
        assert frequency_of(path)[1] == 16000 and abs(frequency_of(path)[0] - (400 + 50 * int(name[-1]))) < 3
    with pytest.raises(UserError, match="--text_column words: .* has the columns"):
        prepare(tmp_path, "huggingface", "--root", root, "--text_column", "words")
    with pytest.raises(UserError, match="part 'dev' is not in the corpus: it has test, train"):
        prepare(tmp_path, "huggingface", "--root", root, "--train", "dev")
