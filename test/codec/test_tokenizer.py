# Copyright 2026 The hasrd authors
# Apache-2.0
"""hasrd.load and what it gives: input of any kind, batches, exact lengths, one clear line for the rest."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import hasrd
from hasrd.codec.codec import Codec
from hasrd.errors import UserError
from hasrd.jobs.digest import sha256
from hasrd.models.load import load_codec
from hasrd.models.package import pack

ROOT = Path(__file__).resolve().parents[2]
RATE = 16000


@pytest.fixture(scope="module")
def model(codec_dir):
    return hasrd.load(codec_dir)


@pytest.fixture(scope="module")
def noise():
    return lambda length, seed=0: 0.1 * torch.randn(length, generator=torch.Generator().manual_seed(seed))


def message(call, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        call(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


def same(one: hasrd.Tokens, other: hasrd.Tokens) -> bool:
    return torch.equal(one.codes, other.codes) and torch.equal(one.num_samples, other.num_samples)


def test_facts(model):
    assert (model.sample_rate, model.frame_rate, model.num_codebooks) == (16000, 31.25, 3)
    assert model.stream_names == ("semantic", "acoustic", "acoustic") and model.codebook_sizes == (8, 16, 16)
    assert "16000 Hz" in repr(model) and "semantic 1, acoustic 2" in repr(model)


def test_it_is_the_experiments_codec(model, codec_dir, noise):
    codec, wave = load_codec(codec_dir), noise(20011)
    tokens = model.encode(wave, RATE)
    expected = codec.encode(wave[None])
    assert same(tokens, expected)
    for streams in (None, ["semantic"], ["acoustic"]):
        assert torch.allclose(model.decode(tokens, streams), codec.decode(expected, streams), atol=1e-6)


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=5), st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_each_gets_the_tokens_and_the_length_it_gets_alone(model, noise, lengths, seed):
    waves = [noise(length, seed + i) for i, length in enumerate(lengths)]
    tokens = model.encode(waves, RATE)
    speech = model.decode(tokens)
    assert tokens.num_samples.tolist() == lengths and speech.shape == (len(lengths), max(lengths))
    for i, wave in enumerate(waves):
        alone = model.encode(wave, RATE)
        assert same(tokens.item(i), alone)
        assert torch.allclose(speech[i, : len(wave)], model.decode(alone)[0], atol=1e-5)
        assert not speech[i, len(wave) :].any()


def test_every_form_of_a_wave(model, noise):
    wave = noise(6000)
    expected = model.encode(wave, RATE)
    forms = [wave[None], wave.numpy(), wave.numpy()[None], wave.double(), wave.numpy().astype(">f4"), [wave], (wave,)]
    strided = np.repeat(wave.numpy(), 2)[::2]
    readonly = wave.numpy().copy()
    readonly.flags.writeable = False
    for form in [*forms, strided, readonly, wave.clone().requires_grad_()]:
        assert same(model.encode(form, RATE), expected)
    padded = torch.full((2, 6000), 7.0)
    padded[0], padded[1, :2500] = wave, noise(2500, 1)
    for lengths in ([6000, 2500], torch.tensor([6000, 2500])):
        assert same(model.encode(padded, RATE, lengths=lengths), model.encode([wave, noise(2500, 1)], RATE))
    whole = (wave * 32768).round().to(torch.int16)
    for form in (whole, whole.numpy()):
        assert same(model.encode(form, RATE), model.encode(whole.float() / 32768, RATE))


@pytest.mark.parametrize(
    "wave, words",
    [
        (torch.zeros(0), "no samples"),
        (torch.zeros(2, 800), "one channel"),
        (torch.zeros(1, 2, 800), "one channel"),
        (torch.zeros(0, 1, 800), "no utterances"),
        (np.zeros((800, 2), np.float32), "one channel"),
        (torch.tensor([0.0, np.nan, np.inf]), "2 samples are NaN or infinite"),
        (torch.zeros(800, dtype=torch.int32), "int16"),
        (np.zeros(800, np.uint8), "int16"),
        (torch.zeros(800, dtype=torch.complex64), "int16"),
        (np.array(["a"]), "int16"),
        (np.full(800, 3000.0), "scale them to"),
        ([], "an empty list"),
        ([0.1, 0.2], "a list of waves"),
        ([torch.zeros(800), torch.zeros(0)], "wave 1: no samples"),
    ],
)
def test_waves_that_are_none(model, wave, words):
    assert words in message(model.encode, wave, RATE)


def test_lengths_must_fit(model):
    for lengths in ([800], [800, 801], [800, -1], []):
        assert "lengths" in message(model.encode, torch.zeros(2, 800), RATE, lengths=lengths)
    assert "no samples" in message(model.encode, torch.zeros(2, 800), RATE, lengths=[800, 0])
    assert "of a list have their own" in message(model.encode, [torch.zeros(800)], RATE, lengths=[800])


def test_it_is_a_module(model, noise):
    """Its forward is a resynthesis at the loudness of the input, alone and as a part of a model that trains."""
    wave = torch.stack([noise(6000), 0.1 * noise(6000, 1)])
    expected = model.decode(model.encode(list(wave), RATE))
    outer = torch.nn.ModuleDict({"tokenizer": model, "other": torch.nn.Linear(1, 1)}).train()
    assert outer.training and not any(part.training for part in model.modules())
    assert torch.equal(model(wave), expected) and torch.equal(outer["tokenizer"](wave[:, None]), expected[:, None])
    levels = [model.encode(list(x), RATE).loudness for x in (wave, expected)]
    assert torch.allclose(*levels, atol=0.5)
    assert model.to("cpu") is model and model.float() is model and not any(p.requires_grad for p in model.parameters())
    for move in (model.half, model.double, lambda: model.to(torch.bfloat16)):
        assert "dtype=" in message(move)
    for shape in ((), (800,), (2, 2, 800), (1, 1, 1, 800)):
        assert "(B, 1, N) is needed" in message(model, torch.zeros(shape))


def test_all_of_it_moves(codec_dir, noise):
    """No tensor is kept where a move to another device does not find it."""
    model = hasrd.load(codec_dir)
    model(noise(6000)[None])
    model.to("meta")
    for part in model.modules():
        values = [*vars(part).values(), *part.parameters(recurse=False), *part.buffers(recurse=False)]
        assert {value.device.type for value in values if isinstance(value, torch.Tensor)} <= {"meta"}, type(part)


def test_batches_with_a_channel(model, noise):
    wave = torch.stack([noise(6000), noise(6000, 1)])[:, None]
    assert same(model.encode(wave, RATE), model.encode(list(wave[:, 0]), RATE))
    assert same(model.encode(wave.numpy(), RATE), model.encode(list(wave[:, 0]), RATE))
    shorter = model.encode([wave[0, 0], wave[1, 0, :2500]], RATE)
    assert same(model.encode(wave, RATE, lengths=[6000, 2500]), shorter)


def test_latents_are_what_is_quantized(model, noise):
    """The semantic code is the centroid nearest to the semantic layer, whatever the padding beside it."""
    waves = [noise(6000), noise(3000, 1)]
    tokens = model.encode(waves, RATE)
    latents, lengths = model.latents(waves, RATE, layer="semantic")
    assert torch.equal(lengths, tokens.lengths)
    distance = torch.cdist(latents, model.codebook("semantic").expand(2, -1, -1))
    for i, length in enumerate(lengths):
        assert torch.equal(distance[i, :length].argmin(-1), tokens.codes[i, :length, 0])
        assert not latents[i, length:].any()
    layers = [model.latents(waves[0], layer=layer)[0] for layer in range(3)]
    assert torch.equal(model.latents(waves[0])[0], layers[2]) and not torch.allclose(layers[0], layers[2])
    assert torch.allclose(latents[:1], layers[model.codec.semantic_layer], atol=1e-5)
    for layer in (3, -1, "acoustic", 1.0):
        assert "layers 0 to 2" in message(model.latents, waves[0], layer=layer)
    assert "Hz, but this model" in message(model.latents, waves[0], 8000)


def test_codebooks_add_up_to_what_is_decoded(model, noise):
    codes = model.encode(noise(6000), RATE).codes[0]
    books = [model.codebook("semantic"), model.codebook("acoustic", 0), model.codebook("acoustic", 1)]
    assert [len(book) for book in books] == list(model.codebook_sizes)
    total = sum(book[code] for book, code in zip(books, codes.unbind(-1)))
    assert torch.allclose(total, model.codec.vectors(codes[None])[0], atol=1e-6)
    for stream, m in (("acoustic", 2), ("acoustic", -1), ("speaker", 0)):
        assert "'acoustic': 2" in message(model.codebook, stream, m)


def test_another_rate(model, noise):
    wave = noise(24000)
    assert "24000 Hz, but this model takes 16000 Hz" in message(model.encode, wave, 24000)
    import soxr

    expected = model.encode(soxr.resample(wave.numpy(), 24000, RATE), RATE)
    assert same(model.encode(wave, 24000, resample=True), expected)
    assert model.encode(noise(1), 48000, resample=True).num_samples.tolist() == [1]
    for rate in (0, -1, None, "x"):
        assert "Hz" in message(model.encode, wave, rate, resample=True)


def test_decoding_codes_without_tokens(model, noise):
    tokens = model.encode(noise(6000), RATE)
    count = int(tokens.lengths)
    expected = model.decode(tokens, loudness=None)
    for codes in (tokens.codes, tokens.codes[0], tokens.codes[0].numpy().astype(np.int16), tokens.codes[0].tolist()):
        assert torch.equal(model.decode(codes, num_samples=6000), expected)
        assert model.decode(codes).shape == (1, count * 512)
    alone = model.decode(tokens.codes[..., :1], num_samples=6000, loudness=tokens.loudness)
    assert torch.equal(alone, model.decode(tokens, ["semantic"]))
    alone = model.decode(tokens.codes, ["acoustic"], [6000], tokens.loudness.tolist())
    assert torch.equal(alone, model.decode(tokens, ["acoustic"]))
    assert torch.equal(model.decode(tokens.select(["acoustic"])), model.decode(tokens, ["acoustic"]))
    assert model.decode(tokens.codes[:, :0]).shape == (1, 0)


def test_codes_that_are_none(model, noise):
    tokens = model.encode(noise(6000), RATE)
    codes = tokens.codes
    assert "integers" in message(model.decode, codes.float())
    assert "integers" in message(model.decode, codes.numpy() * 0.5)
    assert "(T, M)" in message(model.decode, codes[0, 0])
    assert "codebook 1 has 16 entries" in message(model.decode, codes + 8 * torch.tensor([0, 2, 0]))
    assert "this model has 3" in message(model.decode, torch.zeros(1, 5, 4, dtype=torch.long))
    assert "no stream named speaker" in message(model.decode, tokens, ["speaker"])
    assert "not the string" in message(model.decode, tokens, "semantic")
    assert "don't belong together" in message(model.decode, codes, num_samples=10**12)
    assert "negative" in message(model.decode, codes, num_samples=-1)
    assert "2 values of loudness for 1" in message(model.decode, codes, loudness=[-20.0, -20.0])
    assert "LUFS from -70 to 30" in message(model.decode, codes, loudness=float("nan"))
    assert "is no number" in message(model.decode, codes, loudness="loud")
    assert "2 numbers of samples for 1" in message(model.decode, codes, num_samples=[5, 5])
    other = hasrd.Tokens(codes, tokens.lengths, tokens.num_samples, 31.25, tokens.stream_names, (9, 16, 16))
    assert "this codec has" in message(model.decode, other)


def test_token_files(model, noise, tmp_path):
    path = tmp_path / "a.npz"
    tokens = model.encode(noise(6000), RATE)
    model.save_tokens(path, tokens)
    loaded = model.load_tokens(path)
    assert same(loaded, tokens) and loaded.stream_names == tokens.stream_names
    assert torch.equal(loaded.loudness, tokens.loudness) and torch.equal(model.decode(loaded), model.decode(tokens))
    with np.load(path) as file:
        assert file["codes"].dtype == np.int16 and np.array_equal(file["codes"], tokens.codes[0].numpy())
        assert file["num_samples"] == 6000 and str(file["model"]) == model.model_sha256
        content = dict(file)
    model.save_tokens(path, tokens.select(["acoustic"]))
    assert torch.equal(model.decode(model.load_tokens(path)), model.decode(tokens, ["acoustic"]))
    assert "several" not in message(model.save_tokens, path, model.encode([noise(900)] * 2, RATE))
    assert ".npz" in message(model.save_tokens, tmp_path / "a.tokens", tokens)

    def changed(**values):
        np.savez(path, **{**content, **values})
        return path

    assert "tokens of another model" in message(model.load_tokens, changed(model="0" * 64))
    assert "entries: this model has" in message(model.load_tokens, changed(codebook_sizes=[8, 16, 17]))
    assert "stream_names is of shape (2,)" in message(model.load_tokens, changed(stream_names=["semantic", "acoustic"]))
    assert "don't belong together" in message(model.load_tokens, changed(num_samples=10**15))
    assert "codebook 0 has 8 entries" in message(model.load_tokens, changed(codes=content["codes"] + 8))
    assert "50 tokens a second" in message(model.load_tokens, changed(frame_rate=50.0))
    assert "LUFS from -70 to 30" in message(model.load_tokens, changed(loudness=99.0))
    assert "newer" in message(model.load_tokens, changed(format=2))
    assert "no such file" in message(model.load_tokens, tmp_path / "none.npz")
    for call in (changed(model="0" * 64), changed(num_samples=10**15)):
        assert str(path) in message(model.load_tokens, call)
    np.savez(path, codes=content["codes"][:, :2])
    assert model.load_tokens(path).stream_names == ("semantic", "acoustic")
    assert model.load_tokens(path).loudness is None


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_damaged_token_files(model, noise, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    tokens = model.encode(noise(6000), RATE)
    model.save_tokens(path, tokens)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        loaded = model.load_tokens(path)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert loaded.codes.shape[0] == 1


def test_folders_that_are_no_model(codec_dir, tmp_path):
    assert "for models on the Hub" in message(hasrd.load, codec_dir, revision="main")
    assert "no such folder" in message(hasrd.load, tmp_path / "none")
    assert "no such folder" in message(hasrd.load, codec_dir / "config.yaml")
    assert "give a packed model" in message(hasrd.load, tmp_path)
    (tmp_path / "config.yaml").write_text("encoder: dac\n")
    assert "config.yaml" in message(hasrd.load, tmp_path)
    assert "choose one of float32, bfloat16" in message(hasrd.load, codec_dir, dtype="int8")
    assert "not available" in message(hasrd.load, codec_dir, device="no-such")
    if not torch.cuda.is_available():
        assert "not available" in message(hasrd.load, codec_dir, device="cuda")


def test_weights_of_an_experiment(codec_dir, tmp_path):
    """The best are taken where there are such; damaged ones are one line."""
    for path in codec_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    states = torch.load(codec_dir / "latest.pth", weights_only=True)
    states["codec.quantizer.layer_logits"][0] += 3.0
    torch.save(states, tmp_path / "1epoch.pth")
    (tmp_path / "valid.mel_distance.best.pth").symlink_to("1epoch.pth")
    best = hasrd.load(tmp_path)
    assert best.model_sha256 == sha256(tmp_path / "1epoch.pth")
    assert best.codec.quantizer.layer_weights[0] > 0.8
    latest = hasrd.load(tmp_path, model_file="latest.pth")
    assert latest.model_sha256 == sha256(codec_dir / "latest.pth")
    assert "no such file" in message(hasrd.load, tmp_path, model_file="none.pth")
    content = (tmp_path / "latest.pth").read_bytes()
    for bad in (b"", content[: len(content) // 2], b"text"):
        (tmp_path / "latest.pth").write_bytes(bad)
        assert "not a complete file of weights" in message(hasrd.load, tmp_path, model_file="latest.pth")


class Harmful:
    def __reduce__(self):
        return print, ("run",)


def test_nothing_is_unpickled(codec_dir, tmp_path, capfd):
    (tmp_path / "config.yaml").write_bytes((codec_dir / "config.yaml").read_bytes())
    torch.save({"codec.x": Harmful()}, tmp_path / "latest.pth")
    assert "not a complete file of weights" in message(hasrd.load, tmp_path)
    np.savez(tmp_path / "a.npz", codes=np.array([Harmful()], dtype=object))
    assert "not a file of tokens" in message(hasrd.load(codec_dir).load_tokens, tmp_path / "a.npz")
    assert "run" not in capfd.readouterr().out


@pytest.mark.parametrize("frontend, encoder", [("log_mel", "log_mel_cnn"), ("raw", "dac")])
def test_codecs_that_train_their_encoder(tmp_path, noise, frontend, encoder):
    conf = {"channels": [8, 12, 16], "output_size": 16} if frontend == "log_mel" else {"channels": 4, "output_size": 16}
    config = {
        "frontend": frontend,
        "encoder": encoder,
        "encoder_conf": conf,
        "quantizer": "residual_vq",
        "quantizer_conf": {"num_codebooks": 2, "codebook_size": 16},
        "decoder": "dac",
        "decoder_conf": {"channels": 32},
    }
    torch.manual_seed(0)
    codec = Codec.from_config(config).eval()
    exp = tmp_path / "exp"
    exp.mkdir()
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save({f"codec.{name}": value for name, value in codec.state_dict().items()}, exp / "latest.pth")
    wave = noise(5000)
    expected = codec.encode(wave[None])
    for folder in (exp, pack(exp, tmp_path / "packed")):
        model = hasrd.load(folder)
        assert same(model.encode(wave, RATE), expected)
        # 10 ms are padded to one token and give 10 ms.
        short = model.encode(wave[:160], RATE)
        assert short.lengths.tolist() == [1] and model.decode(short).shape == (1, 160)


def test_bfloat16_takes_and_gives_float32(codec_dir, model, noise):
    half = hasrd.load(codec_dir, dtype="bfloat16")
    assert {p.dtype for p in half.codec.decoder.parameters()} & {torch.bfloat16}
    tokens = model.encode(noise(20000), RATE)
    speech = half.decode(tokens)
    assert speech.dtype == torch.float32 and torch.allclose(speech, model.decode(tokens), atol=0.1)
    assert half.encode(noise(20000), RATE).codes.shape == tokens.codes.shape


def closure(names: list[str]) -> set[str]:
    """What is installed along with `names`, as normalised names of distributions."""
    found: set[str] = set()
    todo = [re.sub(r"[-_.]+", "-", name).lower() for name in names]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        todo += [
            re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower() for line in lines if "extra ==" not in line
        ]
    return found


ALONE = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *places):
        return None if name.partition(".")[0] in REFUSED else self.finder.find_spec(name, *places)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import numpy, torch
import hasrd
model = hasrd.load(sys.argv[1])
wave = 0.1 * torch.randn(9000)
tokens = model.encode(wave, 16000)
assert model.decode(tokens).shape == (1, 9000)
model.save_tokens(sys.argv[2], tokens)
assert torch.equal(model.load_tokens(sys.argv[2]).codes, tokens.codes)
model.encode(wave, 24000, resample=True)
for hub in (lambda: model.push_to_hub("org/name"), lambda: hasrd.load("org/name")):
    try:
        hub()
    except hasrd.UserError as error:
        assert "needs the package huggingface_hub" in str(error)
    else:
        raise AssertionError
import hasrd.bin.main
for words in (["encode", sys.argv[1], sys.argv[3], sys.argv[2] + ".1.npz"],
              ["decode", sys.argv[1], sys.argv[2] + ".1.npz", sys.argv[2] + ".wav"]):
    hasrd.bin.main.main(words)
print("used:", *sorted({name.partition(".")[0] for name in sys.modules} & REFUSED))
"""


def test_a_packed_model_needs_the_base_packages_alone(codec_dir, tmp_path):
    """Every other package that is installed, ESPnet first, is made to be missing."""
    base = (ROOT / "tools/requirements/base.txt").read_text().splitlines()
    allowed = closure([re.match(r"[\w.-]+", line)[0] for line in base if line and not line.startswith("#")]) | {"hasrd"}
    refused = {"espnet", "espnet2", "torchaudio", "kaldiio", "faiss", "librosa", "matplotlib", "sentencepiece", "jiwer"}
    for module, owners in metadata.packages_distributions().items():
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & allowed:
            refused.add(module)
    assert "torch" not in refused and "numpy" not in refused
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros(4000, np.float32), RATE)
    packed = pack(codec_dir, tmp_path / "packed")
    command = [sys.executable, "-c", f"REFUSED = {refused!r}\n{ALONE}", packed, tmp_path / "a.npz", tmp_path / "a.wav"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].strip() == "used:"


def test_import_is_light():
    code = (
        "import sys, hasrd; heavy = {'torch', 'numpy', 'yaml', 'espnet', 'espnet2'}; print(heavy & set(sys.modules));"
        "print('load' in dir(hasrd), hasrd.UserError.__name__, heavy & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.split("\n")[:2] == ["set()", "True UserError set()"], result.stderr
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = hasrd.lod
