# Copyright 2026 The hasrd authors
# Apache-2.0
"""Score one or several systems on a test set: one JSON and one table of utterances a measure.

  mel, stft, visqol, pesq, stoi, dnsmos, speaker_similarity, ecapa_similarity
                                  --ref wav.scp --hyp wav.scp (ecapa_similarity: --ecapa_dir)
  source_similarity, target_similarity
                                  --ref wav.scp --hyp wav.scp --pairs pairs (of hasrd convert)
  mean_spectrum                   --ref wav.scp
  cer, wer                        --ref text --hyp text
  recogniser_cer, recogniser_wer  --ref text --hyp text (of hasrd recognise)
  ctc_loss                        --ref text --losses utt2loss (CTC loss of an utterance, nats)
  codebook, bitrate               --codes codes.scp --codebook_sizes --stream_names --frame_rate
  pnmi, phone_purity, cluster_purity
                                  --codes ... (as above) --phones phones.ctm
  word_f1                         --codes ... (as above) --words words.ctm --train_codes --train_words
  crop_agreement                  --codes ... (as above) --crops crops.scp (of hasrd tokenize --crop_seconds)
  masked_accuracy                 --masked masked.scp (integers (T, 2): target, prediction)

Several systems are scored against one reference with as many --system, --hyp and --out.
What is up to date is skipped: a score file knows the content that it was made from.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.codec.token_file import TokenFacts
from hasrd.config import read_json
from hasrd.errors import UserError, run_main
from hasrd.metrics.scores import MEASURES
from hasrd.metrics.scoring.job import Job

_TOKENS = ("codes", "codebook_sizes", "stream_names", "frame_rate")
# Measures that share one reading of the input, and the options that they need.
GROUPS = {
    (
        "mel",
        "stft",
        "visqol",
        "pesq",
        "stoi",
        "dnsmos",
        "speaker_similarity",
        "ecapa_similarity",
    ): ("ref", "hyp"),
    ("source_similarity", "target_similarity"): ("ref", "hyp", "pairs"),
    ("mean_spectrum",): ("ref",),
    ("cer", "wer"): ("ref", "hyp"),
    ("recogniser_cer", "recogniser_wer"): ("ref", "hyp"),
    ("ctc_loss",): ("ref", "losses"),
    ("codebook", "bitrate"): _TOKENS,
    ("pnmi", "phone_purity", "cluster_purity"): (*_TOKENS, "phones"),
    ("word_f1",): (*_TOKENS, "words", "train_codes", "train_words"),
    ("crop_agreement",): (*_TOKENS, "crops"),
    ("masked_accuracy",): ("masked",),
}


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measures", type=_names, help=f"one or several, joined by commas: {', '.join(MEASURES)}")
    parser.add_argument("--test_set", required=True, help="name of the test set, shown beside every number")
    parser.add_argument(
        "--system",
        required=True,
        nargs="+",
        help="name of what is scored, such as combined or latent",
    )
    parser.add_argument("--out", required=True, nargs="+", type=Path, help="folder of the score files, one a system")
    parser.add_argument(
        "--run", default="", help="which of several trainings it is, such as seed1 (default: the main one)"
    )
    parser.add_argument("--ref", type=Path, help="references: wav.scp (audio measures) or text")
    parser.add_argument("--hyp", type=Path, nargs="+", help="what is scored: wav.scp or text, one a system")
    parser.add_argument(
        "--ecapa_dir",
        type=Path,
        help="folder with a SpeechBrain ECAPA-TDNN, for ecapa_similarity (its hyperparams.yaml is run: trust it)",
    )
    parser.add_argument("--pairs", type=Path, help="lines 'source target' of voice conversion")
    parser.add_argument("--losses", type=Path, help="lines 'utt loss'")
    parser.add_argument("--codes", type=Path, help="scp file of integers (T, M)")
    parser.add_argument("--codebook_sizes", type=_sizes, help="entries of each codebook, joined by commas")
    parser.add_argument("--stream_names", type=_names, help="stream of each codebook, joined by commas")
    parser.add_argument("--frame_rate", type=float, help="tokens a second")
    parser.add_argument(
        "--loudness", type=float, help="LUFS that the codec takes speech at, where tokens carry a loudness"
    )
    parser.add_argument("--tokens_info", type=Path, help="codes.json of stage 6, in place of these four options")
    parser.add_argument("--phones", type=Path, help="phones.ctm (hasrd import-alignments)")
    parser.add_argument("--words", type=Path, help="words.ctm (hasrd import-alignments)")
    parser.add_argument(
        "--train_codes", type=Path, help="codes of the training set: scp file, or text 'utt c0 c1 ...' of codebook 1"
    )
    parser.add_argument("--train_words", type=Path, help="words.ctm of the training set")
    parser.add_argument("--crops", type=Path, help="scp file of integers (T, 1 + M): place and codes of crops")
    parser.add_argument("--masked", type=Path, help="scp file of integers (T, 2)")
    parser.add_argument("--nj", type=int, default=1, help="processes for audio measures")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Score on the options of the command line, or on `argv`.

    Raises:
        UserError: Measures and options that don't fit together, or input that can't be scored.
    """
    args = get_parser().parse_args(argv)
    if args.tokens_info is not None:
        _read_tokens_info(args)
    group = _group(args)
    hypotheses = dict(zip(args.system, args.hyp or []))
    jobs = [
        Job(measure, system, args.test_set, out, args.run)
        for system, out in zip(args.system, args.out)
        for measure in args.measures
    ]
    # Imported here: audio measures take seconds to import, text measures do not need them.
    if "mel" in group:
        from hasrd.metrics.scoring.audio import score_audio

        score_audio(jobs, args.ref, hypotheses, args.nj, args.ecapa_dir)
    elif "source_similarity" in group:
        from hasrd.metrics.scoring.conversion import score_conversion

        score_conversion(jobs, args.ref, hypotheses, args.pairs, args.nj)
    elif "cer" in group:
        from hasrd.metrics.scoring.text import score_text

        for system, hypothesis in hypotheses.items():
            score_text([job for job in jobs if job.system == system], args.ref, hypothesis)
    elif "recogniser_wer" in group:
        from hasrd.metrics.scoring.text import score_recognised

        for system, hypothesis in hypotheses.items():
            score_recognised([job for job in jobs if job.system == system], args.ref, hypothesis)
    elif "mean_spectrum" in group:
        from hasrd.metrics.scoring.audio import score_mean_spectrum

        score_mean_spectrum(jobs[0], args.ref, args.nj)
    elif "ctc_loss" in group:
        from hasrd.metrics.scoring.text import score_ctc_loss

        score_ctc_loss(jobs[0], args.ref, args.losses)
    elif "codebook" in group:
        from hasrd.metrics.scoring.tokens import score_codes

        score_codes(jobs, args.codes, args.codebook_sizes, args.frame_rate, args.stream_names, args.loudness)
    elif "pnmi" in group:
        from hasrd.metrics.scoring.alignment import score_phones

        tokens = (args.codes, args.codebook_sizes, args.frame_rate, args.stream_names)
        score_phones(jobs, *tokens, args.phones)
    elif "word_f1" in group:
        from hasrd.metrics.scoring.words import score_words

        tokens = (args.codes, args.codebook_sizes, args.frame_rate, args.stream_names)
        score_words(jobs[0], *tokens, args.words, args.train_codes, args.train_words)
    elif "crop_agreement" in group:
        from hasrd.metrics.scoring.crops import score_crops

        score_crops(jobs[0], args.crops, args.codes, args.codebook_sizes, args.stream_names)
    else:
        from hasrd.metrics.scoring.tokens import score_masked

        score_masked(jobs[0], args.masked)


def _group(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the group of measures that is asked for; refuse what does not fit together."""
    unknown = [measure for measure in args.measures if measure not in MEASURES]
    if unknown:
        raise UserError(f"unknown measure '{unknown[0]}': choose among {', '.join(MEASURES)}")
    groups = [group for group in GROUPS if set(group) & set(args.measures)]
    if len(groups) > 1:
        raise UserError(f"{groups[0][0]} and {groups[1][0]} need different input: score them in two calls")
    missing = [option for option in GROUPS[groups[0]] if getattr(args, option) is None]
    if missing:
        raise UserError(f"{', '.join(args.measures)}: --{missing[0]} is needed")
    several = "hyp" in GROUPS[groups[0]]
    wanted = len(args.hyp) if several else 1
    if not len(args.system) == len(args.out) == wanted:
        raise UserError(
            f"{len(args.system)} --system, {len(args.out)} --out and {wanted} "
            f"input{'s' * (wanted > 1)}: give as many of each"
        )
    if len(set(args.system)) < len(args.system):
        raise UserError("--system: one name stands there twice")
    return groups[0]


def _read_tokens_info(args: argparse.Namespace) -> None:
    facts = read_json(args.tokens_info, TokenFacts, "run stage 6 again")
    if facts.frame_rate is None:
        raise UserError(f"{args.tokens_info}: no frame_rate in it: run stage 6 again")
    args.codebook_sizes, args.stream_names = list(facts.codebook_sizes), list(facts.stream_names)
    args.frame_rate = facts.frame_rate
    args.loudness = facts.loudness


def _names(text: str) -> list[str]:
    return list(filter(None, text.split(",")))


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


if __name__ == "__main__":
    run_main(main)
