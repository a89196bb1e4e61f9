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

from hasrd.bin import form_options
from hasrd.bin.options import join_values
from hasrd.data.corpora.forms import FORMS
from hasrd.errors import run_main


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
        form_options.get_parser(own, form)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare on the options of the command line, or on `argv`."""
    words = join_values(sys.argv[1:] if argv is None else argv, ["--from"])
    # argparse reads a form's options after its name.
    words.sort(key=lambda word: not word.startswith("--from="))
    args = get_parser().parse_args([word.removeprefix("--from=") for word in words])
    if args.corpus in FORMS:
        return form_options.prepare(args)
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
