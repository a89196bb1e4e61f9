# Copyright 2026 The hasrd authors
# Apache-2.0
"""The options of `hasrd prepare` for corpora of any form (`hasrd.data.corpora.forms`)."""

from __future__ import annotations

import argparse
from pathlib import Path

from hasrd.bin.options import sample_rate, str2bool
from hasrd.errors import UserError


def get_parser(parser: argparse.ArgumentParser, form: str) -> argparse.ArgumentParser:
    """Add the options of a form to its parser; `prepare` takes what that parses."""
    parser.add_argument("--root", required=True, help="where the corpus is")
    parser.add_argument("--dry_run", action="store_true", help="say what would be taken and left out; write nothing")
    parser.add_argument("--fs", type=sample_rate, default=16000, help="sample rate of the data, in Hz (also 16k)")
    parser.add_argument(
        "--audio_format",
        choices=("flac", "wav"),
        default="flac",
        help="of audio that must be written anew: of another rate, of several channels, a part of a recording, "
        "compressed with losses, or not in a file of its own",
    )
    parser.add_argument("--min_wav_duration", type=float, default=0.0, help="leave out what is shorter, in seconds")
    parser.add_argument(
        "--max_wav_duration", type=float, default=30.0, help="leave out what is longer, in seconds; 0: nothing"
    )
    parser.add_argument(
        "--train", nargs="+", default=[], metavar="PART",
        help="parts of the corpus (folders in it, splits, manifests) that make the set train; without it all parts are",
    )  # fmt: skip
    for name in ("valid", "test"):
        parser.add_argument(f"--{name}", nargs="+", default=[], metavar="PART", help=f"parts that make the set {name}")
        parser.add_argument(
            f"--{name}_share", type=float, default=0.05, help=f"cut this share of train off as {name} without --{name}"
        )
    parser.add_argument(
        "--split",
        choices=("auto", "speaker", "text"),
        default="auto",
        help="what sets that are cut do not share; auto: speakers where there are 3 or more, else texts (one voice)",
    )
    parser.add_argument(
        "--lang", default="", help="language (en, ru, ...), in which numbers are said; without one they stay as digits"
    )
    parser.add_argument("--text_case", choices=("upper", "lower", "keep"), default="upper", help="of transcripts")
    parser.add_argument("--remove_signs", default="", metavar="SIGNS", help="leave these out of words, such as '+'")
    parser.add_argument(
        "--normalize_text", type=str2bool, default=True, help="false: take transcripts as they are written"
    )
    parser.add_argument("--require_text", type=str2bool, default=True, help="leave out what has no transcript")
    parser.add_argument("--drop_bad", type=str2bool, default=False, help="leave out what cannot be read, and go on")
    parser.add_argument("--licence", default="", help="of the corpus, for the report")
    parser.add_argument("--nj", type=int, default=1, help="processes")
    if form == "folder":
        parser.add_argument(
            "--transcripts", nargs="+", default=[], metavar="FILE",
            help="tables: 'clip TEXT' lines, TSV or CSV with headings, LJSpeech's and festvox's; without it, "
            "metadata.csv, *.trans.txt and the like in --root, or a .txt beside each file",
        )  # fmt: skip
        parser.add_argument(
            "--speaker",
            choices=("auto", "folder", "prefix", "file", "one"),
            default="auto",
            help="speakers: the file's folder, its name up to '-' or '_', one for each file, or one; auto: as a table "
            "says, else the folder where there are several, else one for each file",
        )
    if form == "huggingface":
        parser.add_argument("--config", default="", help="name of the data set's configuration, such as a language")
        parser.add_argument("--text_column", default="", help="column with transcripts, if it has no usual name")
        parser.add_argument("--speaker_column", default="", help="column with speakers, if it has no usual name")
    return parser


def prepare(args: argparse.Namespace) -> None:
    """Prepare a corpus on parsed options.

    Raises:
        UserError: An option that cannot be; as of `hasrd.data.corpora.forms.prepare_form`.
    """
    for name in ("valid_share", "test_share"):
        if not 0 <= getattr(args, name) < 0.5:
            raise UserError(f"--{name} {getattr(args, name)}: give a share from 0 to 0.5, for example 0.05")
    if args.fs < 1000:
        raise UserError(f"--fs {args.fs}: give the sample rate in Hz, for example 16000 or 16k")
    if not args.train and (args.valid or args.test):
        raise UserError("--valid and --test name parts: name those of train, too (--train)")
    from hasrd.data.corpora.collect import Rules
    from hasrd.data.corpora.forms import prepare_form
    from hasrd.data.text_normal import TextRules

    rules = Rules(
        sample_rate=args.fs,
        audio_format=args.audio_format,
        min_seconds=args.min_wav_duration,
        max_seconds=args.max_wav_duration,
        min_samples=args.min_samples,
        text=TextRules(args.lang, args.text_case, args.remove_signs) if args.normalize_text else None,
        require_text=args.require_text,
        drop_bad=args.drop_bad,
        parts={name: parts for name in ("train", "valid", "test") if (parts := getattr(args, name))},
        split=args.split,
        valid_share=args.valid_share,
        test_share=args.test_share,
    )
    own = {"folder": ("transcripts", "speaker"), "huggingface": ("config", "text_column", "speaker_column")}
    options = {name: getattr(args, name) for name in own.get(args.corpus, ())}
    folders = Path(args.out), Path(args.download_dir)
    prepare_form(args.corpus, args.root, rules, *folders, args.licence, args.nj, args.dry_run, options)
