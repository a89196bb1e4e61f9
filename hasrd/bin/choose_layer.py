# Copyright 2026 The hasrd authors
# Apache-2.0
"""Choose the semantic layer: the one that a CTC probe over a learned mix of all layers weighs most (stage 4).

Writes `layer` and `layer_weights.json` into the probe's directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hasrd.errors import UserError, run_main
from hasrd.jobs.atomic import write_json, write_text
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Origin, forget, why_stale, write_record
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


def main() -> None:
    """Choose on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probe_dir", required=True, type=Path, help="directory of the probe")
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside it")
    args = parser.parse_args()
    chosen = args.probe_dir / "layer"
    origin = Origin(files={"the probe": args.probe_dir / args.model_file})
    reason = why_stale(chosen, origin)
    if not reason and (args.probe_dir / "layer_weights.json").is_file():
        print(f"semantic layer: {chosen.read_text(encoding='utf-8').strip()}, chosen before")
        return
    if reason and chosen.exists():
        print(f"{chosen}: chosen again: {reason}")
    forget(chosen)
    record = origin.record()
    weights = layer_weights(args.probe_dir, args.model_file)
    # The paper chooses among the Conformer's layers, 1 .. N.
    layer = max(range(1, len(weights)), key=weights.__getitem__)
    with exclusive(args.probe_dir):
        write_json(args.probe_dir / "layer_weights.json", {"asr": weights})
        write_text(chosen, f"{layer}\n")
        write_record(chosen, record)
    print("weights of layers 0 ..: " + " ".join(f"{weight:.3f}" for weight in weights))
    print(f"semantic layer: {layer}")


if __name__ == "__main__":
    run_main(main)
