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
from hasrd.data.kaldi import read_table, write_table
from hasrd.data.waves import batches
from hasrd.errors import UserError
from hasrd.jobs.origin import Origin, is_current, renew, write_record
from hasrd.models.weights import building, load_strict, read_weights
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


def load_probe(exp_dir: Path, model_file: str, *, allow_import: bool = False) -> Probe:
    """Load a probe from its experiment directory; its weights must fit exactly.

    Args:
        exp_dir: The directory.
        model_file: Name of the weights inside it.
        allow_import: Import classes that its configuration names by import path, and load models of others in it.

    Raises:
        UserError: A missing file, a class or model that is not allowed, or weights that don't fit.
    """
    advice = "train the probe first"
    config = read_yaml(exp_dir / "config.yaml", advice=advice)
    states = read_weights(exp_dir / model_file, advice)
    task = load_task("hasrd.tasks.asr:ASRTask")
    with building(exp_dir / "config.yaml"):
        args = argparse.Namespace(**config)
        model = task.build_from_file(args, allow_import)
        preprocess = task.build_preprocess_fn(args, train=False)
    load_strict(model, states, exp_dir / model_file)
    return Probe(model.eval(), preprocess, args.token_list)


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


def decode_sets(
    exp_dir: Path,
    model_file: str,
    sets: Sequence[tuple[Path, Path, Path]],
    *,
    kind: str,
    beam_size: int,
    ngpu: int,
    allow_import: bool,
) -> None:
    """Write `text` and `utt2loss` of test sets; what is up to date stays.

    Args:
        exp_dir, model_file, allow_import: See `load_probe`.
        sets: (inputs, reference, folder to write) of each; see `decode`.
        kind, beam_size: See `decode`.
        ngpu: 1 computes on the GPU.

    Raises:
        UserError: As of `load_probe` and `decode`; the sets before are done.
    """
    todo = []
    for inputs, reference, out in sets:
        origin = Origin(
            {"beam_size": beam_size},
            {"the probe": exp_dir / model_file, "the transcripts": reference},
            {"the inputs": inputs},
        )
        if is_current(out / "text", origin, out / "utt2loss", again=f"{out}/text: decoded again"):
            print(f"{out}/text: up to date, skipped")
        else:
            todo.append((inputs, reference, out, origin))
    if not todo:
        return
    probe = load_probe(exp_dir, model_file, allow_import=allow_import)
    device = torch.device("cuda" if ngpu else "cpu")
    for inputs, reference, out, origin in todo:
        record = renew(out / "text", origin)
        (out / "utt2loss").unlink(missing_ok=True)
        hypotheses, losses = decode(probe, inputs, kind, reference, device, beam_size)
        write_table(out / "utt2loss", {utterance: f"{loss:.6g}" for utterance, loss in losses.items()})
        write_table(out / "text", hypotheses)
        write_record(out / "text", record)
        print(f"{out}/text: {len(hypotheses)} utterances")
