# Copyright 2026 The hasrd authors
# Apache-2.0
"""Which importer takes what, and layers of any imported encoder brought to one scale."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from score_files import write_wavs

from hasrd.bin import import_encoder
from hasrd.codec.inference import inference_form
from hasrd.models import importing
from hasrd.models.checkpoint import load_encoder
from hasrd.models.importing import load_source

FLOAT = {"subtype": "FLOAT"}


@pytest.mark.parametrize(
    "cls",
    ["Wav2Vec2Model", "HubertModel", "WavLMModel", "Data2VecAudioModel", "Wav2Vec2BertModel", "WhisperModel"],
)
def test_standardized_layers_of_any_encoder(cls, make_model, tmp_path):
    make_model(tmp_path / "model", cls)
    data = tmp_path / "data"
    waves = 0.1 * torch.randn(3, 16_000)
    lengths = torch.tensor([16_000, 9000, 12_345])
    write_wavs(data, {f"u{i}": wave[:length].numpy() for i, (wave, length) in enumerate(zip(waves, lengths))}, **FLOAT)
    out = tmp_path / "encoder.safetensors"
    import_encoder.main([str(tmp_path / "model"), "--standardize", str(data), "--out", str(out)])
    config, front = load_encoder(out)
    assert config["encoder_conf"]["standardize"] is True
    _, plain = load_source(str(tmp_path / "model"), "")
    with torch.no_grad():
        output, before = front(waves, lengths), plain(waves, lengths)
        for layer, old in zip(output.layers, before.layers, strict=True):
            frames = torch.cat([row[:length] for row, length in zip(layer, output.lengths)]).double()
            assert frames.mean(0).abs().max() < 1e-4
            torch.testing.assert_close(frames.std(0, correction=0), torch.ones_like(frames[0]), atol=2e-3, rtol=0)
            for row, length in zip(layer, output.lengths):
                assert not row[length:].any()
            # Nothing but a scale and a shift of each dimension.
            flat = torch.cat([row[:length] for row, length in zip(old, output.lengths)]).double()
            flat = (flat - flat.mean(0)) / flat.std(0, correction=0)
            torch.testing.assert_close(frames, flat, atol=2e-3, rtol=0)
        fast = inference_form(front.encoder, torch.bfloat16)
        assert fast.statistics.mean.dtype == torch.float32 and fast.statistics.mean.isfinite().all()


def test_an_utterance_without_a_token_gives_no_statistics(make_model, tmp_path, one_line):
    make_model(tmp_path / "model", "HubertModel")
    write_wavs(tmp_path, {"a": torch.randn(300).numpy()}, **FLOAT)
    out = tmp_path / "encoder.safetensors"
    one_line(
        "no utterance that is long enough",
        import_encoder.main,
        [str(tmp_path / "model"), "--standardize", str(tmp_path), "--out", str(out)],
    )
    assert not out.exists()


def test_an_encoder_is_imported_once_and_again_when_its_files_or_the_speech_have_changed(make_model, tmp_path, capsys):
    model = make_model(tmp_path / "model", "HubertModel")
    wave = 0.1 * torch.randn(16_000).numpy()
    write_wavs(tmp_path, {"u0": wave})
    words = [str(tmp_path / "model"), "--standardize", str(tmp_path), "--out", str(tmp_path / "encoder.safetensors")]

    def imports() -> bool:
        import_encoder.main(words)
        return "imported already" not in capsys.readouterr().out

    assert imports() and not imports()
    write_wavs(tmp_path, {"u0": wave[::-1]})
    assert imports() and not imports()
    (tmp_path / "encoder.safetensors").unlink()
    assert imports()
    with torch.no_grad():
        next(model.parameters()).add_(0.01)
    model.save_pretrained(tmp_path / "model")
    assert imports() and not imports()


@pytest.mark.parametrize("most, heard", [(10, [0, 1, 2, 3, 4]), (5, [0, 1, 2, 3, 4]), (2, [0, 2])])
def test_statistics_of_a_large_set_are_of_a_part_of_it(most, heard, monkeypatch, one_line):
    given = []
    monkeypatch.setattr(importing, "MOST_UTTERANCES", most)
    monkeypatch.setattr(importing, "wave_batches", lambda wavs, *_: given.append(dict(wavs)) or iter(()))
    front = SimpleNamespace(encoder=None, sample_rate=16000)
    wavs = {f"u{number}": f"{number}.wav" for number in (3, 1, 4, 0, 2)}
    one_line("no utterance that is long enough", importing.standardize_layers, {}, front, wavs)
    assert given == [{f"u{number}": f"{number}.wav" for number in heard}]
