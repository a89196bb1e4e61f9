# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write words.ctm and phones.ctm into data directories, from the alignments of an aligner or of a corpus.

Read are TextGrid files (Montreal Forced Aligner, Praat: one an utterance, tiers "words" and "phones"), CTM files
(`utterance channel start duration token`), LibriSpeech-alignments (`*.alignment.txt`) and TIMIT's `*.phn` and `*.wrd`
(`begin end label`; the utterance is called `<speaker>_<sentence>`): one file, or a folder with any number of them,
which may cover more than the data directories do.
"""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin.options import str2bool
from hasrd.errors import UserError, run_main
from hasrd.jobs.lock import exclusive


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, nargs="+", help="data directories, with utt2num_samples")
    parser.add_argument("--alignments", required=True, help="file or folder")
    parser.add_argument("--kind", default="auto", choices=("auto", "words", "phones"), help="read only these")
    parser.add_argument("--sample_rate", "--fs", type=int, default=16000, help="of the audio, in Hz (default: 16000)")
    parser.add_argument(
        "--trim_overlaps",
        type=str2bool,
        default=False,
        help="let a segment begin where the one before ends, however far they overlap, as some of TIMIT's words do; "
        "overlaps of up to 20 ms are always trimmed, others are an error without it (default: false)",
    )
    parser.add_argument(
        "--fold_timit",
        type=str2bool,
        default=False,
        help="fold TIMIT's 61 phones to the 39 that are usually scored (Lee and Hon 1989); q is left out "
        "(default: false)",
    )
    parser.add_argument("--nj", type=int, default=1, help="processes that read TextGrid files")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Import on the options of the command line, or on `argv`.

    Raises:
        UserError: Something is wrong with the alignments; nothing is then written.
    """
    from hasrd.data.alignments.importing import read_alignments, write_alignments
    from hasrd.data.alignments.tracks import Rules
    from hasrd.data.kaldi import DataDir

    args = get_parser().parse_args(argv)
    samples: dict[str, int] = {}
    sets = [DataDir.load(path) for path in args.data]
    for data in sets:
        counts = data.samples()
        twice = next((utterance for utterance in data.wavs if utterance in samples), None)
        if twice is not None:
            raise UserError(f"{data.path}: utterance '{twice}' is in another --data, too: name each set once")
        samples.update((utterance, counts[utterance]) for utterance in data.wavs)
    rules = Rules(args.trim_overlaps, args.fold_timit)
    found = read_alignments(args.alignments, samples, args.sample_rate, args.kind, args.nj, rules)
    for data in sets:
        with exclusive(data.path):
            print("\n".join(write_alignments(data.path, data.wavs, found)))
    if found.unknown:
        print(found.unknown_line(args.alignments))


if __name__ == "__main__":
    run_main(main)
