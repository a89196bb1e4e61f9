# Copyright 2026 The hasrd authors
# Apache-2.0
"""Models of ESPnet's SSL task as frozen encoders: its own outputs, alone and in a batch, from its own files."""

from __future__ import annotations

import sys

import pytest
import torch
import yaml

from hasrd.bin import import_encoder
from hasrd.errors import UserError
from hasrd.models.checkpoint import load_encoder
from hasrd.models.import_wav2vec2 import load_wav2vec2
from hasrd.registry import resolve

pytest.importorskip("espnet2.asr.frontend.cnn")
CONFIG = {
    "input_size": None,
    "frontend": "wav2vec_cnn",
    "frontend_conf": {
        "norm_mode": "group_norm",
        "conv_mode": "standard",
        "bias": False,
        "shapes": [[8, 10, 5], [8, 3, 2], [8, 2, 2]],
        "normalize_audio": True,
    },
    "specaug": None,
    "normalize": "utterance_mvn",
    "normalize_conf": {"norm_vars": True},
    "preencoder": "linear",
    "preencoder_conf": {"output_size": 16},
    "encoder": "transformer",
    "encoder_conf": {
        "output_size": 16,
        "attention_heads": 2,
        "linear_units": 24,
        "num_blocks": 3,
        "input_layer": "wav2vec",
        "pos_enc_layer_type": "conv",
        "use_flash_attn": False,
    },
    "loss": [{"name": "hubert", "conf": {"num_classes": 5, "final_dim": 8}}],
    "util": [{"name": "mask", "conf": {}}],
    "token_list": ["a", "b"],
    "model_conf": {},
}
CONFORMER = {"encoder": "conformer", "encoder_conf": {**CONFIG["encoder_conf"], "input_layer": "linear"}}
CONFORMER["encoder_conf"].pop("pos_enc_layer_type")


def espnet_model(config):
    """ESPnet's model of a config, as its task builds it."""
    from espnet2.ssl.espnet_model import ESPnetSSLModel
    from espnet2.ssl.loss.hubert import HuBERTLoss
    from espnet2.ssl.utils.mask import Masking

    from hasrd.espnet.ssl_encoder import CHOICES

    def build(part, **given):
        return resolve(CHOICES, config[part], allow_import=False)(**given, **config[f"{part}_conf"])

    torch.manual_seed(0)
    return ESPnetSSLModel(
        frontend=build("frontend"),
        specaug=None,
        normalize=build("normalize"),
        preencoder=build("preencoder", input_size=8),
        encoder=build("encoder", input_size=16),
        losses=[HuBERTLoss(16, **config["loss"][0]["conf"])],
        util_attributes={"mask"},
        required_inputs=set(),
        util_modules=torch.nn.ModuleDict({"mask": Masking(16)}),
        token_list=config["token_list"],
    ).eval()


@pytest.fixture
def experiment(tmp_path):
    """make(**changes) -> ESPnet's model, the folder that its training would leave."""

    def make(**changes):
        config = {**CONFIG, **changes}
        model = espnet_model(config)
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        torch.save(model.state_dict(), tmp_path / "valid.loss.best.pth")
        return model, tmp_path

    return make


def imported(folder, monkeypatch):
    out = folder / "encoder.safetensors"
    monkeypatch.setattr(sys, "argv", ["import", str(folder), "--out", str(out)])
    import_encoder.main()
    return load_encoder(out)


@pytest.mark.parametrize("changes", [{}, CONFORMER], ids=["transformer", "conformer"])
def test_it_is_espnets_model(experiment, monkeypatch, changes):
    model, folder = experiment(**changes)
    _, front = imported(folder, monkeypatch)
    wave = 0.1 * torch.randn(3, 4000)
    lengths = torch.tensor([4000, 39, 2501])
    encoder = front.encoder
    assert (encoder.stride, encoder.input_window, encoder.num_layers) == (20, 30, 4)
    assert (front.frame_shift, front.min_samples, front.num_tokens(30), front.num_tokens(29)) == (20, 30, 1, 0)
    assert torch.equal(front.num_tokens(lengths), torch.tensor([199, 1, 124]))
    with torch.no_grad():
        output = front(wave, lengths)
        assert output.lengths.tolist() == [199, 1, 124]
        for row, length in enumerate(lengths.tolist()):
            last, blocks, tokens = model.inference_encode(wave[row : row + 1, :length].clone(), lengths[row : row + 1])
            assert tokens == output.lengths[row]
            for ours, theirs in zip(output.layers[1:], [*blocks[:-1], last], strict=True):
                torch.testing.assert_close(ours[row, :tokens], theirs[0], atol=1e-5, rtol=0)
                assert not ours[row, tokens:].any()
            alone = front(wave[row : row + 1, :length], lengths[row : row + 1])
            for together, single in zip(output.layers, alone.layers, strict=True):
                torch.testing.assert_close(together[row, :tokens], single[0], atol=1e-5, rtol=0)
        # Of an utterance without a token nothing is asked.
        assert front(wave[:1, :29], torch.tensor([29])).last.shape == (1, 0, 16)


def test_tensors_must_fit(experiment):
    model, folder = experiment()
    file = folder / "valid.loss.best.pth"
    tensors = model.state_dict()
    name = "encoder.after_norm.weight"
    for bad in (
        {key: value for key, value in tensors.items() if key != name},
        {**tensors, name: torch.zeros(3)},
        {**tensors, "encoder.after_norm.more": torch.zeros(3)},
    ):
        torch.save(bad, file)
        with pytest.raises(UserError, match="encoder.after_norm") as error:
            load_wav2vec2(str(folder), file.name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"frontend": "default"}, "frontend is default"),
        ({"normalize": "global_mvn"}, "normalize is global_mvn"),
        ({"encoder_conf": {**CONFIG["encoder_conf"], "input_layer": "conv2d"}}, "input_layer is conv2d"),
        ({"encoder_conf": {**CONFIG["encoder_conf"], "interctc_layer_idx": [1]}}, "interctc_layer_idx"),
    ],
)
def test_what_can_not_be_imported(tmp_path, changes, message):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**CONFIG, **changes}))
    with pytest.raises(UserError, match=message):
        load_wav2vec2(str(tmp_path), "valid.loss.best.pth")
