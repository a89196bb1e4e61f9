# Copyright 2026 The hasrd authors
# Apache-2.0
"""Speaker similarity with ECAPA-TDNN: cosine of the embeddings of a reference and its reconstruction.

Source: Desplanques et al., Interspeech 2020, as SpeechBrain trains and packages it: the similarity of the
HASRD paper's table 4. No package brings the weights, and nothing is downloaded here: they are read from a
folder in the format of SpeechBrain's own (`hyperparams.yaml` and what it names, such as
`embedding_model.ckpt`). SpeechBrain builds whatever that YAML names: one that names more than the published
model's own classes is refused.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hasrd.errors import UserError, first_line
from hasrd.metrics.measure import Inputs
from hasrd.metrics.scoring.audio import AudioMeasure, Pair
from hasrd.metrics.speaker_similarity import similarity

_CONFIG = "hyperparams.yaml"
# What the published folder builds: nothing else is.
_CLASSES = (
    "dataio.encoder.CategoricalEncoder",
    "lobes.features.Fbank",
    "lobes.models.ECAPA_TDNN.Classifier",
    "lobes.models.ECAPA_TDNN.ECAPA_TDNN",
    "processing.features.InputNormalization",
    "utils.parameter_transfer.Pretrainer",
)
_TAGS = {
    "!ref",
    *(f"!new:speechbrain.{name}" for name in _CLASSES),
    *(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null")),
}
# Two of its convolutions reflect their input: fewer frames of 10 ms than this can't be.
_SHORTEST = 1600


class ECAPASimilarity(AudioMeasure):
    """See the file."""

    name = "ecapa_similarity"
    label = "Speaker similarity (ECAPA)"
    source = "cosine of ECAPA-TDNN embeddings (SpeechBrain) of the whole signals"
    packages = ("speechbrain", "torch")
    modules = ("speechbrain",)
    missing = "speechbrain is not installed: pip install 'hasrd[eval]'"
    order = 27
    worst = (0.0,)

    def why_not(self, inputs: Inputs) -> str:
        """See `Measure`; it also needs a model."""
        no_model = "" if inputs.ecapa_dir else "no --ecapa_dir names a folder with a SpeechBrain ECAPA-TDNN"
        return super().why_not(inputs) or no_model

    def options(self, inputs: Inputs) -> dict[str, Any]:
        """See `Measure`: the model's files count."""
        return {"model": folder_digest(inputs.ecapa_dir)}

    def value(self, pair: Pair) -> float:
        return similarity(*(signal.once(embed, pair.inputs.ecapa_dir) for signal in (pair.reference, pair.estimate)))


def folder_digest(folder: str | Path) -> str:
    """Hash the files of a model folder: its name in fingerprints and score files.

    Raises:
        UserError: There is no hyperparams.yaml in it.
    """
    config = Path(folder) / _CONFIG
    if not config.is_file():
        raise UserError(
            f"{config}: no such file: --ecapa_dir is a folder with a SpeechBrain speaker model (hyperparams.yaml, "
            "embedding_model.ckpt, ...)"
        )
    digest = hashlib.sha256()
    for path in sorted(config.parent.iterdir()):
        if path.is_file() and path.suffix in (".yaml", ".ckpt"):
            digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def embed(wave: np.ndarray, folder: str | Path) -> np.ndarray | None:
    """Return the unit embedding (D,) of `wave` (N,) at 16 kHz; None for digital silence, which has no speaker.

    A clip below 0.1 s is repeated to that length.

    Raises:
        UserError: SpeechBrain is not installed, or the folder has no model that it can load.
    """
    if not np.any(wave):
        return None
    import torch

    if len(wave) < _SHORTEST:
        wave = np.resize(wave, _SHORTEST)
    with torch.no_grad():
        found = _encoder(str(folder)).encode_batch(torch.from_numpy(np.asarray(wave, np.float32)))
    embedding = found.double().flatten().numpy()
    return embedding / np.linalg.norm(embedding)


def check_hyperparams(text: str, where: str | Path) -> None:
    """Refuse a hyperparams.yaml that names anything but the classes of the published model.

    Raises:
        UserError: Such a name, or no YAML.
    """
    import yaml

    try:
        nodes, seen = [yaml.compose(text, Loader=yaml.SafeLoader)], set()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not YAML: {first_line(error)}") from error
    while nodes:
        node = nodes.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if node.tag not in _TAGS:
            raise UserError(
                f"{where}:{node.start_mark.line + 1}: {node.tag} is no part of SpeechBrain's ECAPA-TDNN, and "
                "building it might run anything: take the published folder"
            )
        if isinstance(node, yaml.MappingNode):
            nodes += [item for pair in node.value for item in pair]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


@lru_cache(maxsize=None)
def _encoder(folder: str):
    ECAPASimilarity.require()
    folder_digest(folder)
    config = Path(folder) / _CONFIG
    text = config.read_text(encoding="utf-8", errors="replace")
    check_hyperparams(text, config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from hyperpyyaml import resolve_references
        from speechbrain.inference.classifiers import EncoderClassifier
        from speechbrain.utils.fetching import FetchConfig

        try:
            # Once more with its references replaced: this is what is built.
            check_hyperparams(resolve_references(text, {"pretrained_path": folder}, False).read(), config)
            return EncoderClassifier.from_hparams(
                source=folder,
                # The published one names the place that its files are downloaded from.
                overrides={"pretrained_path": folder},
                overrides_must_match=False,
                fetch_config=FetchConfig(allow_network=False),
                run_opts={"device": "cpu"},
            )
        except UserError:
            raise
        except Exception as error:  # a YAML that builds any class fails in any way
            reason = " ".join(str(error).split())
            raise UserError(
                f"{folder}: no SpeechBrain speaker model can be loaded from it ({type(error).__name__}: {reason})"
            ) from None
