# Copyright 2026 The hasrd authors
# Apache-2.0
"""The choice of the semantic layer: the one that a CTC probe over a learned mix of all layers weighs most (stage 4)."""

from __future__ import annotations

from pathlib import Path

from hasrd.errors import UserError
from hasrd.jobs.atomic import write_json, write_text
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Origin, is_current, renew, write_record
from hasrd.models.weights import read_weights

LOGITS = "frontend.layer_logits"


def layer_weights(probe_dir: Path, model_file: str) -> list[float]:
    """The mix's weights, layer 0 (the CNN) first; their sum is 1.

    Raises:
        UserError: No such file, or a probe without a mix.
    """
    path = probe_dir / model_file
    states = read_weights(path, "train the probe of stage 4 to its end")
    if LOGITS not in states:
        raise UserError(f"{path}: this probe has no mix of layers: train it with the frontend 'upstream'")
    return states[LOGITS].double().softmax(dim=0).tolist()


def choose_layer(probe_dir: Path, model_file: str) -> None:
    """Write `layer` and `layer_weights.json` into the probe's directory, unless they are up to date.

    Raises:
        UserError: As of `layer_weights`, or another process writes there.
    """
    chosen, weights_file = probe_dir / "layer", probe_dir / "layer_weights.json"
    origin = Origin(files={"the probe": probe_dir / model_file})
    if is_current(chosen, origin, weights_file, again=f"{chosen}: chosen again"):
        print(f"semantic layer: {chosen.read_text(encoding='utf-8').strip()}, chosen before")
        return
    record = renew(chosen, origin)
    weights = layer_weights(probe_dir, model_file)
    # The paper chooses among the Conformer's layers, 1 .. N.
    layer = max(range(1, len(weights)), key=weights.__getitem__)
    with exclusive(probe_dir):
        write_json(weights_file, {"asr": weights})
        write_text(chosen, f"{layer}\n")
        write_record(chosen, record)
    print("weights of layers 0 ..: " + " ".join(f"{weight:.3f}" for weight in weights))
    print(f"semantic layer: {layer}")
