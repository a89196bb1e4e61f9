# Copyright 2026 The hasrd authors
# Apache-2.0
"""Long speech into tokens, in time proportional to its length and in memory that does not depend on it.

An encoder attends to all of its input, so that time and memory grow with the square of it, and it was trained on less.
Long speech is encoded in windows that overlap; each token is taken from the window in which it is most central. What a
codec takes from the whole utterance, its level and the statistics of its features, comes from the whole here, too: the
speech is read once for its loudness, once for each of the statistics, and once to be encoded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Iterator

import torch
from torch import Tensor

from hasrd.codec.window_plan import OVERLAP, plan_windows
from hasrd.errors import UserError
from hasrd.frontend.loudness import level_gain

if TYPE_CHECKING:
    from hasrd.codec.codec import Codec


@torch.no_grad()
def encode_windows(codec: Codec, source: Any, samples: float) -> tuple[Tensor, float | None]:
    """Tokenise one utterance in windows; the tokens depend on nothing but the utterance and the length of windows.

    Args:
        codec: The codec, on its device.
        source: Samples (N,) that are read in slices: a tensor, or an AudioReader. At least those of one token.
        samples: Length of the windows.

    Returns:
        Codes (T, M) on the codec's device, and the loudness that the utterance had, in LUFS, of a codec with a level.

    Raises:
        UserError: The encoder gives another number of tokens than it says.
    """
    device = next(codec.parameters()).device
    encoder, frame_shift = codec.speech_encoder, codec.frame_shift
    step = math.lcm(*codec.codebook_strides)
    size = max(1, int(samples / frame_shift / step)) * step
    num_tokens = int(encoder.num_tokens(len(source)))
    windows = plan_windows(num_tokens, size, int(OVERLAP * size / step) * step, step)
    gain, loudness = 1.0, None
    if codec.loudness is not None:
        gain, loudness = level_gain(source, codec.sample_rate, codec.loudness)

    def waves() -> Iterator[tuple[Tensor, Tensor]]:
        for window in windows:
            # The last one has what is left behind the last token, as the whole utterance has.
            stop = (window.stop - 1) * frame_shift + codec.min_samples if window.stop < num_tokens else len(source)
            wave = torch.as_tensor(source[window.start * frame_shift : stop], device=device)[None] * gain
            yield wave, torch.tensor([wave.shape[1]], device=device)

    def kept_features() -> Iterator[Tensor]:
        stride = encoder.encoder.stride
        for window, (wave, length) in zip(windows, waves()):
            stop = (window.last - window.start) * stride if window.last < num_tokens else None
            yield encoder.feats(wave, length)[0][:, (window.first - window.start) * stride : stop]

    if hasattr(encoder.frontend, "of_whole"):
        encoder.frontend = encoder.frontend.of_whole(wave for wave, _ in waves())
    if hasattr(encoder.normalize, "of_whole"):
        encoder.normalize = encoder.normalize.of_whole(kept_features()).to(device)
    codes = []
    for window, (wave, length) in zip(windows, waves()):
        encoded = encoder(wave, length)
        if int(encoded.lengths) != window.stop - window.start:
            raise UserError(
                f"the encoder gives {int(encoded.lengths)} tokens of a window of {window.stop - window.start}: encode "
                "whole utterances with this model (window=None, --window none)"
            )
        codes.append(codec.quantize(encoded)[0, window.first - window.start : window.last - window.start])
    return torch.cat(codes), loudness
