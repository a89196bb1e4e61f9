# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codecs of other packages as ours: their own codes and speech, at the data's rate and of the data's length."""

from __future__ import annotations

import math

import pytest
import soxr
import torch
from hypothesis import given
from hypothesis import strategies as st

from hasrd.codec.inference import prepare
from hasrd.codec.tokenizer import Tokenizer
from hasrd.codec.tokens import Tokens
from hasrd.errors import UserError
from hasrd.models.load import load_codec
from hasrd.peers.codec import PeerCodec
from hasrd.peers.experiment import import_peer
from hasrd.peers.peer import Peer

NAMES = ("dac", "encodec", "mimi", "speechtokenizer", "snac", "dac_hf", "xcodec", "xcodec2")
# As published: frames a second, bits a second, columns of codes, semantic ones. EnCodec: 8 x 10 bit x 75 Hz; Mimi: 8 x
# 11 bit x 12.5 Hz; SNAC: 12 bit x (11.7 + 23.4 + 46.9) Hz; SpeechTokenizer: 8 x 10 bit x 50 Hz; X-codec2: 16 bit x 50.
# DAC's model for 16 kHz has 50 Hz; these have HASRD's stride of 512.
FACTS = {
    "dac": (31.25, 3750, 12, 0), "encodec": (75, 6000, 8, 0), "mimi": (12.5, 1100, 8, 1),
    "speechtokenizer": (50, 4000, 8, 1), "snac": (24000 / 2048, 984.375, 7, 0), "dac_hf": (31.25, 2812.5, 9, 0),
    "xcodec": (50, 4000, 8, 0), "xcodec2": (50, 800, 1, 0),
}  # fmt: skip
RATES = {"encodec": 24000, "mimi": 24000, "snac": 24000}
LENGTHS = (9600, 5001, 300)


def own_codes(name, model, wave):
    """What the package gives for (1, 1, N): (B, M, T); of SNAC a list."""
    if name == "dac":
        return model.encode(model.preprocess(wave, 16000))[1]
    if name == "speechtokenizer":
        return model.encode(wave).transpose(0, 1)
    if name == "snac":
        return model.encode(wave)
    if name == "encodec":
        return model.encode(wave, bandwidth=6.0).audio_codes[0]
    if name == "mimi":
        return model.encode(wave, num_quantizers=8).audio_codes
    if name == "xcodec2":
        import transformers

        given = transformers.Xcodec2FeatureExtractor()([wave[0, 0].numpy()], sampling_rate=16000, return_tensors="pt")
        return model.encode(given["input_values"], given["input_features"]).audio_codes
    frame = 512 if name == "dac_hf" else 320
    return model.encode(torch.nn.functional.pad(wave, (0, -wave.shape[-1] % frame))).audio_codes


def own_speech(name, model, codes):
    """What the package decodes: (N,)."""
    if name == "dac":
        return model.decode(model.quantizer.from_codes(codes)[0]).flatten()
    if name == "speechtokenizer":
        return model.decode(codes.transpose(0, 1)).flatten()
    if name == "snac":
        torch.manual_seed(0)
        return model.decode(codes).flatten()
    if name == "encodec":
        return model.decode(codes[None], [None]).audio_values.flatten()
    return model.decode(audio_codes=codes).audio_values.flatten()


def mimi_speech(model, vectors):
    """The speech of vectors (B, D, T); in some releases of transformers the decoder is all of it, in others a part."""
    if not hasattr(model, "decoder_transformer"):
        return model.decoder(vectors).audio_values.flatten()
    frames = model.upsample(vectors)
    return model.decoder(model.decoder_transformer(frames.mT)[0].mT).flatten()


def mimi_latents(model, encoded):
    """The latents (B, D, T) of what the encoder gives; see `mimi_speech`."""
    if not hasattr(model, "encoder_transformer"):
        return encoded.latents
    return model.downsample(model.encoder_transformer(encoded.mT)[0].mT)


@pytest.fixture(scope="module", params=NAMES)
def peer(request, published, tmp_path_factory):
    """(name, what was published, its codec as stages 6 and 7 use it)."""
    model = published(request.param)
    folder = tmp_path_factory.mktemp("exp") / request.param
    import_peer(model.kind, model.path, folder)
    return request.param, model, prepare(load_codec(folder, "peer.json"))


@pytest.fixture
def imported(published, tmp_path):
    """imported(name) -> what the package loads, and its codec as one of ours."""

    def make(name: str):
        model = published(name)
        import_peer(model.kind, model.path, tmp_path / "exp")
        return model.model, load_codec(tmp_path / "exp")

    return make


@pytest.fixture(scope="module")
def speech():
    """Three utterances as a padded batch at 16 kHz, and their lengths; what is behind them is no silence."""
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(len(LENGTHS), max(LENGTHS), generator=generator), torch.tensor(LENGTHS)


def resampled(wave, rate, target):
    return wave if rate == target else torch.from_numpy(soxr.resample(wave.numpy(), rate, target))


def test_codes_and_speech_are_the_packages_own(peer, speech):
    name, model, codec = peer
    rate = RATES.get(name, 16000)
    wave, lengths = speech
    tokens = codec.encode(wave, lengths)
    # Whole utterances: there are no windows of another's codec.
    assert torch.equal(Tokenizer(codec).encode(wave, 16000, lengths).codes, tokens.codes)
    with pytest.raises(UserError, match="a codec of another package encodes whole utterances"):
        Tokenizer(codec).encode(wave, 16000, lengths, window=5.0)
    decoded = codec.decode(tokens)
    assert decoded.shape == wave.shape
    frame_rate, bitrate, columns, semantic = FACTS[name]
    assert (tokens.frame_rate, tokens.bitrate) == (frame_rate, pytest.approx(bitrate))
    assert tokens.stream_names == ("semantic",) * semantic + ("acoustic",) * (columns - semantic)
    assert torch.equal(tokens.num_samples, lengths) and codec.sample_rate == 16000
    assert len(tokens.codes[0].unique(dim=0)) > 2
    with torch.no_grad():
        for row, length in enumerate(LENGTHS[:2]):
            clip = resampled(wave[row, :length], 16000, rate)
            expected = own_codes(name, model.model, clip[None, None])
            if name == "snac":
                steps = (1, 2, 4)
                frames = tokens.codes[row, : tokens.lengths[row]]
                found = [frames[:, sum(steps[:m]) : sum(steps[: m + 1])].reshape(1, -1) for m in range(3)]
                assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
            else:
                assert torch.equal(tokens.codes[row, : tokens.lengths[row]], expected[0].T)
            heard = resampled(own_speech(name, model.model, expected), rate, 16000)[:length]
            assert length - len(heard) < 640  # DAC's odd strides leave out some samples
            torch.testing.assert_close(decoded[row, : len(heard)], heard, atol=1e-6, rtol=0)
            assert not decoded[row, len(heard) :].any()
    # Shorter than a frame of some: padded to one. X-codec2's feature extractor adds one sample, and so a frame.
    frames = math.ceil(max(LENGTHS[2], 16000 / frame_rate) * frame_rate / 16000)
    assert tokens.lengths[2] == frames + (name == "xcodec2")


def test_an_utterance_gives_what_it_gives_alone(peer, speech):
    _, _, codec = peer
    wave, lengths = speech
    tokens = codec.encode(wave, lengths)
    latent = codec.features(wave, lengths).layers[-1]
    decoded = codec.decode(tokens)
    for row, length in enumerate(LENGTHS):
        alone = codec.encode(wave[row : row + 1, :length])
        count = int(alone.lengths)
        assert count == tokens.lengths[row] and torch.equal(alone.codes[0], tokens.codes[row, :count])
        assert not tokens.codes[row, count:].any()
        own = codec.features(wave[row : row + 1, :length], lengths[row : row + 1]).layers[-1]
        assert own.shape[:2] == alone.codes.shape[:2] and torch.equal(own[0], latent[row, :count])
        assert torch.equal(codec.decode(alone)[0], decoded[row, :length])
        assert torch.equal(codec.decode(tokens.item(row))[0], decoded[row, :length])


def test_the_first_codebooks_alone(peer, speech):
    name, model, codec = peer
    wave, lengths = speech
    tokens = codec.encode(wave[:1], lengths[:1])
    total = len(tokens.codebook_sizes)
    heard = [codec.decode(tokens.first(number)) for number in range(1, total + 1)]
    assert torch.equal(heard[-1], codec.decode(tokens))
    assert all(not torch.equal(a, b) for a, b in zip(heard, heard[1:]))
    if name in ("dac", "encodec", "mimi", "speechtokenizer"):
        with torch.no_grad():
            own = own_speech(name, model.model, tokens.codes[:, :, :3].transpose(1, 2))
        own = resampled(own, RATES.get(name, 16000), 16000)[: LENGTHS[0]]
        torch.testing.assert_close(heard[2][0, : len(own)], own, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["mimi", "speechtokenizer"])
def test_streams_alone(name, imported, speech):
    model, codec = imported(name)
    tokens = codec.encode(speech[0][:1])
    codes = tokens.codes.transpose(1, 2)
    with torch.no_grad():
        if name == "mimi":
            vectors = model.quantizer.acoustic_residual_vector_quantizer.decode(codes[:, 1:])
            rest = mimi_speech(model, vectors)
        else:
            vectors = model.quantizer.decode(codes[:, 1:].transpose(0, 1), st=1)
            rest = model.decoder(vectors).flatten()
        expected = {"semantic": own_speech(name, model, codes[:, :1]), "acoustic": rest}
    for stream, own in expected.items():
        heard = codec.decode(tokens, [stream])[0]
        own = resampled(own, RATES.get(name, 16000), 16000)[: len(heard)]
        torch.testing.assert_close(heard, own, atol=1e-6, rtol=0)
        assert torch.equal(codec.decode(tokens.select([stream]))[0], heard)
    # What codes stand for, by which voice conversion finds frames that say the same.
    stands = codec.vectors(tokens.codes[..., :1], streams=["semantic"])
    latent = codec.vectors(tokens.codes, streams=["acoustic"])
    torch.testing.assert_close(latent, vectors.transpose(1, 2))
    assert stands.shape == latent.shape
    assert torch.equal(codec.decode(tokens.first(1)), codec.decode(tokens, ["semantic"]))


def test_as_a_module(peer, speech):
    """It resynthesises, and says what it does not know of its inside."""
    model = Tokenizer(peer[2])
    wave = speech[0][:1, :5000]
    assert torch.equal(model(wave[:, None])[:, 0], model.decode(model.encode(wave, 16000)))
    for ask in (lambda: model.latents(wave, 16000), lambda: model.codebook(model.stream_names[0])):
        with pytest.raises(UserError, match="another package"):
            ask()


def test_a_decoder_that_draws_noise_draws_the_same(imported, speech):
    _, codec = imported("snac")
    tokens = codec.encode(speech[0][:1])
    state = torch.random.get_rng_state()
    first = codec.decode(tokens)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(1)
    assert torch.equal(codec.decode(tokens), first)


def test_a_part_of_a_codebook(imported, speech):
    """Of SNAC's second codebook every other token: between them it adds nothing."""
    model, codec = imported("snac")
    tokens = codec.encode(speech[0][:1])
    with torch.no_grad():
        parts = [
            book.out_proj(book.decode_code(codes))
            for book, codes in zip(model.quantizer.quantizers, (tokens.codes[..., 0], tokens.codes[..., 1]))
        ]
        total = parts[0].repeat_interleave(4, dim=-1)
        total[..., 0::4] += parts[1]
        total[..., 1::4] += parts[1]
        torch.manual_seed(0)
        own = resampled(model.decoder(total).flatten(), 24000, 16000)[: LENGTHS[0]]
    torch.testing.assert_close(codec.decode(tokens.first(2))[0], own, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["dac", "encodec", "mimi", "speechtokenizer", "snac"])
def test_the_last_layer_is_what_is_quantized(name, imported, speech):
    model, codec = imported(name)
    clip = resampled(speech[0][0], 16000, RATES.get(name, 16000))[None, None]
    with torch.no_grad():
        if name == "dac":
            clip = model.preprocess(clip, 16000)
        elif name == "snac":
            clip = model.preprocess(clip)
        own = model.encoder(clip)
        own = mimi_latents(model, own) if name == "mimi" else own
    latent = codec.features(speech[0][:1], speech[1][:1]).layers[-1]
    # SNAC's four vectors of a frame follow one another.
    torch.testing.assert_close(latent.reshape(-1, own.shape[1]), own[0].T)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 5), st.integers(0, 99))
def test_columns_of_codebooks_of_several_rates(steps, frames, seed):
    peer = Peer(torch.nn.Identity(), 24000, 12.0, range(10, 10 + len(steps)), steps=steps)
    codec = PeerCodec(peer)
    generator = torch.Generator().manual_seed(seed)
    books = [torch.randint(0, 10, (2, frames * step), generator=generator) for step in steps]
    columns = codec.join(books)
    assert columns.shape == (2, frames, sum(steps)) == (2, frames, len(codec.codebook_sizes))
    assert all(torch.equal(a, b) for a, b in zip(codec.split(columns, 0), books, strict=True))
    tokens = Tokens(
        columns, torch.full((2,), frames), torch.full((2,), 9), 12.0, codec.stream_names, codec.codebook_sizes
    )
    assert tokens.bitrate == pytest.approx(1000 * peer.kbps(len(steps)))
    # Some of the columns: what is not there stays empty.
    part = codec.split(columns[..., :-1], 0)
    assert sum(int((book >= 0).sum()) for book in part) == 2 * frames * (sum(steps) - 1)
