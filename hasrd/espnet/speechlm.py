# Copyright 2026 The hasrd authors
# Apache-2.0
"""Our tokenizers as codecs of ESPnet's, for the tokenizers of its speech language models.

ESPnet's `AudioCoding` builds a codec from a configuration. `write_config` writes one that names a model of ours, and
`register` makes the class known to ESPnet's own choices, in the process that calls it. A program of ESPnet's runs with
it as

    python -m hasrd.espnet.speechlm pyscripts/feats/dump_codec.py ...
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from espnet2.gan_codec.abs_gan_codec import AbsGANCodec
from espnet2.tasks.gan_codec import codec_choices

import hasrd
from hasrd.errors import run_main
from hasrd.espnet.choices import ExtendedChoices
from hasrd.jobs.atomic import write_text

NAME = "hasrd"


class SpeechLMCodec(AbsGANCodec):
    """A trained tokenizer behind the interface of ESPnet's codecs.

    Args:
        model: What `hasrd.load` takes.

    Raises:
        UserError: See `hasrd.load`.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self.tokenizer = hasrd.load(model)
        # ESPnet asks for parts of these names.
        self.generator = self.tokenizer.codec
        self.discriminator = torch.nn.Identity()

    def meta_info(self) -> dict[str, Any]:
        """Return rate, streams, samples a token, and sizes: ESPnet takes them for equal, so all are the largest's."""
        sizes = self.tokenizer.codebook_sizes
        return {
            "fs": self.tokenizer.sample_rate,
            "num_streams": len(sizes),
            "frame_shift": self.tokenizer.frame_shift,
            "code_size_per_stream": [max(sizes)] * len(sizes),
        }

    def forward(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Raise: ESPnet does not train it."""
        raise NotImplementedError("a tokenizer of hasrd is trained by its recipes")

    def encode(self, x: torch.Tensor, **_: Any) -> torch.Tensor:
        """Return the codes (M, B, T) of waves (B, 1, N); a slow codebook's code is repeated."""
        tokens = self.tokenizer.encode(list(x[:, 0]), self.tokenizer.sample_rate)
        return tokens.codes.permute(2, 0, 1)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the waves (B, 1, T * frame_shift) of codes (M', B, T) of the first M' codebooks."""
        return self.tokenizer.decode(codes.permute(1, 2, 0)).unsqueeze(1)


def register() -> None:
    """Make the codec known to ESPnet's task, as `codec: hasrd`."""
    ExtendedChoices(codec_choices, {NAME: "hasrd.espnet.speechlm:SpeechLMCodec"}).register(NAME)


def write_config(model: str | Path, path: str | Path) -> None:
    """Write the configuration (`train_config`) of ESPnet's `AudioCoding` for a model of ours; it has no model file."""
    config = {"codec": NAME, "codec_conf": {"model": str(Path(model).resolve())}, "model_conf": {}}
    write_text(path, yaml.safe_dump({**config, "use_preprocessor": False}))


def main() -> None:
    """Run the program that the command line names, with the codec registered."""
    register()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    run_main(main)
