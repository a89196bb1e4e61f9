# Copyright 2026 The hasrd authors
# Apache-2.0
"""Versions of the speech that tokens stand for: all of them, one stream, a control, or the first codebooks alone.

The control "shuffled", where there are acoustic tokens and others: the same tokens with the acoustic ones permuted in
time. For curves of quality over rate, "books_<n>": the first n codebooks.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import torch

from hasrd.codec.model import TokenizerModel
from hasrd.codec.streams import ACOUSTIC, is_split
from hasrd.codec.tokens import Tokens
from hasrd.errors import UserError


def versions_of(codec: TokenizerModel) -> list[str]:
    """Names of the versions of speech that this codec can decode from whole streams."""
    streams = list(dict.fromkeys(codec.stream_names))
    if len(streams) < 2:
        return ["combined"]
    return ["combined", *streams] + (["shuffled"] if is_split(streams) else [])


def choose_versions(codec: TokenizerModel, versions: str = "auto", num_books: str = "") -> list[str]:
    """Names of the versions of speech to decode.

    Args:
        versions: Some of `versions_of`, or "auto" for all.
        num_books: Numbers of codebooks of which versions `books_<n>` are decoded; those that are not below the codec's
            own number are left out ("combined" is that one). "auto": 1, 2, 4, 8, ...

    Raises:
        UserError: A version that this codec does not have, or what is no number of codebooks.
    """
    known, total = versions_of(codec), codec.num_codebooks
    chosen = known if versions == "auto" else versions.split()
    unknown = [version for version in chosen if version not in known]
    if unknown:
        raise UserError(f"--versions: '{unknown[0]}': this codec has {', '.join(known)}")
    numbers = [str(1 << i) for i in range(total.bit_length())] if num_books == "auto" else num_books.split()
    for number in numbers:
        if not number.isdecimal() or int(number) < 1:
            raise UserError(f"--num_books: '{number}' is no number of codebooks: write for example \"1 2 4\"")
    below = sorted({int(number) for number in numbers if int(number) < total})
    return [*dict.fromkeys(chosen), *(f"books_{number}" for number in below)]


def shuffle_acoustic(tokens: Tokens, utterance: str) -> Tokens:
    """Permute the acoustic codes of one utterance in time, all codebooks alike; the same for the same utterance."""
    acoustic = [m for m, name in enumerate(tokens.stream_names) if name == ACOUSTIC]
    frames, stride = torch.arange(tokens.codes.shape[1]), tokens.strides[acoustic[0]]
    # Codes that stand for several frames stay together.
    order = generator_of(utterance).permutation(-(-len(frames) // stride))
    places = stride * torch.from_numpy(order)[frames // stride]
    codes = tokens.codes.clone()
    codes[..., acoustic] = tokens.codes[:, places][..., acoustic]
    return replace(tokens, codes=codes)


def generator_of(utterance: str) -> np.random.Generator:
    """Return a random generator that is the same for the same utterance."""
    return np.random.default_rng(zlib.crc32(utterance.encode()))


def decode_version(codec: TokenizerModel, version: str, tokens: Tokens, utterance: str) -> torch.Tensor:
    """Return a version of the speech (N,) of one utterance's tokens."""
    if version == "shuffled":
        wave = codec.decode(shuffle_acoustic(tokens, utterance))
    elif version.startswith("books_"):
        wave = codec.decode(tokens.first(int(version.removeprefix("books_"))))
    else:
        wave = codec.decode(tokens, streams=None if version == "combined" else [version])
    return wave[0]
