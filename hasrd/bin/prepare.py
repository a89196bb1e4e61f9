# Copyright 2026 The hasrd authors
# Apache-2.0
"""Prepare a corpus: Kaldi data directories from what is on the disk, or fetched where that is possible.

CORPUS is a corpus that is known here (asterisk, librispeech), or the form of another one (folder, kaldi, lhotse,
huggingface); `--from FORM` says the same. `hasrd prepare CORPUS --help` lists the options of each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import join_values, str2bool
from hasrd.errors import UserError, run_main

# Forms of corpora, and what each is.
FORMS = {
    "folder": "a folder of audio files, with transcripts in a table, in text files beside them, or without",
    "kaldi": "Kaldi data directories, also with segments and with audio in archives",
    "lhotse": "manifests of Lhotse, or Shar",
    "huggingface": "a data set of Hugging Face: a folder, or a name on the Hub",
}


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    corpora = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS")
    style = argparse.ArgumentDefaultsHelpFormatter

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--out", default="data", help="where the data directories go")
    common.add_argument("--download_dir", default="downloads", help="where downloads and unpacked audio lie")
    common.add_argument("--min_samples", type=int, default=784, help="shorter clips (less than one token) are left out")

    asterisk = corpora.add_parser(
        "asterisk",
        parents=[common],
        formatter_class=style,
        help="telephone prompts, one voice a language (quick start)",
    )
    asterisk.add_argument("--langs", nargs="+", default=["en"], help="languages: en es fr it ru")
    asterisk.add_argument(
        "--root", default="", help="folder with the packages (or what is in them); downloaded if empty"
    )

    librispeech = corpora.add_parser(
        "librispeech", parents=[common], formatter_class=style, help="LibriSpeech, whole or any part of it"
    )
    librispeech.add_argument("--root", default="", help="the corpus (folder with the parts); downloaded if empty")
    librispeech.add_argument(
        "--download_from",
        default="librispeech",
        choices=("librispeech", "mini_librispeech"),
        help="which corpus the parts are downloaded from if --root is empty (OpenSLR 12 or 31)",
    )
    librispeech.add_argument(
        "--train", nargs="+", default=[], metavar="PART", help="parts that make the set --train_set"
    )
    librispeech.add_argument("--valid", nargs="*", default=[], metavar="PART", help="parts for choices; each is a set")
    librispeech.add_argument("--test", nargs="*", default=[], metavar="PART", help="test parts; each is a set")
    librispeech.add_argument("--train_set", default="train", help="name of the training set")
    librispeech.add_argument("--valid_set", default="valid", help="name of the set cut from training")
    librispeech.add_argument(
        "--valid_from_train",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="cut about this share of the training minutes off as --valid_set, by whole speakers",
    )
    librispeech.add_argument(
        "--alignments",
        default="",
        help="file or folder with word and phone alignments (TextGrid, CTM, LibriSpeech-alignments); "
        "<root>/alignments if empty and there",
    )
    librispeech.add_argument("--nj", type=int, default=1, help="processes that read the audio's headers")
    for form, what in FORMS.items():
        own = corpora.add_parser(form, parents=[common], formatter_class=style, help=what, description=f"From {what}.")
        _add_form_options(own, form)
    return parser


def _sample_rate(text: str) -> int:
    """`16000` or, as ESPnet's recipes write it, `16k`."""
    number = text.removesuffix("k")
    try:
        return round(float(number) * (1000 if text.endswith("k") else 1))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no sample rate: give 16000 or 16k") from None


def _add_form_options(parser: argparse.ArgumentParser, form: str) -> None:
    parser.add_argument("--root", required=True, help="where the corpus is")
    parser.add_argument("--dry_run", action="store_true", help="say what would be taken and left out; write nothing")
    parser.add_argument("--fs", type=_sample_rate, default=16000, help="sample rate of the data, in Hz (also 16k)")
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


def _prepare_form(args: argparse.Namespace) -> None:
    """Prepare a corpus of one of `FORMS`."""
    from hasrd.data.corpora.collect import Rules, collect
    from hasrd.data.problems import Problems
    from hasrd.data.text_normal import TextRules

    for name in ("valid_share", "test_share"):
        if not 0 <= getattr(args, name) < 0.5:
            raise UserError(f"--{name} {getattr(args, name)}: give a share from 0 to 0.5, for example 0.05")
    if args.fs < 1000:
        raise UserError(f"--fs {args.fs}: give the sample rate in Hz, for example 16000 or 16k")
    if not args.train and (args.valid or args.test):
        raise UserError("--valid and --test name parts: name those of train, too (--train)")
    problems, root = Problems(), Path(args.root)
    if args.corpus == "folder":
        from hasrd.data.corpora.folder import read_folder

        found = read_folder(root, problems, transcripts=args.transcripts, speaker=args.speaker)
    elif args.corpus == "kaldi":
        from hasrd.data.corpora.kaldi_folder import read_kaldi

        found = read_kaldi(root, problems)
    elif args.corpus == "lhotse":
        from hasrd.data.corpora.lhotse_manifests import read_lhotse

        found = read_lhotse(root, problems)
    else:
        from hasrd.data.corpora.hub_sets import read_hub

        found = read_hub(
            args.root,
            config=args.config,
            cache_dir=str(Path(args.download_dir) / "huggingface"),
            text_column=args.text_column,
            speaker_column=args.speaker_column,
        )
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
    collection = collect(found, problems, rules, Path(args.download_dir) / f"audio_{args.fs}", args.nj)
    corpus = collection.corpus
    corpus.licence = args.licence or "not stated"
    if not args.dry_run:
        collection.write(args.out, args.nj)
    print(corpus.table(args.fs))
    if args.dry_run:
        for where, name, reason in corpus.left_out[:10]:
            print(f"would be left out: {where} {name}: {reason}")
        if len(corpus.left_out) > 10:
            print(f"... and {len(corpus.left_out) - 10} more")
        print("nothing was written (--dry_run)")
    elif corpus.left_out:
        print(f"what was left out, one a line: {args.out}/left_out")


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare on the options of the command line, or on `argv`."""
    words = join_values(sys.argv[1:] if argv is None else argv, ["--from"])
    # The form comes first, as argparse reads its options after it.
    forms = [word.partition("=")[2] for word in words if word.startswith("--from=")]
    args = get_parser().parse_args([*forms, *(word for word in words if not word.startswith("--from="))])
    if args.corpus in FORMS:
        _prepare_form(args)
        return
    alignments = None
    if args.corpus == "asterisk":
        from hasrd.data.corpora.asterisk import prepare

        languages = [language for group in args.langs for language in group.split()]
        corpus = prepare(languages, args.download_dir, args.min_samples, args.root)
    else:
        from hasrd.data.corpora.librispeech import SAMPLE_RATE, find_alignments, prepare, root_or_download

        parts = [*args.train, *args.valid, *args.test]
        root = root_or_download(args.root, parts, args.download_dir, args.download_from)
        corpus = prepare(
            root,
            train=args.train,
            valid=args.valid,
            test=args.test,
            train_set=args.train_set,
            valid_set=args.valid_set,
            valid_from_train=args.valid_from_train,
            min_samples=args.min_samples,
            nj=args.nj,
        )
        alignments = args.alignments or find_alignments(root)
    # Read before anything is written: what is wrong with them stops the preparation.
    found = None
    if alignments:
        from hasrd.data.alignments.importing import read_alignments, write_alignments

        samples = {utt: clip.num_samples for clips in corpus.sets.values() for utt, clip in clips.items()}
        found = read_alignments(alignments, samples, SAMPLE_RATE, nj=args.nj)
    corpus.write(args.out)
    print(corpus.table())
    if found is not None:
        for name, clips in corpus.sets.items():
            print("\n".join(write_alignments(Path(args.out) / name, clips, found)))
        if found.unknown:
            print(found.unknown_line(alignments))
    if corpus.left_out:
        print(f"what was left out, one a line: {args.out}/left_out")


if __name__ == "__main__":
    run_main(main)
