# Copyright 2026 The hasrd authors
# Apache-2.0
"""The table of the package's readers for ci/fuzz.py: what makes valid files, which are damaged, what reads them.

`test/test_fuzz.py` sees to it that every module of the package that opens files is named by a row here, or in `OTHERS`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import struct
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping

import numpy as np

# Modules that open files, but read none that others write.
OTHERS = {
    "hasrd/data/corpora/common.py": "audio that this package wrote; damage counts as none",
    "hasrd/jobs/dask_workers.py": "what this package has sent to its own workers",
    "hasrd/bench/scale.py": "files of the repository",
    "hasrd/recipe/plan.py": "configurations through hasrd.config, as row yaml; a layer's number that was written here",
    "hasrd/train/origin.py": "configurations through hasrd.config, as row yaml",
    "hasrd/errors.py": "/dev/null",
    "hasrd/train/checkpoint.py": "writes",
    "hasrd/report/write.py": "text of a person's own, shown as it is; its errors are one line (test/bin)",
    "hasrd/units/formats/speechlm.py": "what it has just written",
    "hasrd/data/download.py": "from the network: test/data/test_download.py has a server that misbehaves",
    "hasrd/jobs/atomic.py": "flushes what was written",
    "hasrd/jobs/digest.py": "hashes content, whatever it is",
    "hasrd/metrics/ecapa_similarity.py": "hashes, and another package's loader, whose errors are caught whole",
    "hasrd/report/audio.py": "audio that this package wrote, checked by data/audio before",
    "hasrd/machine.py": "/proc",
    "hasrd/bench/memory.py": "/proc",
    "hasrd/teacher/text.py": "another package's loader, whose errors are caught whole (test/teacher/test_text.py)",
    "hasrd/espnet/decoding.py": "weights of an own training, through ESPnet",
    "hasrd/bin/export_encoder.py": "weights of an own training",
    "hasrd/codec/masked_prediction.py": "weights of an own training",
    "hasrd/espnet/layer_choice.py": "weights of an own training",
    "hasrd/codec/semantic.py": "frames of its own chunks, through hasrd.arrays",
    "hasrd/teacher/cache.py": "embeddings of its own chunks, through hasrd.arrays; writes",
    "hasrd/metrics/scoring/audio.py": "values of its own chunks, through hasrd.config",
    "hasrd/codec/probe_inputs.py": "contents.json of its own, through hasrd.config; damage counts as none",
    "hasrd/codec/data_set.py": "a configuration through hasrd.config",
    "hasrd/data/file_lists.py": "copies pipes to files and back, whatever is in them",
    "hasrd/report/mapping.py": "codes.json, as row token_facts",
    "hasrd/models/card.py": "shows how speech is read, and reads none",
    "hasrd/report/card.py": "codes.json of its own, through hasrd.config",
    "hasrd/report/specification.py": "a file of the package",
    "hasrd/tasks/asr.py": "a configuration through hasrd.config",
    "hasrd/codec/token_dump.py": "a configuration through hasrd.config",
    "hasrd/espnet/ssl_encoder.py": "a configuration through hasrd.config, weights as row tensors",
    "hasrd/peers/peer.py": "config.json through hasrd.config, weights as row tensors",
    "hasrd/peers/hugging_face.py": "config.json through hasrd.config, then another package's loader, caught whole",
}


@dataclass(frozen=True)
class Reader:
    """One row.

    Attributes:
        make: Writes valid files into a new folder.
        files: Which of them are damaged (a glob).
        read: Reads what lies at a path of these.
        modules: The files of the package that read here.
    """

    make: Callable[[Path], None]
    files: str
    read: Callable[[Path], Any]
    modules: tuple[str, ...]

    def targets(self, folder: Path) -> list[Path]:
        """The files to damage."""
        return sorted(folder.glob(self.files))


def texts(**files: str) -> Callable[[Path], None]:
    """Make files of text; `_dot_` in a name stands for a dot."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name.replace("_dot_", ".")).write_text(text, encoding="utf-8")

    return make


CONFIG = """encoder: cnn_conformer  # a comment
encoder_conf: {num_blocks: 2, dropout: 1e-1, names: [a, 'b', "c"]}
optim_conf: &conf
  lr: 2.0e-3
  betas: [0.9, 0.98]
optim2_conf: *conf
text: |
  two
  lines
max_epoch: 3
none: null
yes: true
date: 2026-11-26
"""
SCORE = {
    "measure": "mel", "system": "combined", "test_set": "test", "mean": 1.5, "ci95": [1.0, 2.0], "count": 2,
    "unit": "dB", "higher_is_better": False, "details": {"fingerprint": "0a", "run": ""}, "versions": {"numpy": "2"},
}  # fmt: skip
GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.0
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.0
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "a"
        intervals [2]:
            xmin = 0.5
            xmax = 1.0
            text = "b"
"""
SHORT_GRID = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1.0\n<exists>\n1\n"IntervalTier"\n"words"\n' + (
    '0\n1.0\n2\n0\n0.5\n"a"\n0.5\n1.0\n"b"\n'
)
CHAPTER = 'u-1 ",A,,B," "0.1,0.4,0.5,0.9,1.0"\nu-2 "A" "0.5"\n'
CTM = "u-1 1 0.00 0.40 a\nu-1 1 0.40 0.50 b 0.9\nu-2 1 0.10 0.20 c\n"
PROMPTS = "; a comment\n\ufeffagent-alreadyon: Agent is already on.\nhello: [music] Hello world.\nhello: Hallo\n"
COPYRIGHT = "Format: x\n\nFiles: *\nLicense: CC-BY-SA-3.0\n\nFiles: en-*\nLicense: GPL-2+\n"


def _audio(folder: Path) -> None:
    import soundfile

    folder.mkdir(parents=True)
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 700)
    kinds = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "aiff": "PCM_24", "au": "FLOAT", "w64": "PCM_16"}
    for kind, subtype in {**kinds, "mp3": "MPEG_LAYER_III", "caf": "ALAC_16"}.items():
        soundfile.write(folder / f"a.{kind}", wave, 16000, format=kind.upper(), subtype=subtype)


def _read_audio(path: Path) -> None:
    from hasrd.data.audio import audio_info, read_audio

    audio_info(path)
    read_audio(path, 16000)


def _data_dir(folder: Path) -> None:
    texts(
        wav_dot_scp="u-1 a.wav\nu-2 b c.wav\n", text="u-1 hello world\nu-2\n", utt2spk="u-1 s\nu-2 s\n",
        utt2num_samples="u-1 16000\nu-2 32000\n", list="u-1\nu-2 more\n",
    )(folder)  # fmt: skip


def _read_data_dir(path: Path) -> None:
    from hasrd.data.kaldi import DataDir
    from hasrd.data.subset import read_list

    data = DataDir.load(path.parent)
    data.samples()
    read_list(path.parent / "list", data)


def _archives(folder: Path) -> None:
    from hasrd.data.archive import write_archive
    from hasrd.data.kaldi import write_table

    folder.mkdir(parents=True)
    chance = np.random.default_rng(0)
    for method in (None, 2, 3):
        path = folder / f"f{method}.ark"
        feats = {f"u-{size}": chance.standard_normal((size, 3)) for size in (1, 5)}
        write_table(folder / f"f{method}.scp", write_archive(path, path, feats.items(), method))
    codes = {f"u-{size}": chance.integers(0, 99, (size, 2)) for size in (1, 5)}
    write_table(folder / "codes.scp", write_archive(folder / "codes.ark", folder / "codes.ark", codes.items()))
    vectors = {f"u-{size}": chance.integers(0, 99, size) for size in (1, 5)}
    write_table(folder / "v.scp", write_archive(folder / "v.ark", folder / "v.ark", vectors.items()))


def _read_archive(path: Path) -> None:
    from hasrd.data.archive import read_archives, read_array, read_integers

    integers = path.stem in ("codes", "v")
    for _ in read_archives(path.with_suffix(".scp"), read_integers if integers else read_array):
        pass


def _text_codes(path: Path) -> None:
    from hasrd.metrics.scoring.tokens import check_range, read_codes

    for utterance, codes in read_codes(path, 1).items():
        check_range(path, utterance, codes, [100])


def _alignments(folder: Path) -> None:
    texts(words_dot_ctm=CTM, a_dot_alignment_dot_txt=CHAPTER)(folder)
    for number, (grid, encoding) in enumerate(((GRID, "utf-8"), (SHORT_GRID, "utf-8"), (GRID, "utf-16"))):
        (folder / f"u-{number}.TextGrid").write_bytes(grid.encode(encoding))


def _read_alignments(path: Path) -> None:
    from hasrd.data.alignments.importing import read_alignments

    read_alignments(path, {f"u-{number}": 16000 for number in range(3)}, 16000)


def _read_ctm(path: Path) -> None:
    from hasrd.data.alignments.tracks import load_ctm

    load_ctm(path, "words")


def _tar(folder: Path, name: str, mode: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / name, mode) as tar:
        for member, content in {"./part/a/1.txt": b"text", "./part/b.bin": bytes(300)}.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def _tars(folder: Path) -> None:
    for name, mode in {"a.tar": "w", "b.tar.gz": "w:gz", "c.tar.xz": "w:xz"}.items():
        _tar(folder, name, mode)


def _unpack(path: Path) -> None:
    from hasrd.data.unpack import unpack_tar

    target = path.parent / "target"
    try:
        unpack_tar(path, target, "part")
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _debs(folder: Path) -> None:
    _tar(folder, "data.tar", "w")
    content = (folder / "data.tar").read_bytes()
    for name, data in {"a": content, "b": gzip.compress(content)}.items():
        parts = {"debian-binary": b"2.0\n", "data.tar" + (".gz" if name == "b" else ""): data}
        with open(folder / f"{name}.deb", "wb") as file:
            file.write(b"!<arch>\n")
            for member, part in parts.items():
                file.write(f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(part):<10}`\n".encode())
                file.write(part + b"\n" * (len(part) % 2))


def _deb(path: Path) -> None:
    from hasrd.data.deb import read_deb

    read_deb(path)


def _prompts(folder: Path) -> None:
    texts(a_dot_txt=PROMPTS, copyright=COPYRIGHT)(folder)
    (folder / "a.g722").write_bytes(bytes(range(256)) * 4)


def _package_of_prompts(path: Path) -> None:
    from hasrd.data.corpora.asterisk import make_package

    root = "usr/share/asterisk/sounds/en"
    files = {
        f"{root}/agent-alreadyon.g722": (path.parent / "a.g722").read_bytes(),
        "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt": (path.parent / "a.txt").read_bytes(),
        "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz": gzip.compress(
            (path.parent / "a.txt").read_bytes()
        ),
        "usr/share/doc/asterisk-core-sounds-en-g722/copyright": (path.parent / "copyright").read_bytes(),
    }
    make_package("en", files, str(path))


def _kmeans(folder: Path) -> None:
    from hasrd.models.kmeans import save_kmeans

    folder.mkdir(parents=True)
    centroids = np.random.default_rng(0).standard_normal((8, 16))
    save_kmeans(folder / "kmeans.npz", centroids, {"layer": 1, "encoder_sha256": "0" * 64, "frames": 3})


def _load_kmeans(path: Path) -> None:
    from hasrd.models.kmeans import load_kmeans

    load_kmeans(path, "0" * 64)


def _statistics(folder: Path) -> None:
    folder.mkdir(parents=True)
    np.savez(folder / "feats_stats.npz", count=5, sum=np.ones(4), sum_square=np.full(4, 2.0))
    np.savez_compressed(folder / "packed.npz", count=5, sum=np.ones(4, np.float32), sum_square=np.full(4, 2.0))


def _global_norm(path: Path) -> None:
    from hasrd.frontend.normalize import GlobalNorm

    GlobalNorm.from_stats(path)


def _tokens(folder: Path) -> None:
    import torch

    from hasrd.codec.token_file import write_token_file
    from hasrd.codec.tokens import Tokens

    folder.mkdir(parents=True)
    codes = torch.arange(10).reshape(1, 5, 2) % 8
    tokens = Tokens(codes, torch.tensor([5]), torch.tensor([2560]), 31.25, ("semantic", "acoustic"), (8, 16))
    write_token_file(folder / "a.npz", tokens, 16000, "0" * 64)
    np.savez(folder / "b.npz", codes=np.arange(10).reshape(5, 2) % 8)


def _units(folder: Path) -> None:
    from hasrd.data.kaldi import DataDir
    from hasrd.units.export import export_units
    from hasrd.units.source import open_tokens

    folder.mkdir(parents=True)
    texts(text="u-1 1 1 5 7 7\nu-2 3 0 3 3\n")(folder / "tokens")
    texts(text="u-1 A B\nu-2 C\n", wav_dot_scp="u-1 a.wav\nu-2 b.wav\n", utt2spk="u-1 s\nu-2 s\n")(folder / "data")
    tokens = open_tokens(folder / "tokens", DataDir.load(folder / "data"), 8, 25.0)
    for name in ("text", "webdataset", "asr2"):
        export_units([tokens], folder / f"out/{name}", name, dedup=True)
    export_units([tokens], folder / "out/speechlm1", "speechlm1")
    export_units([tokens], folder / "out/joined", "text", bpe=14)


def _read_export(path: Path) -> None:
    from hasrd.units.export import read_export

    folder = path.parent
    while not (folder / "units.json").exists() and folder != folder.parent:
        folder = folder.parent
    for _ in read_export(folder):
        pass


def _token_set(folder: Path) -> None:
    from hasrd.data.archive import write_archive
    from hasrd.data.kaldi import write_table

    _codes(folder)
    codes = {"u-1": np.arange(10).reshape(5, 2) % 8, "u-2": np.zeros((1, 2), dtype=np.int64)}
    write_table(folder / "codes.scp", write_archive(folder / "codes.ark", folder / "codes.ark", codes.items()))


def _open_tokens(path: Path) -> None:
    from hasrd.units.source import open_tokens

    for _ in open_tokens(path.parent):
        pass


def _tokenizer() -> Any:
    global _TOKENIZER
    if _TOKENIZER is None:
        import torch
        from small_models import CODEC

        from hasrd.codec.build import build_modules
        from hasrd.codec.codec import Codec
        from hasrd.codec.tokenizer import Tokenizer

        conf = {**CODEC["quantizer_conf"], "semantic_layer": 1, "num_clusters": 8}
        codec = Codec(**build_modules({**CODEC, "quantizer_conf": conf})).eval()
        codec.quantizer.set_centroids(torch.ones(8, 16))
        _TOKENIZER = Tokenizer(codec, "0" * 64)
    return _TOKENIZER


_TOKENIZER: Any = None


def _load_tokens(path: Path) -> None:
    _tokenizer().decode(_tokenizer().load_tokens(path))


def _codes(folder: Path) -> None:
    facts = {"stream_names": ["semantic", "acoustic"], "codebook_sizes": [8, 16], "frame_rate": 31.25, "model": "0"}
    texts(codes_dot_json=json.dumps(facts), utt2num_samples="u-1 16000\nu-2 320\n")(folder)


def _archive_facts(path: Path) -> None:
    from hasrd.codec.decode_files import archive_facts

    archive_facts(path.with_name("codes.scp"), "0")


def _teacher(folder: Path) -> None:
    from hasrd.data.archive import write_archive
    from hasrd.data.kaldi import write_table
    from hasrd.data.targets import IGNORED, UNIT, UTTERANCE, WORD

    speech, text = folder / "speech", folder / "text"
    for kind in (speech, text):
        kind.mkdir(parents=True)
        np.savez(kind / "stats.npz", mean=np.ones(3), std=np.ones(3))
    feats = {"u-1": np.ones((9, 3)), "u-2": np.zeros((2, 3))}
    write_table(speech / "feats.scp", write_archive(speech / "feats.ark", speech / "feats.ark", feats.items()))
    facts = {"kind": "speech", "identity": "a", "size": 3, "frame_shift": 0.02, "first_centre": 0.01, "cached": True}
    (speech / "teacher.json").write_text(json.dumps({**facts, "teacher": "speech", "conf": {"source": "x"}}))
    np.save(text / "embeddings.npy", np.ones((2, 3), np.float32))
    units = [(0, 0, 0, UTTERANCE), (1, 0, 0.5, WORD), (-1, 0, 0, IGNORED)]
    np.save(text / "units.npy", np.array(units, UNIT))
    (text / "utt2units").write_text("u-1 0 2\nu-2 2 1\n")
    facts = {"kind": "text", "identity": "b", "size": 3, "languages": ["en"]}
    (text / "teacher.json").write_text(json.dumps(facts))


def _open_targets(path: Path) -> None:
    from hasrd.data.targets import open_targets

    targets = open_targets([path.parent], standardize=True)
    for utterance in ("u-1", "u-2"):
        targets(utterance, 0.0, 0.2)


def _latents(folder: Path) -> None:
    chunk = folder / "data/000000"
    chunk.mkdir(parents=True)
    np.save(chunk / "latents.npy", np.ones((5, 6), np.float16))
    (folder / "utt2latents").write_text("u-1 000000 0 3 1.5\nu-2 000000 3 2 0.25\n")
    facts = {"encoder_sha256": "a", "loudness": -16.0, "num_layers": 2, "size": 3, "frame_shift": 512}
    (folder / "latents.json").write_text(json.dumps(facts))


def _cut_latents(path: Path) -> None:
    from hasrd.codec.latent_cache import CachedLatents

    folder = path.parent if path.suffix != ".npy" else path.parents[2]
    latents = CachedLatents([folder])
    for utterance in ("u-1", "u-2"):
        latents.gain(utterance)
        latents(utterance, 1, 2)


def _read_score(path: Path) -> None:
    from hasrd.jobs.origin import Origin
    from hasrd.metrics.scores import read_rows, read_score, why_stale

    read_score(path.with_suffix(".json"))
    read_rows(path.with_suffix(".json"))
    why_stale(path.with_suffix(".json"), Origin({"k": 1}).record())


def _experiments(folder: Path) -> None:
    """As the report finds them."""
    scores = folder / "exp/codec/scores/test/combined"
    scores.mkdir(parents=True)
    (scores / "mel.json").write_text(json.dumps(SCORE))
    (scores / "mel.tsv").write_text("utt\tvalue\nu-1\t1\nu-2\t2\n")
    home = folder / "exp/codec"
    (home / "config.yaml").write_text("quantizer: hasrd\n")
    (home / "history.json").write_text(json.dumps({"epochs": [{"epoch": 1, "train": {"loss": 1.0}}]}))
    (home / "layer_weights.json").write_text(json.dumps({"asr": [0.5, 0.5]}))
    found = {"points": [[0.0, 1.0], [1.0, 0.5]]}
    for what in ("phone", "speaker"):
        found[what] = {"accuracy": 0.5, "chance": 0.2, "ci95": [0.4, 0.6]}
    token_map = {"test_set": "test", "phones": ["AH0", "S"], "speakers": ["a", "b"], "streams": {"semantic": found}}
    (home / "token_map").mkdir()
    (home / "token_map/test.json").write_text(json.dumps(token_map))


def _report(path: Path) -> None:
    from hasrd.report.collect import collect
    from hasrd.report.rows import languages_of_teacher
    from hasrd.report.token_map import token_map_figures

    folder = path
    while folder.name != "exp":
        folder = folder.parent
    token_map_figures(collect([folder]))
    languages_of_teacher(folder / "codec/config.yaml", "lexical")


def _compare(path: Path) -> None:
    from hasrd.report.compare import compare

    folder = path
    while folder.name != "codec":
        folder = folder.parent
    compare((folder, folder))


def _recogniser(path: Path) -> None:
    from hasrd.metrics.scoring.text import read_recogniser

    read_recogniser(path)


def _crops(path: Path) -> None:
    from hasrd.metrics.crop_agreement import read_crop_facts

    read_crop_facts(path)


def _encoder(folder: Path) -> None:
    from small_models import ENCODER

    from hasrd.codec.build import build_speech_encoder
    from hasrd.models.checkpoint import save_encoder

    folder.mkdir(parents=True)
    save_encoder(folder / "encoder.safetensors", ENCODER, build_speech_encoder(ENCODER))


def _load_encoder(path: Path) -> None:
    from hasrd.models.checkpoint import load_encoder
    from hasrd.models.configs import read_model_config

    load_encoder(path)
    read_model_config(path)


def _experiment(folder: Path) -> None:
    import torch
    import yaml
    from small_models import HAC

    from hasrd.codec.codec import Codec

    folder.mkdir(parents=True)
    states = {f"codec.{name}": value for name, value in Codec.from_config(HAC).state_dict().items()}
    (folder / "config.yaml").write_text(yaml.safe_dump(HAC))
    torch.save(states, folder / "latest.pth")


def _load_experiment(path: Path) -> None:
    from hasrd.models.load import load_codec

    load_codec(path.parent)


def _packed(folder: Path) -> None:
    from hasrd.models.package import pack

    _experiment(folder.with_name(f"{folder.name}-exp"))
    pack(folder.with_name(f"{folder.name}-exp"), folder)


def _load_packed(path: Path) -> None:
    import hasrd

    hasrd.load(path.parent)


def _load_weights(path: Path) -> None:
    """With the hash made right, so that the weights themselves are read."""
    from hasrd.config import read_yaml
    from hasrd.jobs.digest import sha256

    config = path.with_name("config.yaml")
    text = config.read_text(encoding="utf-8")
    hashed = text.replace(read_yaml(config)["model_sha256"], sha256(path))
    config.write_text(hashed, encoding="utf-8")
    _load_packed(path)


def _tensors(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    tensors = {"a.weight": torch.ones(3, 4), "b": torch.arange(5), "c": torch.zeros(2, dtype=torch.bfloat16)}
    torch.save(tensors, folder / "a.pth")
    torch.save(tensors, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(tensors, folder / "a.safetensors")


def _read_tensors(path: Path) -> None:
    from hasrd.models.weights import read_weights

    read_weights(path)


def _whisper(folder: Path) -> None:
    """A Whisper of CTranslate2 with one block of four dimensions, and the configuration of transformers."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    block = {"self_attention/linear_0": (12, 4), "self_attention/linear_1": (4, 4), "ffn/linear_0": (16, 4)}
    block["ffn/linear_1"] = (4, 16)
    shapes = {"conv1/weight": (4, 80, 3), "conv1/bias": (4,), "conv2/weight": (4, 4, 3), "conv2/bias": (4,)}
    for name, shape in block.items():
        shapes |= {f"layer_0/{name}/weight": shape, f"layer_0/{name}/bias": shape[:1]}
    for name in ("layer_norm", "layer_0/self_attention/layer_norm", "layer_0/ffn/layer_norm"):
        shapes |= {f"{name}/gamma": (4,), f"{name}/beta": (4,)}
    folder.mkdir(parents=True)
    with open(folder / "model.bin", "wb") as file:
        file.write(struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(shapes) + 1))
        file.write(text("encoder/num_heads") + struct.pack("<BBIh", 0, 2, 2, 2))
        for name, shape in shapes.items():
            data = np.zeros(shape, np.float16)
            file.write(text(f"encoder/{name}") + struct.pack(f"<B{len(shape)}I", len(shape), *shape))
            file.write(struct.pack("<BI", 4, data.nbytes) + data.tobytes())


def _load_whisper(path: Path) -> None:
    from hasrd.models.import_whisper import load_whisper

    load_whisper(path.parent)


def _wav2vec2(folder: Path) -> None:
    """Configurations of all kinds, without a tensor that would be theirs."""
    import torch

    for kind in ("wav2vec2", "hubert", "wavlm", "data2vec-audio"):
        texts(
            config_dot_json=json.dumps({
                "model_type": kind, "conv_dim": [8, 8], "conv_kernel": [10, 3], "conv_stride": [5, 2],
                "conv_bias": False, "feat_extract_norm": "group", "hidden_size": 16, "num_attention_heads": 2,
                "intermediate_size": 32, "num_hidden_layers": 2, "conv_pos_kernel_size": 16,
                "num_conv_pos_embeddings": 5 if kind == "data2vec-audio" else 16, "num_conv_pos_embedding_groups": 2,
                "do_stable_layer_norm": False, "layer_norm_eps": 1e-5, "num_buckets": 320, "max_bucket_distance": 800,
            }),
            preprocessor_config_dot_json=json.dumps({"do_normalize": False, "sampling_rate": 16000}),
        )(folder / kind)  # fmt: skip
        torch.save({"x": torch.zeros(1)}, folder / kind / "pytorch_model.bin")


def _load_wav2vec2(path: Path) -> None:
    from hasrd.errors import UserError
    from hasrd.models.import_wav2vec2 import from_transformers

    try:
        from_transformers(path.parent)
    except UserError:
        # Its tensors are none of these models'.
        pass


def _w2v_bert(folder: Path) -> None:
    """A w2v-BERT with one block of four dimensions."""
    import torch

    shapes = {"feature_projection.layer_norm": (160,), "feature_projection.projection": (4, 160)}
    block = {f"self_attn.linear_{name}": (4, 4) for name in ("q", "k", "v", "out")}
    for name in ("ffn1", "ffn2"):
        block |= {f"{name}.intermediate_dense": (8, 4), f"{name}.output_dense": (4, 8), f"{name}_layer_norm": (4,)}
    for name in ("self_attn_layer_norm", "final_layer_norm", "conv_module.layer_norm"):
        block[name] = (4,)
    block["conv_module.depthwise_layer_norm"] = (4,)
    shapes |= {f"encoder.layers.0.{name}": shape for name, shape in block.items()}
    tensors = {f"{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    tensors |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    alone = {"self_attn.distance_embedding": (6, 2), "conv_module.pointwise_conv1": (8, 4, 1)}
    alone |= {"conv_module.depthwise_conv": (4, 1, 3), "conv_module.pointwise_conv2": (4, 4, 1)}
    tensors |= {f"encoder.layers.0.{name}.weight": torch.zeros(shape) for name, shape in alone.items()}
    texts(
        config_dot_json=json.dumps({
            "model_type": "wav2vec2-bert", "hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 8,
            "num_hidden_layers": 1, "conv_depthwise_kernel_size": 3, "left_max_position_embeddings": 3,
            "right_max_position_embeddings": 2, "feature_projection_input_dim": 160, "layer_norm_eps": 1e-5,
        }),
        preprocessor_config_dot_json=json.dumps({"num_mel_bins": 80, "sampling_rate": 16000, "stride": 2}),
    )(folder)  # fmt: skip
    torch.save(tensors, folder / "pytorch_model.bin")


def _load_w2v_bert(path: Path) -> None:
    from hasrd.models.import_w2v_bert import load_w2v_bert

    load_w2v_bert(path.parent)


def _peer(folder: Path) -> None:
    config = {"kind": "snac", "model": "model", "sha256": {"config.json": "0"}, "num_codebooks": 3}
    config["sample_rate"] = 24000
    texts(
        config_dot_yaml="peer:\n" + "".join(f"  {key}: {json.dumps(value)}\n" for key, value in config.items()),
        peer_dot_json=json.dumps({"config": "0", "asked": {"kind": "snac"}}),
    )(folder)


def _load_peer(path: Path) -> None:
    from hasrd.errors import UserError
    from hasrd.models.load import load_codec
    from hasrd.peers.experiment import _same

    for call in (lambda: load_codec(path.parent), lambda: _same(path.parent, Path("model"))):
        try:
            call()
        except UserError:
            # That model is not there.
            pass


def _dac(folder: Path) -> None:
    import torch

    folder.mkdir(parents=True)
    saved = {"state_dict": {"a": torch.zeros(2)}, "metadata": {"kwargs": {"encoder_dim": 8}}}
    torch.save(saved, folder / "weights.pth")


def _load_dac(path: Path) -> None:
    from hasrd.errors import UserError
    from hasrd.peers.dac import load

    try:
        load(path)
    except UserError:
        # Its tensors are none of DAC's, or the package is missing.
        pass


def _read_modules(path: Path) -> None:
    from hasrd.teacher.source import read_modules

    read_modules(path.parent)


def _records(folder: Path) -> None:
    from hasrd.jobs.origin import Origin, write_record

    texts(a="content", wav_dot_scp=f"u-1 {folder / 'a'}\n", result="x")(folder)
    origin = Origin({"option": [1, {"a": None}]}, {"a": folder / "a"}, {"wav.scp": folder / "wav.scp"})
    write_record(folder / "result", origin.record())


def _why_stale(path: Path) -> None:
    from hasrd.jobs.origin import Origin, why_stale

    folder = path.parent
    origin = Origin({"option": [1, {"a": None}]}, {"a": folder / "a"}, {"wav.scp": folder / "wav.scp"})
    why_stale(folder / "result", origin)


def _batch(folder: Path) -> None:
    texts(
        settings_dot_json=json.dumps({"made_by": "x", "model": "0"}),
        _dot_sources_dot_jsonl='["a", [1, 2, 3, "0", ""]]\n["b", [1, 2, 3, "0", ":5"]]\n', a="x", b="y",
    )(folder)  # fmt: skip


def _run_batch(path: Path) -> None:
    from hasrd.data.file_lists import Batch, Job
    from hasrd.data.file_work import Done, run_batch
    from hasrd.jobs.sharing import Sharing

    folder = path.parent
    jobs = [Job(name, str(folder / name), folder / name) for name in ("a", "b")]
    run_batch(Batch(jobs, folder, folder), {"made_by": "x", "model": "0"}, lambda: lambda group: Done(), Sharing(), "")


def _transcripts(path: Path) -> None:
    from hasrd.data.corpora.transcripts import read_transcripts
    from hasrd.data.problems import Problems

    read_transcripts(path, Problems())


def _wave(seed: int = 0) -> bytes:
    import soundfile

    content = io.BytesIO()
    soundfile.write(content, np.random.default_rng(seed).uniform(-0.5, 0.5, 700), 16000, format="WAV")
    return content.getvalue()


def _audio_folder(folder: Path) -> None:
    texts(b_dot_txt="Hello\n world\n")(folder / "s1")
    (folder / "s1/b.wav").write_bytes(_wave())


def _read_folder(path: Path) -> None:
    from hasrd.data.corpora.folder import read_folder
    from hasrd.data.problems import Problems

    read_folder(path.parents[1], Problems())


def _audio_archives(folder: Path) -> None:
    import soundfile

    folder.mkdir(parents=True)
    wave, flac = _wave(), io.BytesIO()
    soundfile.write(flac, np.zeros(700), 16000, format="FLAC")
    kaldiio = b"AUDIO\x04" + len(wave).to_bytes(4, "little") + wave
    for name, content in {"wave": wave, "flac": flac.getvalue(), "kaldiio": kaldiio}.items():
        (folder / f"{name}.ark").write_bytes(b"u-1 " + content)


def _read_audio_archive(path: Path) -> None:
    from hasrd.data.corpora.recording import archive_part

    part = archive_part(f"{path}:4")
    part.info()
    part.read()


def _kaldi_folder(folder: Path) -> None:
    texts(
        wav_dot_scp="r-1 a.wav\nr-2 b.ark:4\n", segments="u-1 r-1 0.00 1.5\nu-2 r-1 1.5 -1\n",
        text="u-1 hello world\nu-2\n", utt2spk="u-1 s\nu-2 s\n", utt2lang="u-1 en\nu-2 en\n",
    )(folder)  # fmt: skip


def _read_kaldi_folder(path: Path) -> None:
    from hasrd.data.corpora.kaldi_folder import read_kaldi
    from hasrd.data.problems import Problems

    read_kaldi(path.parent, Problems())


def _shar(folder: Path) -> None:
    source = {"type": "file", "channels": [0], "source": "a.wav"}
    recording = {"id": "c-1", "sources": [source], "sampling_rate": 16000, "num_samples": 700, "duration": 0.04375}
    said = {"id": "u-1", "recording_id": "c-1", "start": 0.0, "duration": 0.04375, "channel": 0, "text": "a b"}
    times = {"start": 0.0, "duration": 0.04375, "channel": 0}
    cut = {"id": "c-1", **times, "supervisions": [said], "recording": recording, "type": "MonoCut"}
    texts(**{"cuts.000000.jsonl": json.dumps(cut) + "\n"})(folder)
    with tarfile.open(folder / "recording.000000.tar", "w") as tar:
        entry = tarfile.TarInfo("c-1.wav")
        entry.size = len(_wave())
        tar.addfile(entry, io.BytesIO(_wave()))


def _read_shar(path: Path) -> None:
    from hasrd.data.corpora.lhotse_manifests import read_lhotse
    from hasrd.data.problems import Problems

    for utterance in read_lhotse(path.parent, Problems()):
        utterance.bounds(utterance.recording.info())


def _listing(folder: Path) -> None:
    from hasrd.jobs.listing import list_inputs

    texts(wav_dot_scp="".join(f"u-{number:04d} {number}.wav\n" for number in range(250)))(folder)
    list_inputs(folder / "wav.scp", True)


def _read_listing(path: Path) -> None:
    from hasrd.jobs.listing import list_inputs

    found = list_inputs(path.parent / "wav.scp", True)
    found.part(150, 160)
    found.sha256()


def _finished(path: Path) -> None:
    from hasrd.train.entry import finished_epochs

    finished_epochs(path.parent)


def _lock(path: Path) -> None:
    from hasrd.errors import UserError
    from hasrd.jobs.lock import _facts, _holder

    descriptor = os.open(path, os.O_RDONLY)
    try:
        if not isinstance(_holder(_facts(descriptor)), str):
            raise UserError(f"{path}: says nothing")
    finally:
        os.close(descriptor)


def _read_yaml(path: Path) -> None:
    from hasrd.bench.ours import read_config
    from hasrd.models.configs import read_model_config
    from hasrd.recipe.names import exp_name

    read_config(path)
    read_model_config(path)
    exp_name(path)


def _read_json(path: Path) -> None:
    from hasrd.config import read_json

    read_json(path)


def _options(path: Path) -> None:
    from hasrd.jobs.sharing import parse_shard
    from hasrd.recipe.names import exp_name
    from hasrd.train.options import key_value, parse_args_string

    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    parse_args_string(text)
    for call in (parse_shard, key_value):
        for word in text.split():
            try:
                call(word)
            except (ValueError, TypeError, argparse_error()):
                # What argparse reports.
                pass
            except Exception as error:
                from hasrd.errors import explain

                if explain(error) is None:
                    raise
    (path.parent / "c.yaml").write_text("a: 1\n")
    exp_name(path.parent / "c.yaml", text)


def argparse_error() -> type[Exception]:
    """What argparse's types raise."""
    import argparse

    return argparse.ArgumentTypeError


def _describe(folder: Path) -> None:
    import yaml
    from small_models import CODEC, HAC

    folder.mkdir(parents=True)
    for name, config in {"hac": HAC, "hasrd": CODEC}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))


def _info(path: Path) -> None:
    from hasrd.codec.describe import describe
    from hasrd.models.configs import complete, read_model_config

    config = read_model_config(path)
    # A class from elsewhere is imported there on purpose: it is the user's own configuration.
    if "hasrd_fuzz_canary" not in json.dumps(config, default=str) and os.path.getsize(path) < 5000:
        describe(complete(config, None, ""))


READERS: Mapping[str, Reader] = {
    "yaml": Reader(texts(c_dot_yaml=CONFIG), "*.yaml", _read_yaml, ("hasrd/config.py", "hasrd/bench/ours.py")),
    "json": Reader(texts(a_dot_json=json.dumps(SCORE)), "*.json", _read_json, ("hasrd/config.py",)),
    "options": Reader(
        texts(args="--max_epoch 3 --encoder_conf a=1 --encoder_conf b.c=[1,2] --optim_conf '{lr: 1e-3}' --x 1/4\n"),
        "args", _options,
        ("hasrd/recipe/names.py", "hasrd/train/options.py", "hasrd/jobs/sharing.py"),
    ),
    "configurations": Reader(
        _describe,
        "*.yaml",
        _info,
        ("hasrd/models/description.py", "hasrd/models/configs.py", "hasrd/codec/describe.py"),
    ),
    "audio": Reader(_audio, "a.*", _read_audio, ("hasrd/data/audio.py",)),
    "data_directory": Reader(
        _data_dir, "*", _read_data_dir, ("hasrd/data/kaldi.py", "hasrd/data/lines.py", "hasrd/data/subset.py")
    ),
    "archives": Reader(_archives, "*.ark", _read_archive, ("hasrd/data/archive.py",)),
    "archive_tables": Reader(_archives, "*.scp", _read_archive, ("hasrd/data/archive.py",)),
    "text_codes": Reader(
        texts(tokens="u-1 1 5 7\nu-2 3\n"), "tokens", _text_codes, ("hasrd/metrics/scoring/tokens.py",)
    ),
    "alignments": Reader(
        _alignments, "*", _read_alignments,
        tuple(f"hasrd/data/alignments/{name}.py" for name in ("importing", "tracks", "textgrid", "librispeech")),
    ),
    "ctm": Reader(texts(words_dot_ctm=CTM), "*.ctm", _read_ctm, ("hasrd/data/alignments/tracks.py",)),
    "tar": Reader(_tars, "*.tar*", _unpack, ("hasrd/data/unpack.py",)),
    "deb": Reader(_debs, "*.deb", _deb, ("hasrd/data/deb.py",)),
    "prompts": Reader(
        _prompts, "*", _package_of_prompts, ("hasrd/data/prompt_text.py", "hasrd/data/corpora/asterisk.py")
    ),
    "kmeans": Reader(_kmeans, "*.npz", _load_kmeans, ("hasrd/models/kmeans.py", "hasrd/arrays.py")),
    "statistics": Reader(
        _statistics, "*.npz", _global_norm, ("hasrd/frontend/normalize.py", "hasrd/data/features.py")
    ),
    "tokens": Reader(_tokens, "*.npz", _load_tokens, ("hasrd/codec/token_file.py", "hasrd/codec/tokenizer.py")),
    "token_facts": Reader(_codes, "*", _archive_facts, ("hasrd/codec/decode_files.py",)),
    "units": Reader(
        _units, "out/**/*.*", _read_export,
        tuple(f"hasrd/units/{name}.py" for name in ("export", "formats/base", "formats/webdataset")),
    ),
    "unit_tables": Reader(_units, "out/text/data/*", _read_export, ("hasrd/units/formats/base.py",)),
    "unit_tokens": Reader(_token_set, "*", _open_tokens, ("hasrd/units/source.py",)),
    "teacher": Reader(_teacher, "*/*", _open_targets, ("hasrd/data/targets.py",)),
    "latents": Reader(_latents, "**/*.*", _cut_latents, ("hasrd/codec/latent_cache.py",)),
    "latents_table": Reader(_latents, "utt2latents", _cut_latents, ("hasrd/codec/latent_cache.py",)),
    "scores": Reader(_experiments, "exp/codec/scores/test/combined/*", _read_score, ("hasrd/metrics/scores.py",)),
    "report": Reader(
        _experiments, "exp/codec/**/*.*", _report,
        ("hasrd/report/collect.py", "hasrd/report/token_map.py", "hasrd/report/rows.py"),
    ),
    "compare": Reader(_experiments, "exp/codec/scores/test/combined/*", _compare, ("hasrd/report/compare.py",)),
    "recogniser": Reader(
        texts(recogniser_dot_json='{"model": "m", "sha256": "0", "language": "en"}'), "*", _recogniser,
        ("hasrd/metrics/scoring/text.py",),
    ),
    "crops": Reader(
        texts(crops_dot_json='{"samples": 16000, "margin": 3}'), "*", _crops, ("hasrd/metrics/crop_agreement.py",)
    ),
    "encoder": Reader(_encoder, "*.safetensors", _load_encoder, ("hasrd/models/checkpoint.py",)),
    "experiment": Reader(_experiment, "*", _load_experiment, ("hasrd/models/checkpoint.py",)),
    "package": Reader(_packed, "config.yaml", _load_packed, ("hasrd/models/package.py", "hasrd/models/load.py")),
    "package_weights": Reader(_packed, "model.safetensors", _load_weights, ("hasrd/models/package.py",)),
    "tensors": Reader(_tensors, "*", _read_tensors, ("hasrd/models/weights.py",)),
    "whisper": Reader(
        _whisper, "*.bin", _load_whisper, ("hasrd/models/import_whisper.py", "hasrd/models/importing.py")
    ),
    "wav2vec2": Reader(
        _wav2vec2, "*/*.json", _load_wav2vec2, ("hasrd/models/import_wav2vec2.py", "hasrd/models/foreign.py")
    ),
    "w2v_bert": Reader(_w2v_bert, "*", _load_w2v_bert, ("hasrd/models/import_w2v_bert.py",)),
    "peer": Reader(_peer, "*", _load_peer, ("hasrd/peers/experiment.py",)),
    "dac": Reader(_dac, "*.pth", _load_dac, ("hasrd/peers/dac.py",)),
    "modules": Reader(
        texts(modules_dot_json='[{"idx": 0, "type": "sentence_transformers.models.Transformer", "path": ""}]'), "*",
        _read_modules, ("hasrd/teacher/source.py",),
    ),
    "records": Reader(_records, ".*", _why_stale, ("hasrd/jobs/origin.py",)),
    "transcripts": Reader(
        texts(
            a_dot_txt="u-1 HELLO WORLD\nu-2 TWO\n", b_dot_csv="u-1|Hello|hello\nu-2|Two|two\n",
            c_dot_tsv="client_id\tpath\tsentence\tlocale\nx\tu-1.mp3\tHello \"\ten\n",
            d_dot_csv='file_name,text\nu-1.wav,"Hello, world"\n', e_dot_data='( u-1 "Hello \\"you\\"" )\n',
        ),
        "*", _transcripts, ("hasrd/data/corpora/transcripts.py",),
    ),
    "audio_folder": Reader(_audio_folder, "s1/*.txt", _read_folder, ("hasrd/data/corpora/folder.py",)),
    "audio_archives": Reader(_audio_archives, "*.ark", _read_audio_archive, ("hasrd/data/corpora/recording.py",)),
    "kaldi_folder": Reader(_kaldi_folder, "*", _read_kaldi_folder, ("hasrd/data/corpora/kaldi_folder.py",)),
    "shar": Reader(_shar, "*", _read_shar, ("hasrd/data/corpora/lhotse_manifests.py",)),
    "listing": Reader(_listing, ".wav.scp.lines.npz", _read_listing, ("hasrd/jobs/listing.py",)),
    "batch": Reader(_batch, "*s*", _run_batch, ("hasrd/data/file_work.py",)),
    "finished": Reader(texts(finished_dot_json='{"max_epoch": 3}'), "*", _finished, ("hasrd/train/entry.py",)),
    "lock": Reader(texts(_dot_a_dot_lock='{"pid": 1, "host": "h"}', a="x"), ".a.lock", _lock, ("hasrd/jobs/lock.py",)),
}  # fmt: skip
