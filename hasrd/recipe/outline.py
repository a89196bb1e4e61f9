# Copyright 2026 The hasrd authors
# Apache-2.0
"""A plan as text: what each stage would do, with folders, sizes of models, steps, and disk and time where known."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from hasrd.bench import scale
from hasrd.codec.describe import Description, speech_encoder_of
from hasrd.data.kaldi import read_table
from hasrd.models.configs import read_model_config
from hasrd.recipe.options import STAGES
from hasrd.recipe.plan import Plan

# Of operations, where no rate of a GPU was measured (docs/scale.md).
TFLOPS = 100.0
# The part of a name that depends on a result.
UNKNOWN = "..."
NOTES = (
    "Times are of models of the sizes that were measured (docs/scale.md), else they are left out; probes and scores "
    f"are not in them. GPU hours are those of {TFLOPS:.0f} TFLOP a second, an assumption.",
)


def outline(plan: Plan, encoder: Description | None = None, codec: Description | None = None) -> str:
    """Return the text.

    Args:
        plan: Of the run.
        encoder: What the frozen encoder or the teacher is, where it was looked at.
        codec: What the codec is, likewise.
    """
    values = plan.values
    where = f"{values['ngpu']} GPU" if values["ngpu"] != "0" else f"the CPU, {values['num_threads']} threads"
    blocks = {
        1: [f"local/data.sh: {_folders(values['datadir'], plan.all_sets)}"],
        2: [f"{_folders(values['dumpdir'] + '/fbank', plan.all_sets)}"],
        3: _encoder(plan, encoder),
        4: _semantic(plan),
        5: _codec(plan, codec),
        6: [_folders(f"{_codec_folder(plan)}/tokens", values["test_sets"].split())] if plan.has_codec else [],
        7: _probes(plan),
        8: [f"{values['out_md']}, {values['out_html']}"],
    }
    if values["feats_type"] == "raw":
        blocks[2] = ["nothing: --feats_type raw computes log-mel on the fly"]
    lines = [f"Stages {plan.stage} to {plan.stop_stage}, trained on {where}"]
    for number, name in enumerate(STAGES, start=1):
        if not plan.runs(number):
            continue
        if 3 <= number <= 5 and values["skip_train"] == "true":
            blocks[number] = ["nothing: --skip_train"]
        first, *rest = blocks[number] or ["nothing"]
        lines += [f"{number}  {name:<9} {first}", *(" " * 13 + line for line in rest)]
    if any(UNKNOWN in line for line in lines):
        lines += ["", f"{UNKNOWN} in a name: it depends on a result, and is known when the stages before are done."]
    return "\n".join([*lines, *_costs(plan, encoder, codec)])


def _folders(root: str, sets: list[str]) -> str:
    return ", ".join(f"{root}/{name}" for name in sets)


def _steps(config: Mapping[str, Any]) -> str:
    """Return how long a training is, as far as its configuration says so."""
    epochs = config.get("max_epoch")
    if not epochs:
        return "as many epochs as ESPnet's default"
    if not config.get("num_iters_per_epoch"):
        return f"{epochs} epochs"
    accumulated = config.get("accum_grad") or 1
    batches = f" of {accumulated} batches" if accumulated > 1 else ""
    return f"{scale.steps_of(config) // accumulated:,} steps{batches} in {epochs} epochs"


def _size(model: Description | None) -> list[str]:
    if model is None:
        return []
    found = [f"{model.parameters['total'] / 1e6:.1f} M parameters, {model.frame_rate:g} tokens a second"]
    if model.bitrate_bps is not None:
        books = ", ".join(f"{number} {name}" for name, number in model.streams.items())
        found.append(f"{books} codebooks, {model.bitrate_bps / 1000:.2f} kbps")
    return found


def _state(folder: str) -> str:
    """Return what has been done there."""
    if not folder:
        return ""
    if Path(folder, "finished.json").is_file():
        return " (trained before)"
    return " (goes on)" if Path(folder, "checkpoint.pth").is_file() else ""


def _encoder(plan: Plan, model: Description | None) -> list[str]:
    if not plan.needs_encoder:
        return ["nothing: the codec trains an encoder of its own"]
    if plan.encoder_source:
        return [f"{plan.encoder_file}{_state(plan.encoder_file)}", f"imports {plan.encoder_source}", *_size(model)]
    if not plan.ssl_exp:
        return [f"nothing: --encoder_file {plan.encoder_file} is the encoder", *_size(model)]
    config = plan.values["ssl_config"]
    return [f"{plan.ssl_exp}{_state(plan.ssl_exp)}", f"{config}, {_steps(plan.ssl)}", *_size(model)]


def _semantic(plan: Plan) -> list[str]:
    values, exp = plan.values, plan.values["expdir"]
    found = []
    if plan.frozen_encoder and values["semantic_layer"] == "auto":
        found.append(f"layer probe: {plan.layer_exp or exp + '/layer_' + UNKNOWN}, {values['layer_probe_config']}")
    if plan.frozen_encoder:
        chosen = plan.chosen_layer or values["semantic_layer"].replace("auto", "")
        layer = f"layer {chosen}" if chosen else "the layer that the probe weighs most"
        found.append(
            f"k-means: {plan.semantic_exp or exp + '/kmeans_' + UNKNOWN}, {values['num_clusters']} clusters of {layer}"
        )
    for number, teacher in enumerate(plan.teachers):
        folder = plan.teacher_dirs[number] if plan.teacher_dirs else f"{values['dumpdir']}/teacher/{UNKNOWN}"
        found.append(f"teacher of {teacher.level}: {folder}, {teacher.kind}:{teacher.source}{teacher.options}")
    return found


def _codec_folder(plan: Plan) -> str:
    return plan.codec_exp or f"{plan.values['expdir']}/codec_{UNKNOWN}"


def _codec(plan: Plan, model: Description | None) -> list[str]:
    values = plan.values
    if values["peer"]:
        return [f"nothing: --peer {values['peer']} is trained, its folder is {plan.codec_exp}"]
    if not plan.has_codec:
        return ["nothing: --codec_config none"]
    return [
        _codec_folder(plan) + _state(plan.codec_exp),
        f"{values['codec_config']}, {_steps(plan.codec)}",
        *_size(model),
    ]


def _probes(plan: Plan) -> list[str]:
    found = []
    for probe in plan.probes:
        folder = plan.probe_dirs.get(probe, "")
        if plan.has_codec and not plan.codec_exp and not folder.startswith(f"{plan.values['expdir']}/probe_"):
            folder = f"{_codec_folder(plan)}/probe_{probe}_{UNKNOWN}"
        runs = int(plan.values["probe_runs"]) if probe.startswith("tokens_") else 1
        found.append(f"{probe}: {folder}" + (f", {runs} trainings" if runs > 1 else ""))
    return found


def _costs(plan: Plan, encoder: Description | None, codec: Description | None) -> list[str]:
    """Return the table of disk and time, where the data are there whose length it takes."""
    model = codec or encoder
    speech = None if model is None else _speech(plan, model.sample_rate)
    if model is None or speech is None:
        return ["", "Disk and time: known after stage 1, which counts the speech"] if plan.runs(1) else []
    values = plan.values
    trunk = speech_encoder_of(_encoder_config(plan), values["allow_import"] == "true")
    found = scale.first_rows(speech, stored=values["feats_type"] == "fbank")[1:]
    if encoder is not None and plan.ssl:
        gpus = max(1, int(values["ngpu"])) * int(values["num_nodes"])
        rate = encoder.sample_rate if values["feats_type"] == "raw" else None
        found += scale.encoder_rows(speech, plan.ssl, encoder, gpus, rate)
    if encoder is not None and plan.frozen_encoder:
        portion, cache = float(values["kmeans_portion"]), float(values["probe_cache_gb"])
        clusters, chooses = int(values["num_clusters"]), values["semantic_layer"] == "auto"
        size = (trunk.output_size, trunk.num_layers)
        found += scale.kmeans_rows(speech, encoder, *size, portion, cache, clusters, chooses)
        if codec is not None:
            found += scale.latent_rows(speech, codec, *size, float(values["latent_cache_gb"]))
    if codec is not None:
        books = values["num_books"]
        versions = 2 + len(codec.streams) + int(values["conversion"] == "true")
        versions += (codec.num_codebooks - 1).bit_length() if books == "auto" else len(books.split())
        aligned = Path(values["datadir"], values["train_set"], "words.ctm").is_file()
        found += scale.codec_rows(speech, plan.codec, codec, versions, aligned)
    if plan.probes:
        runs = int(values["probe_runs"])
        trainings = sum(runs if probe.startswith("tokens_") else 1 for probe in plan.probes)
        found += scale.probe_rows(speech, model, trunk.output_size, trainings)
    found = [row for row in found if plan.runs(row.stage)]
    return ["", scale.table(found, TFLOPS), "", *NOTES] if found else []


def _encoder_config(plan: Plan) -> Mapping[str, Any]:
    """Return the configuration of the encoder whose latents are read."""
    if not plan.frozen_encoder:
        return plan.codec
    return plan.ssl or read_model_config(plan.encoder_file)


def _speech(plan: Plan, sample_rate: int) -> scale.Speech | None:
    """Return how much speech the sets hold, None before stage 1; sample_rate in Hz."""
    values = plan.values
    seconds = {}
    for name in plan.all_sets:
        path = Path(values["datadir"], name, "utt2num_samples")
        if not path.is_file():
            return None
        seconds[name] = sum(map(int, read_table(path).values())) / sample_rate
    test = sum(seconds[name] for name in values["test_sets"].split())
    probed = {values["probe_train_set"], values["valid_set"], *values["test_sets"].split()}
    return scale.Speech(
        every=sum(seconds.values()),
        train=seconds[values["train_set"]],
        kmeans=seconds[values["kmeans_train_set"]],
        probes=sum(seconds[name] for name in probed),
        test=test,
        kmeans_set=values["kmeans_train_set"],
        probe_set=values["probe_train_set"],
    )
