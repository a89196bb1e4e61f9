# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write an encoder that others trained to the file that stages 4 to 7 use frozen, in place of stage 3's."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import yaml

from hasrd.codec.checkpoint import save_encoder
from hasrd.codec.import_hubert import Imported, from_espnet, from_file, from_hugging_face, from_tensors
from hasrd.errors import UserError, run_main


def load_hubert(source: str, model_file: str) -> Imported:
    """Load a HuBERT, or an ESPnet SSL model: (configuration, modules).

    Args:
        source: A pipeline of torchaudio (HUBERT_BASE, fetched), a file with the tensors of a torchaudio model, a
            Hugging Face folder (config.json) or an ESPnet experiment (config.yaml).
        model_file: Name of an ESPnet experiment's weights.

    Raises:
        UserError: No such model, or one that can't be imported.
    """
    path = Path(source)
    if (path / "config.json").is_file():
        return from_hugging_face(path)
    if (path / "config.yaml").is_file():
        # The keys of espnet2.tasks.ssl; espnet2.tasks.hubert has neither.
        if {"loss", "util"} <= yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8")).keys():
            from hasrd.espnet.ssl_encoder import import_ssl

            return import_ssl(path, model_file)
        return from_espnet(path, model_file)
    if path.is_file():
        return from_file(path)
    if re.fullmatch("HUBERT_[A-Z_]+", source):
        return _from_torchaudio(source)
    raise UserError(
        f"{source}: no HuBERT: give a torchaudio pipeline (HUBERT_BASE), a file with a torchaudio model's tensors, a "
        "Hugging Face folder (with config.json) or an ESPnet experiment (with config.yaml)"
    )


def _from_torchaudio(name: str) -> Imported:
    try:
        import torchaudio
    except ImportError as error:
        raise UserError(f"{name}: torchaudio is not installed ({error}): install it, or give a file") from error
    bundle = getattr(torchaudio.pipelines, name, None)
    if bundle is None:
        raise UserError(f"{name}: torchaudio {torchaudio.__version__} has no pipeline of this name")
    try:
        model = bundle.get_model()
    except OSError as error:
        raise UserError(f"{name}: torchaudio could not fetch it ({error}): fetch its file and give that") from error
    # Models that want normalised waveforms come wrapped.
    normalize = getattr(model, "normalize_waveform", False)
    return from_tensors(getattr(model, "model", model).state_dict(), None, name, normalize)


def main() -> None:
    """Import on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--hubert",
        required=True,
        help="HUBERT_BASE (torchaudio fetches it), a file with a torchaudio model's tensors, a Hugging Face folder, or "
        "the folder of an ESPnet SSL experiment",
    )
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside an ESPnet experiment")
    parser.add_argument("--out", required=True, help="file to write: encoder.safetensors")
    args = parser.parse_args()
    config, front = load_hubert(args.hubert, args.model_file)
    print(f"{args.out}: SHA-256 {save_encoder(args.out, config, front)}")
    print(json.dumps(config))


if __name__ == "__main__":
    run_main(main)
