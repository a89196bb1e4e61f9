# Copyright 2026 The hasrd authors
# Apache-2.0
"""The command `hasrd`: one name for the entry points of `hasrd.bin`."""

from __future__ import annotations

import importlib
import sys
from typing import Sequence

from hasrd import __version__
from hasrd.errors import UserError, run_main

# Sub-command -> module with `main()`, imported when it is called (some take many seconds to import), and what it does.
# For people who use a tokenizer.
USE: dict[str, tuple[str, str]] = {
    "encode": ("hasrd.bin.encode", "turn speech into tokens: files, folders, a wav.scp or a pipe"),
    "decode": ("hasrd.bin.decode", "turn tokens into speech: files, folders, a table or a pipe"),
    "resynth": ("hasrd.bin.resynth", "turn speech into tokens and back in one step"),
    "tokens": ("hasrd.bin.tokens", "print tokens, for people or as JSON"),
    "export-units": ("hasrd.bin.export_units", "write token sets that language models are trained on"),
    "demo": ("hasrd.bin.demo", "listen to tokens in a browser: mute streams, exchange voices, compare models"),
    "info": ("hasrd.bin.info", "show what a configuration builds or a model is: sizes, rates, memory"),
    "pack": ("hasrd.bin.pack", "write a trained codec to a folder that can be passed on"),
    "export": ("hasrd.bin.export", "write a trained codec in a form for other runtimes (ONNX)"),
    "bench": ("hasrd.bin.bench", "time codecs, or their training steps, beside those of others"),
}
# What the recipes' stages call, in their order, and people around them.
RECIPES: dict[str, tuple[str, str]] = {
    "plan": ("hasrd.bin.plan", "say what a run of a recipe would do: folders, sizes, steps, disk and time"),
    "exp-name": ("hasrd.bin.exp_name", "name of an experiment's folder, made of its configuration"),
    "prepare": ("hasrd.bin.prepare", "make data directories of a corpus, fetched where that is possible (stage 1)"),
    "validate-data": ("hasrd.bin.validate_data", "check data directories before anything is trained on them (stage 1)"),
    "import-alignments": ("hasrd.bin.import_alignments", "write words.ctm and phones.ctm of data sets (stage 1)"),
    "subset-data": ("hasrd.bin.subset_data", "take a part of a data directory"),
    "dump-feats": ("hasrd.bin.dump_feats", "write the features of a data directory into archives (stage 2)"),
    "ssl-train": ("hasrd.bin.ssl_train", "pre-train an encoder (stage 3)"),
    "export-encoder": ("hasrd.bin.export_encoder", "write the encoder of a pre-training to one file (stage 3)"),
    "import-encoder": ("hasrd.bin.import_encoder", "write an encoder that others trained to one (in place of stage 3)"),
    "masked-prediction": ("hasrd.bin.masked_prediction", "let a pre-trained model predict masked tokens (stage 3)"),
    "token-list": ("hasrd.bin.token_list", "list the characters that a probe can answer with (stages 4 and 7)"),
    "asr-train": ("hasrd.bin.asr_train", "train a CTC probe (stages 4 and 7)"),
    "choose-layer": ("hasrd.bin.choose_layer", "choose the semantic layer by a probe's weights (stage 4)"),
    "kmeans": ("hasrd.bin.kmeans", "train the k-means of the semantic codebook (stage 4)"),
    "semantic-tokens": ("hasrd.bin.semantic_tokens", "write semantic tokens of a data set as text (stage 4)"),
    "dump-latents": ("hasrd.bin.dump_latents", "keep a frozen encoder's layers for a codec's training (stage 5)"),
    "dump-teacher": ("hasrd.bin.dump_teacher", "keep what a teacher says of a data set, for distillation (stage 4)"),
    "codec-train": ("hasrd.bin.codec_train", "train a codec (stage 5)"),
    "tokenize": ("hasrd.bin.tokenize", "write tokens of a data set, and the speech decoded from them (stage 6)"),
    "convert": ("hasrd.bin.convert", "write utterances in another speaker's voice, by an exchange of tokens (stage 6)"),
    "extract": ("hasrd.bin.extract", "write the latents and codes that probes read (stage 7)"),
    "probe": ("hasrd.bin.probe", "train a CTC probe and decode with it (stage 7)"),
    "asr-decode": ("hasrd.bin.asr_decode", "decode with a trained CTC probe (stage 7)"),
    "recognise": ("hasrd.bin.recognise", "write down what a real recogniser (Whisper) understands of speech (stage 8)"),
    "score": ("hasrd.bin.score", "score systems on a test set (stage 8)"),
    "token-map": ("hasrd.bin.token_map", "map the phones and speakers in a codec's tokens, for the report (stage 8)"),
    "report": ("hasrd.bin.report", "make RESULTS.md and the HTML page from score files (stage 8)"),
    "compare": ("hasrd.bin.compare", "say which of two experiments scores better, and how surely"),
    "import-peer": ("hasrd.bin.import_peer", "make the experiment folder of a codec that others trained (stages 6-8)"),
}
COMMANDS = {**USE, **RECIPES}


def usage() -> str:
    """The text of `hasrd --help`."""
    width = max(len(name) for name in COMMANDS)

    def lines(commands: dict[str, tuple[str, str]]) -> str:
        return "".join(f"  {name:<{width}}  {text}\n" for name, (_, text) in commands.items())

    return (
        "usage: hasrd <command> [options]\n\n"
        "Speech tokenizers: train them with the recipes in egs2/, use them from here.\n\n"
        f"to use a tokenizer:\n{lines(USE)}\n"
        f"to train and measure one, as the recipes' stages do:\n{lines(RECIPES)}\n"
        "hasrd <command> --help   the options of a command\n"
        "hasrd --version          the version"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the sub-command that the first word names; the rest of the words are its options.

    Raises:
        UserError: There is no such command.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
    elif argv[0] in ("-V", "--version"):
        print(f"hasrd {__version__}")
    elif argv[0] in COMMANDS:
        # The entry point reads its options from sys.argv and shows its name in its own help.
        sys.argv = [f"hasrd {argv[0]}", *argv[1:]]
        importlib.import_module(COMMANDS[argv[0]][0]).main()
    else:
        import difflib

        near = difflib.get_close_matches(argv[0], COMMANDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(COMMANDS)}"
        raise UserError(f"unknown command '{argv[0]}': {hint} (hasrd --help)")


def cli() -> None:
    """The console script."""
    run_main(main)


if __name__ == "__main__":
    cli()
