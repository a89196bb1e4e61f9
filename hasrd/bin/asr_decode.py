# Copyright 2026 The hasrd authors
# Apache-2.0
"""CTC decoding with a trained probe, greedy or by beam search, and the CTC loss of the transcripts (stage 7)."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence

import torch

from hasrd.config import read_yaml
from hasrd.data.archive import read_array
from hasrd.data.audio import read_audio
from hasrd.data.features import batches
from hasrd.data.kaldi import read_table, write_table
from hasrd.errors import UserError, run_main
from hasrd.jobs.origin import Origin, origin_file, why_stale, write_record
from hasrd.progress import progress
from hasrd.train.entry import load_task

# Padded frames (features) or samples (waves) a batch.
BATCH_SIZE = {"kaldi_ark": 20000, "sound": 16000 * 60}


@dataclass
class Probe:
    """A trained probe, ready to decode.

    Attributes:
        model: ESPnet's ASR model in eval mode.
        preprocess: What its training does to an utterance.
        tokens: The characters that it answers with.
    """

    model: Any
    preprocess: Callable
    tokens: list[str]


def load_probe(exp_dir: Path, model_file: str) -> Probe:
    """Load a probe from its experiment directory; its weights must fit exactly.

    Raises:
        UserError: A missing file, or weights that don't fit.
    """
    for needed in (exp_dir / "config.yaml", exp_dir / model_file):
        if not needed.exists():
            raise UserError(f"{needed}: no such file: train the probe first")
    args = argparse.Namespace(**read_yaml(exp_dir / "config.yaml"))
    task = load_task("hasrd.tasks.asr:ASRTask")
    model = task.build_model(args)
    try:
        model.load_state_dict(torch.load(exp_dir / model_file, map_location="cpu", weights_only=True))
    except RuntimeError as error:
        raise UserError(f"{exp_dir / model_file}: {str(error).splitlines()[1].strip()}") from error
    return Probe(model.eval(), task.build_preprocess_fn(args, train=False), args.token_list)


def collapse(path: list[int], blank: int = 0) -> list[int]:
    """The best path without repetitions and blanks."""
    return [token for token, before in zip(path, [blank, *path]) if token != blank and token != before]


def total_scores(log_probs: torch.Tensor, candidates: Sequence[list[int]]) -> list[float]:
    """CTC log-probability of each label sequence, the sum over its paths.

    Args:
        log_probs: (T, V), blank first.
        candidates: Labels without blanks.
    """
    count = len(candidates)
    target = torch.tensor([token for candidate in candidates for token in candidate], dtype=torch.long)
    nats = torch.nn.functional.ctc_loss(
        log_probs[:, None].expand(-1, count, -1),
        target,
        torch.full((count,), len(log_probs)),
        torch.tensor([len(candidate) for candidate in candidates]),
        reduction="none",
    )
    return (-nats).tolist()


def prefix_search(log_probs: torch.Tensor, beam_size: int) -> list[int]:
    """Labels of a CTC prefix beam search, which sums the paths of each label sequence; never worse than the best path.

    Args:
        log_probs: (T, V), blank first.
        beam_size: Label sequences that are kept at each frame; 1 gives the best path's.

    Raises:
        UserError: fast-ctc-decode is not installed.
    """
    greedy = collapse(log_probs.argmax(dim=-1).tolist())
    if beam_size == 1 or not len(log_probs):
        return greedy
    try:
        from fast_ctc_decode import beam_search
    except ImportError:
        raise UserError("--beam_size above 1 needs fast-ctc-decode: pip install fast-ctc-decode") from None
    alphabet = [chr(token + 1) for token in range(log_probs.shape[1])]
    labels, _ = beam_search(
        log_probs.exp().numpy(), alphabet, beam_size=beam_size, beam_cut_threshold=0.0, collapse_repeats=True
    )
    candidates = [greedy, [ord(label) - 1 for label in labels]]
    return max(zip(total_scores(log_probs, candidates), candidates))[1]


def to_text(tokens: list[str]) -> str:
    """Characters to words."""
    return " ".join("".join(" " if token == "<space>" else token for token in tokens).split())


def decode(
    probe: Probe, inputs: Path, kind: str, reference: Path, device: torch.device, beam_size: int = 1
) -> tuple[dict[str, str], dict[str, float]]:
    """Return hypotheses {utterance: text} and losses {utterance: nats} of one data set.

    Args:
        probe: The probe.
        inputs: scp file of features, codes or waves.
        kind: "kaldi_ark" or "sound".
        reference: Kaldi text file with the transcripts.
        device: Where to compute.
        beam_size: 1: the best path; more: `prefix_search`.

    Raises:
        UserError: An utterance without transcript, a missing or damaged archive or audio file.
    """
    model = probe.model.to(device)
    table, texts = read_table(inputs), read_table(reference)
    arrays, labels = {}, {}
    for utterance, entry in table.items():
        if utterance not in texts:
            raise UserError(f"{reference}: utterance '{utterance}' of {inputs} is missing")
        array = read_array(entry) if kind == "kaldi_ark" else read_audio(entry, 16000)
        data = probe.preprocess(utterance, {"speech": array, "text": texts[utterance]})
        arrays[utterance], labels[utterance] = torch.from_numpy(data["speech"]), torch.from_numpy(data["text"])
    hypotheses, losses = {}, {}
    plan = list(batches({u: len(a) for u, a in arrays.items()}, BATCH_SIZE[kind]))
    with torch.inference_mode():
        for batch in progress(plan, total=len(plan), desc=f"decoding {inputs}", unit="batches"):
            lengths = torch.tensor([len(arrays[u]) for u in batch], device=device)
            padded = torch.nn.utils.rnn.pad_sequence([arrays[u] for u in batch], batch_first=True).to(device)
            hidden, hidden_lengths = model.encode(padded, lengths)
            log_probs = model.ctc.log_softmax(hidden).float().cpu()
            target = torch.nn.utils.rnn.pad_sequence([labels[u] for u in batch], batch_first=True)
            target_lengths = torch.tensor([len(labels[u]) for u in batch])
            nats = torch.nn.functional.ctc_loss(
                log_probs.transpose(0, 1), target, hidden_lengths.cpu(), target_lengths, reduction="none"
            )
            for row, utterance in enumerate(batch):
                answer = prefix_search(log_probs[row, : hidden_lengths[row]], beam_size)
                hypotheses[utterance] = to_text([probe.tokens[token] for token in answer])
                losses[utterance] = float(nats[row])
    return hypotheses, losses


def main() -> None:
    """Decode on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp_dir", required=True, type=Path, help="directory of the probe")
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside it")
    parser.add_argument("--inputs", required=True, type=Path, nargs="+", help="scp files, one a test set")
    parser.add_argument("--kind", default="kaldi_ark", choices=sorted(BATCH_SIZE), help="what the scp files list")
    parser.add_argument("--ref", required=True, type=Path, nargs="+", help="text files, one a test set")
    parser.add_argument("--out", required=True, type=Path, nargs="+", help="folders for text and utt2loss, one a set")
    parser.add_argument("--beam_size", type=int, default=1, help="1: greedy; more: CTC prefix beam search, without LM")
    parser.add_argument("--ngpu", type=int, default=0, help="1: compute on the GPU")
    args = parser.parse_args()
    if args.beam_size < 1:
        parser.error(f"--beam_size {args.beam_size}: at least 1 is needed")
    todo = []
    for inputs, reference, out in zip(args.inputs, args.ref, args.out, strict=True):
        origin = Origin(
            {"beam_size": args.beam_size},
            {"the probe": args.exp_dir / args.model_file, "the transcripts": reference},
            {"the inputs": inputs},
        )
        if (out / "utt2loss").is_file() and not why_stale(out / "text", origin):
            print(f"{out}/text: up to date, skipped")
        else:
            todo.append((inputs, reference, out, origin))
    if not todo:
        return
    probe = load_probe(args.exp_dir, args.model_file)
    device = torch.device("cuda" if args.ngpu else "cpu")
    for inputs, reference, out, origin in todo:
        for path in (origin_file(out / "text"), out / "utt2loss", out / "text"):
            path.unlink(missing_ok=True)
        record = origin.record()
        hypotheses, losses = decode(probe, inputs, args.kind, reference, device, args.beam_size)
        write_table(out / "utt2loss", {utterance: f"{loss:.6g}" for utterance, loss in losses.items()})
        write_table(out / "text", hypotheses)
        write_record(out / "text", record)
        print(f"{out}/text: {len(hypotheses)} utterances")


if __name__ == "__main__":
    run_main(main)
