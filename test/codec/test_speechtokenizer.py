# Copyright 2026 The hasrd authors
# Apache-2.0
"""SpeechTokenizer as a configuration of the codec: its own package on equal weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from hasrd.codec.codec import Codec
from hasrd.loss.spectral import MelDistance

CONFIG = Path(__file__).parents[2] / "egs2/librispeech/hasrd1/conf/tuning/train_codec_speechtokenizer.yaml"
SMALL = {
    "frontend": "raw",
    "encoder": "seanet",
    "encoder_conf": {"channels": 4, "output_size": 24},
    "quantizer": "euclidean_rvq",
    "quantizer_conf": {"num_codebooks": 3, "codebook_size": 16, "dead_share": 0.0},
    "decoder": "seanet",
    "decoder_conf": {"channels": 4},
}
# Its published configuration; below, what SMALL differs in.
OFFICIAL = {
    "n_filters": 64, "strides": [8, 5, 4, 2], "dimension": 1024, "semantic_dimension": 768, "bidirectional": True,
    "dilation_base": 2, "residual_kernel_size": 3, "n_residual_layers": 1, "lstm_layers": 2, "activation": "ELU",
    "codebook_size": 1024, "n_q": 8, "sample_rate": 16000,
}  # fmt: skip
OFFICIAL_SMALL = {**OFFICIAL, "n_filters": 4, "dimension": 24, "semantic_dimension": 10, "codebook_size": 16, "n_q": 3}


@pytest.fixture(scope="module")
def official():
    """The package's model class."""
    reason = "the official SpeechTokenizer is not installed: it comes with the extra bench"
    return pytest.importorskip("speechtokenizer", reason=reason).SpeechTokenizer


@pytest.fixture
def both(official):
    """The package's model and ours with its weights, in eval mode."""
    torch.manual_seed(0)
    theirs, ours = official(OFFICIAL_SMALL).eval(), Codec.from_config(SMALL).eval()
    quantizer = ours.quantizer
    with torch.no_grad():
        for mine, other in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
            for a, b in zip(mine.parameters(), other.parameters(), strict=True):
                assert a.shape == b.shape
                a.copy_(b)
        # Where the encoder's output is and as large as it, so that the look-up matters.
        residual = theirs.encoder(0.3 * torch.randn(1, 1, 9600))
        for m, layer in enumerate(theirs.quantizer.vq.layers):
            book = layer._codebook
            book.threshold_ema_dead_code = 0
            book.inited.fill_(1)
            book.embed.copy_(residual.mean(2) + residual.std(2) * torch.randn(16, 24))
            residual = residual - layer.decode(layer.encode(residual))
            book.cluster_size.uniform_(1, 9)
            total = book.cluster_size.sum()
            book.embed_avg.copy_(book.embed * (book.cluster_size[:, None] + 1e-5) * total / (total + 16e-5))
            quantizer.codebooks[m] = book.embed
            quantizer.counts[m] = book.cluster_size
    return theirs, ours


# Up to 3 tokens the last convolution's reflection needs more frames than there are.
@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 30])
def test_equals_the_package(both, tokens):
    theirs, ours = both
    wave = 0.3 * torch.randn(2, 320 * tokens)
    with torch.no_grad():
        codes = theirs.encode(wave[:, None])
        latent = theirs.encoder(wave[:, None])
        decoded = theirs.decode(codes)
        acoustic = theirs.decode(codes[1:], st=1).squeeze(1)
        semantic = theirs.forward_feature(wave[:, None], layers=[0])[0].mT
    output = ours.features(wave, torch.tensor([320 * tokens] * 2))
    torch.testing.assert_close(output.last, latent.mT, atol=1e-5, rtol=1e-5)
    got = ours.encode(wave)
    assert torch.equal(got.codes, codes.permute(1, 2, 0))
    assert tokens < 30 or len(got.codes.unique()) > 8, "the look-up must matter"
    torch.testing.assert_close(ours.decode(got), decoded.squeeze(1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.decode(got, streams=["acoustic"]), acoustic, atol=1e-5, rtol=1e-5)
    levels = ours.quantizer(output.layers, output.lengths).levels
    torch.testing.assert_close(levels["semantic"], semantic, atol=1e-5, rtol=1e-5)


def test_a_training_step_equals_the_packages(both):
    theirs, ours = both
    theirs.train(), ours.train()
    wave = 0.3 * torch.randn(3, 320 * 20)
    rebuilt, commitment, _ = theirs(wave[:, None])
    (rebuilt.square().mean() + 4 * commitment).backward()
    output = ours(wave)
    # Theirs is the mean over the codebooks, ours the sum.
    torch.testing.assert_close(output.losses["commitment"] / 3, commitment, rtol=1e-4, atol=0)
    (output.wave_hat.square().mean() + 4 / 3 * output.losses["commitment"]).backward()
    torch.testing.assert_close(output.wave_hat, rebuilt.squeeze(1), atol=1e-5, rtol=1e-5)
    for mine, other in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
        for (name, a), b in zip(mine.named_parameters(), other.parameters(), strict=True):
            scale = float(b.grad.abs().max())
            assert scale > 0, name
            torch.testing.assert_close(a.grad, b.grad, atol=1e-4 * scale, rtol=1e-3, msg=name)
    for m, layer in enumerate(theirs.quantizer.vq.layers):
        torch.testing.assert_close(ours.quantizer.codebooks[m], layer._codebook.embed, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(ours.quantizer.counts[m], layer._codebook.cluster_size, rtol=1e-4, atol=1e-6)


def test_number_of_parameters(official):
    """Theirs has the linear layer to HuBERT's 768 dimensions, which here is the distillation's."""
    config = yaml.safe_load(CONFIG.read_text())
    with torch.device("meta"):
        codec, theirs = Codec.from_config(config), official(OFFICIAL)
    head = 1024 * 768 + 768
    for module, more in ((codec, head), (theirs, 0)):
        assert sum(p.numel() for p in module.parameters()) + more == 103_675_586
    assert codec.quantizer.codebooks.numel() == 8 * 1024 * 1024
    assert codec.frame_rate == 50 and codec.num_codebooks == 8 and codec.sample_rate == 16000


def make() -> Codec:
    """A small codec whose codebooks noise has set."""
    torch.manual_seed(0)
    codec = Codec.from_config(SMALL).train()
    codec(0.3 * torch.randn(2, 320 * 20))
    return codec.eval()


def tones() -> torch.Tensor:
    """(4, 8000) waves as quiet as speech, a tone of random pitch and loudness for each of 25 tokens."""
    pitch, loudness = 0.06 + torch.rand(4, 25, 1), 0.1 * torch.rand(4, 25, 1).square()
    return (loudness * torch.sin(pitch * torch.arange(320))).flatten(1)


def test_codebooks_stay_in_use_from_the_first_steps():
    """With torch's own first weights the latents all but equal each other, one step moves them further than they lie
    apart, and all 100 get the same entry."""
    torch.manual_seed(0)
    codec = Codec.from_config({**SMALL, "quantizer_conf": {"num_codebooks": 3, "codebook_size": 64}}).train()
    optimizer = torch.optim.AdamW(codec.parameters(), lr=5e-4)
    mel_distance = MelDistance(sample_rate=16000)
    for _ in range(3):
        wave = tones()
        output = codec(wave)
        optimizer.zero_grad()
        (15 * mel_distance(output.wave_hat, wave) + 1.25 * output.losses["commitment"]).backward()
        optimizer.step()
    # Seeds 0 to 2: 42 to 77 in all, and 4 or 5 with torch's weights.
    assert sum(output.stats[f"used_{m}"] for m in range(3)) > 20


@pytest.mark.parametrize("samples", [160, 320, 639, 640, 5000])
def test_the_output_has_the_samples_of_the_input(samples):
    codec = make()
    tokens = codec.encode(0.3 * torch.randn(1, samples))
    assert tokens.lengths.tolist() == [max(1, samples // 320)]
    assert codec.decode(tokens).shape == (1, samples)


def test_batch_equals_alone():
    codec = make()
    lengths = [9000, 160, 4321, 320, 8999]
    wave = 0.3 * torch.randn(len(lengths), max(lengths))
    wave[2, 4321:] = torch.nan
    tokens = codec.encode(wave, torch.tensor(lengths))
    decoded = codec.decode(tokens)
    for i, length in enumerate(lengths):
        alone = codec.encode(wave[i : i + 1, :length])
        assert torch.equal(tokens.item(i).codes, alone.codes)
        torch.testing.assert_close(decoded[i, :length], codec.decode(alone)[0], atol=1e-4, rtol=0)


def test_streams():
    codec = make()
    tokens = codec.encode(0.3 * torch.randn(1, 3200))
    assert tokens.stream_names == ("semantic", "acoustic", "acoustic")
    semantic, acoustic = (codec.decode(tokens, streams=[name]) for name in ("semantic", "acoustic"))
    assert not torch.allclose(semantic, acoustic, atol=1e-4)
    assert torch.equal(codec.decode(tokens.select(["semantic"])), semantic)
