# Copyright 2026 The hasrd authors
# Apache-2.0
"""Our codec as ESPnet's AudioCoding builds and calls it."""

from __future__ import annotations

import subprocess
import sys

import torch
from espnet2.bin.gan_codec_inference import AudioCoding

import hasrd
from hasrd.espnet.speechlm import register, write_config


def test_espnet_encodes_and_decodes_with_it(codec_dir, tmp_path):
    register()
    register()
    write_config(codec_dir, tmp_path / "codec.yaml")
    coding = AudioCoding(train_config=tmp_path / "codec.yaml", device="cpu")
    model = hasrd.load(codec_dir)
    facts = coding.model.meta_info()
    assert (facts["fs"], facts["frame_shift"]) == (model.sample_rate, model.frame_shift)
    assert facts["num_streams"] == len(facts["code_size_per_stream"]) == model.num_codebooks
    wave = 0.1 * torch.randn(9000, generator=torch.Generator().manual_seed(0))
    output = coding(wave)
    tokens = model.encode(wave, model.sample_rate)
    assert torch.equal(output["codes"].permute(1, 2, 0), tokens.codes)
    expected = model.decode(tokens.codes)
    torch.testing.assert_close(output["resyn_audio"], expected[0])
    # As its tokenizer calls it, with a batch and fewer codebooks.
    codes = coding.model.encode(torch.stack([wave, wave.flip(0)])[:, None])
    assert codes.shape[:2] == (model.num_codebooks, 2)
    decoded = coding.decode(codes[:1])["resyn_audio"]
    torch.testing.assert_close(decoded[:1, 0], model.decode(tokens.codes[..., :1]))


def test_a_program_of_espnets_runs_with_it(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom espnet2.tasks.gan_codec import codec_choices\n"
        "print(sys.argv[1:], codec_choices.get_class('hasrd').__name__)\n"
    )
    words = [sys.executable, "-m", "hasrd.espnet.speechlm", str(program), "--nj", "1"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "['--nj', '1'] SpeechLMCodec", done.stderr
