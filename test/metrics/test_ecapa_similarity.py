# Copyright 2026 The hasrd authors
# Apache-2.0
"""ECAPA-TDNN from a folder like the published one, with a small random network in it."""

import subprocess
import sys

import numpy as np
import pytest

from hasrd.metrics import ecapa_similarity

needs_speechbrain = pytest.mark.skipif(
    not ecapa_similarity.ECAPASimilarity.available(), reason="speechbrain is not installed (extra: eval)"
)

# As SpeechBrain publishes it: the paths are those of a hub, from which nothing may be fetched.
HYPERPARAMS = """
pretrained_path: no-such-user/no-such-model
n_mels: 80
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [8, 8, 8, 8, 24]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 8
    res2net_scale: 2
    se_channels: 8
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 12
    out_neurons: 3
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        mean_var_norm_emb: !ref <pretrained_path>/mean_var_norm_emb.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""

# In a process of its own: hypothesis looks into all modules that are loaded, and SpeechBrain's lazy ones fail then.
SCRIPT = """
import sys
from pathlib import Path
import numpy as np, soundfile, torch
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier
from speechbrain.processing.features import InputNormalization
from hasrd.bin.score import main
from hasrd.errors import UserError
from hasrd.metrics import ecapa_similarity
from hasrd.metrics.scores import read_score

here = Path(sys.argv[1])
folder = here / "model"
torch.manual_seed(0)
network = ECAPA_TDNN(
    80, lin_neurons=12, channels=[8, 8, 8, 8, 24], kernel_sizes=[5, 3, 3, 3, 1], dilations=[1, 2, 3, 4, 1],
    attention_channels=8, res2net_scale=2, se_channels=8,
)
torch.save(network.state_dict(), folder / "embedding_model.ckpt")
torch.save(Classifier(12, out_neurons=3).state_dict(), folder / "classifier.ckpt")
InputNormalization(norm_type="global", std_norm=False)._save(folder / "mean_var_norm_emb.ckpt")
labels = CategoricalEncoder()
labels.update_from_iterable(["a", "b", "c"])
labels.save(folder / "label_encoder.txt")

# The network by hand, on features without their mean over time.
waves = np.load(here / "waves.npy")
network.eval()
found = []
for wave in waves:
    with torch.no_grad():
        feats = Fbank(n_mels=80)(torch.from_numpy(wave)[None])
        found.append(network(feats - feats.mean(1, keepdim=True)).flatten().numpy())
cosine = found[0] @ found[1] / np.linalg.norm(found[0]) / np.linalg.norm(found[1])
a, b = (ecapa_similarity.embed(wave, folder) for wave in waves)
assert abs(a @ b - cosine) < 1e-4, (a @ b, cosine)
assert abs(np.linalg.norm(a) - 1) < 1e-9 and cosine < 0.9999
assert ecapa_similarity.embed(np.zeros(9000, np.float32), folder) is None
assert np.isfinite(ecapa_similarity.embed(waves[1][:1], folder)).all()

for name, wave in zip(("ref", "hyp"), waves):
    soundfile.write(here / f"{name}.wav", wave, 16000, subtype="FLOAT")
    (here / f"{name}.scp").write_text(f"u {here / name}.wav")
options = ["--test_set", "t", "--system", "s", "--ref", f"{here}/ref.scp", "--hyp", f"{here}/hyp.scp"]
main(["ecapa_similarity", *options, "--out", f"{here}/out", "--ecapa_dir", str(folder)])
score = read_score(here / "out/ecapa_similarity.json")
assert abs(score.mean - cosine) < 1e-4 and score.details["model"] == ecapa_similarity.folder_digest(folder)

ecapa_similarity._encoder.cache_clear()
(folder / "embedding_model.ckpt").unlink()
try:
    ecapa_similarity.embed(waves[0], folder)
except UserError as error:
    assert "no SpeechBrain speaker model can be loaded" in str(error) and "\\n" not in str(error)
else:
    raise AssertionError("a folder without weights")
assert {path.name for path in folder.iterdir()} == {
    "hyperparams.yaml", "classifier.ckpt", "mean_var_norm_emb.ckpt", "label_encoder.txt"}
"""


@needs_speechbrain
def test_a_network_from_a_folder(tmp_path, voice, noisy):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "hyperparams.yaml").write_text(HYPERPARAMS)
    np.save(tmp_path / "waves.npy", np.stack([voice, noisy(voice, 0)]))
    done = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr


@needs_speechbrain
@pytest.mark.parametrize(
    "line",
    [
        "a: !new:os.mkdir [MARKER]",
        "a: !apply:os.mkdir [MARKER]",
        "a: !applyref:os.mkdir [MARKER]",
        "a: !name:os.mkdir",
        "a: !module:payload",
        "a: !include:other.yaml",
        "a: !!python/object/apply:os.mkdir [MARKER]",
        "modules: {x: [{y: !new:speechbrain.utils.parameter_transfer.Pretrainer {z: !new:os.mkdir [MARKER]}}]}",
        "? !new:os.mkdir [MARKER]\n: 1",
        "%TAG !e! !new:os.\n---\na: !e!mkdir [MARKER]",
        "a: 1\n---\nb: !new:os.mkdir [MARKER]",
    ],
)
def test_what_its_folder_names_is_not_run(tmp_path, line, one_line):
    where = tmp_path / "hyperparams.yaml"
    where.write_text(line.replace("MARKER", str(tmp_path / "marker")))
    (tmp_path / "other.yaml").write_text(f"a: !new:os.mkdir [{tmp_path / 'marker'}]")
    one_line("hyperparams.yaml", ecapa_similarity.embed, np.ones(9000, np.float32), tmp_path)
    assert not (tmp_path / "marker").exists()
    ecapa_similarity.check_hyperparams(HYPERPARAMS, where)


def test_its_digest_is_of_the_content(tmp_path, one_line):
    one_line("hyperparams.yaml: no such file: --ecapa_dir", ecapa_similarity.folder_digest, tmp_path)
    (tmp_path / "hyperparams.yaml").write_text("a: 1")
    first = ecapa_similarity.folder_digest(tmp_path)
    (tmp_path / "embedding_model.ckpt").write_bytes(b"weights")
    assert ecapa_similarity.folder_digest(tmp_path) != first
