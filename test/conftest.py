# Copyright 2026 The hasrd authors
# Apache-2.0
"""What tests of several folders need: small data directories, and real speech where it is at hand."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Callable, Sequence

import numpy as np
import pytest
from hypothesis import settings
from small_models import CODEC, ENCODER, HAC

MakeDataDir = Callable[..., Path]

# How long an example takes says nothing on a machine that others use too; pytest's timeout ends what hangs.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

# Their trainings are forks. torch refuses gradients in a fork of a process that has started autograd's own threads, as
# something that other tests load makes it do.
FORKING = ("espnet", "tasks", "train", "bin/test_extract.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that fork trainings before all others."""
    root = Path(__file__).parent
    places = [str(root / name) for name in FORKING]
    items.sort(key=lambda item: not str(item.path).startswith(tuple(places)))


@pytest.fixture
def make_data_dir(tmp_path: Path) -> MakeDataDir:
    """make_data_dir(name, samples of each utterance, speakers) -> a data directory with noise as audio.

    `counted`: with utt2num_samples, as stage 1 leaves it.
    """
    soundfile = pytest.importorskip("soundfile")

    def make(
        name: str = "train", lengths: Sequence[int] = (4000, 8000, 2000), speaker: str = "", counted: bool = False
    ) -> Path:
        folder = tmp_path / "data" / name
        audio = tmp_path / "audio" / name
        folder.mkdir(parents=True)
        audio.mkdir(parents=True)
        tables: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": []}
        if counted:
            tables["utt2num_samples"] = [f"{name}-{index:04d} {length}" for index, length in enumerate(lengths)]
        for index, length in enumerate(lengths):
            utterance = f"{name}-{index:04d}"
            path = audio / f"{utterance}.wav"
            wave = np.random.default_rng(index).uniform(-0.5, 0.5, length)
            soundfile.write(path, wave, 16000, subtype="PCM_16")
            tables["wav.scp"].append(f"{utterance} {path}")
            tables["text"].append(f"{utterance} TEXT {index} OF {name}")
            tables["utt2spk"].append(f"{utterance} {speaker or name}")
        for table, lines in tables.items():
            (folder / table).write_text("".join(f"{line}\n" for line in lines))
        return folder

    return make


@pytest.fixture(scope="session")
def refused() -> Callable[..., str]:
    """refused(call, *args, **kwargs): the one line of the UserError that the call ends with."""
    from hasrd.errors import UserError

    def check(call: Callable, *args, **kwargs) -> str:
        with pytest.raises(UserError) as error:
            call(*args, **kwargs)
        assert "\n" not in str(error.value)
        return str(error.value)

    return check


@pytest.fixture(scope="session")
def one_line(refused) -> Callable[..., None]:
    """one_line(match, call, *args, **kwargs): the call ends with a UserError, one line that matches."""

    def check(match: str, call: Callable, *args, **kwargs) -> None:
        found = refused(call, *args, **kwargs)
        assert re.search(match, found), found

    return check


@pytest.fixture(scope="session")
def librispeech() -> Path:
    """The folder that LIBRISPEECH names, with parts of the corpus in it."""
    root = os.environ.get("LIBRISPEECH", "")
    if not root or not Path(root).is_dir():
        pytest.skip("LIBRISPEECH does not name a folder with real speech")
    return Path(root)


@pytest.fixture(scope="session")
def speech(librispeech) -> np.ndarray:
    """A real utterance of 3 to 5 s, float32 at 16 kHz."""
    soundfile = pytest.importorskip("soundfile")
    for path in sorted(librispeech.glob("test-*/*/*/*.flac")):
        if 48000 <= soundfile.info(path).frames <= 80000:
            return soundfile.read(path, dtype="float32")[0]
    pytest.skip("no utterance of 3 to 5 s in LIBRISPEECH")


@pytest.fixture(scope="session")
def voice() -> np.ndarray:
    """A voice that nobody has: 3 s of syllables on a gliding pitch, float32 at 16 kHz."""
    time = np.arange(48000) / 16000
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time)) / 16000
    wave = sum(np.sin(k * phase) / k for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * time), 0, 1) ** 0.5
    return (0.05 * wave * syllables).astype(np.float32)


@pytest.fixture(scope="session")
def encoder_file(tmp_path_factory) -> Path:
    """encoder.safetensors as stage 3 writes it, of a tiny random encoder with layers 0 to 2."""
    torch = pytest.importorskip("torch")
    from hasrd.codec.build import build_speech_encoder
    from hasrd.models.checkpoint import save_encoder

    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    torch.manual_seed(0)
    save_encoder(path, ENCODER, build_speech_encoder(ENCODER))
    return path


@pytest.fixture(scope="session")
def kmeans_file(encoder_file: Path) -> Path:
    """kmeans.npz as stage 4 writes it: 8 random centroids for layer 1 of `encoder_file`."""
    from hasrd.jobs.digest import sha256
    from hasrd.models.kmeans import save_kmeans

    path = encoder_file.with_name("kmeans.npz")
    centroids = np.random.default_rng(0).standard_normal((8, 16)).astype(np.float32)
    save_kmeans(path, centroids, {"layer": 1, "encoder_sha256": sha256(encoder_file)})
    return path


@pytest.fixture(scope="session")
def codec_dir(tmp_path_factory, encoder_file: Path, kmeans_file: Path) -> Path:
    """An experiment folder as stage 5 leaves it, of a codec that was never trained."""
    import torch
    import yaml

    from hasrd.codec.build import build_modules
    from hasrd.codec.codec import Codec
    from hasrd.jobs.digest import sha256
    from hasrd.models.checkpoint import load_encoder
    from hasrd.models.kmeans import load_kmeans

    folder = tmp_path_factory.mktemp("codec")
    front_config, front = load_encoder(encoder_file)
    centroids, facts = load_kmeans(kmeans_file)
    config = {**CODEC, **front_config, "encoder_file": str(encoder_file), "encoder_sha256": sha256(encoder_file)}
    config["quantizer_conf"] = {**CODEC["quantizer_conf"], "semantic_layer": facts["layer"], "num_clusters": 8}
    torch.manual_seed(1)
    codec = Codec(**build_modules(config, front.frozen()))
    codec.quantizer.set_centroids(centroids)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save({f"codec.{name}": value for name, value in codec.state_dict().items()}, folder / "latest.pth")
    return folder


@pytest.fixture(scope="session")
def hac_dir(tmp_path_factory) -> Path:
    """An experiment folder as stage 5 leaves it, of a HAC codec (phonetic, lexical, 2 x acoustic) without training."""
    import torch
    import yaml

    from hasrd.codec.codec import Codec

    folder = tmp_path_factory.mktemp("hac")
    torch.manual_seed(2)
    codec = Codec.from_config(HAC)
    (folder / "config.yaml").write_text(yaml.safe_dump(HAC))
    torch.save({f"codec.{name}": value for name, value in codec.state_dict().items()}, folder / "latest.pth")
    return folder


@pytest.fixture
def ssl_dir(encoder_file: Path, tmp_path: Path) -> Path:
    """An experiment folder as stage 3 leaves it, of an encoder that was never trained."""
    import torch
    import yaml

    from hasrd.loss.best_rq import BestRQLoss
    from hasrd.models.checkpoint import load_encoder

    config, front = load_encoder(encoder_file)
    folder = tmp_path / "ssl"
    folder.mkdir()
    config.update(loss="best_rq", loss_conf={"codebook_size": 32, "codebook_dim": 4})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.manual_seed(0)
    objective = BestRQLoss(80, 16, **config["loss_conf"])
    states = {**front.state_dict(), **{f"loss.{name}": value for name, value in objective.state_dict().items()}}
    torch.save(states, folder / "latest.pth")
    return folder
