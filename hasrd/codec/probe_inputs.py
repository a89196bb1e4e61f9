# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the probes read, computed once for a data set (stages 4 and 7); `hasrd extract --help` lists the files."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np
import torch
from torch import nn

from hasrd.codec.data_set import CodecRun, CodecWork, model_facts
from hasrd.codec.latents import BATCH_SAMPLES, FrozenEncoder
from hasrd.codec.semantic import sha256_or_error
from hasrd.config import read_json
from hasrd.data.archive import COMPRESSION_METHODS, write_archive
from hasrd.data.kaldi import DataDir, write_table
from hasrd.data.set_work import write_merged
from hasrd.data.waves import wave_batches
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.errors import UserError
from hasrd.jobs.atomic import write_json, write_text
from hasrd.jobs.digest import sha256
from hasrd.models.kmeans import load_kmeans
from hasrd.quantizer.kmeans import assign

# Bytes of a number in layers.ark. After the normalisation its error is below 1e-3, less than that of bfloat16.
LAYERS_BYTES = 2
# Utterances of which a process holds all layers at once.
LAYERS_CHUNK = 25


class CodecSource(CodecWork):
    """Layers and codes of a trained codec."""

    def __init__(self, run: CodecRun) -> None:
        super().__init__(run)
        self.latent_layer = -1 if self.codec.semantic_layer is None else self.codec.semantic_layer
        self.stream_names, self.codebook_sizes = self.codec.stream_names, self.codec.codebook_sizes

    def features(self, waves: torch.Tensor, lengths: torch.Tensor) -> EncoderOutput:
        """Layers of waves (B, N), at the level that the codec takes them at."""
        return self.codec.features(self.codec.at_level(waves, lengths)[0], lengths)

    def codes(self, encoded: EncoderOutput) -> torch.Tensor:
        """Codes (B, U, M)."""
        return self.codec.quantize(encoded)


class EncoderSource(FrozenEncoder):
    """The same of a frozen encoder alone, whose tokens are those of k-means.

    Args:
        encoder_file, ngpu, allow_import: As for FrozenEncoder.
        kmeans_file: kmeans.npz of stage 4; None: layers alone.
    """

    def __init__(self, encoder_file: str, kmeans_file: str | None, ngpu: int, allow_import: bool) -> None:
        super().__init__(encoder_file, ngpu, allow_import)
        self.latent_layer, self.stream_names, self.codebook_sizes = None, (), ()
        if kmeans_file is not None:
            self.centroids, facts = load_kmeans(kmeans_file, sha256_or_error(encoder_file))
            self.latent_layer = facts["layer"]
            self.stream_names, self.codebook_sizes = ("semantic",), (len(self.centroids),)

    def batches(self, inputs):
        """Yield (utterances, waves (B, N), lengths (B,))."""
        return wave_batches(inputs, self.sample_rate, BATCH_SAMPLES)

    def features(self, waves: torch.Tensor, lengths: torch.Tensor) -> EncoderOutput:
        """Layers of waves (B, N)."""
        return self(waves, lengths)

    def codes(self, encoded: EncoderOutput) -> torch.Tensor:
        """Semantic tokens (B, U, 1)."""
        latent = encoded.layers[self.latent_layer].float().cpu()
        return assign(latent.flatten(0, 1), self.centroids).view(*latent.shape[:2], 1)


Source = CodecSource | EncoderSource


def selections(source: Source) -> dict[str, list[int]]:
    """Name of a representation of codes to the codebooks that it takes."""
    names = source.stream_names
    if not names:
        return {}
    chosen = {"tokens": list(range(len(names)))}
    # Of k-means there is one codebook, and the recipe asks for it by its stream's name, as with a codec.
    if len(set(names)) > 1 or isinstance(source, EncoderSource):
        chosen.update({name: [m for m, own in enumerate(names) if own == name] for name in dict.fromkeys(names)})
    return chosen


class ExtractWork:
    """Everything that is asked for of one chunk of utterances.

    Args:
        make_source: Builds the source.
        layers: Layers to write one by one.
        all_layers: Write them all together, normalised.
    """

    def __init__(self, make_source: Callable[[], Source], layers: Sequence[int], all_layers: bool) -> None:
        self.source = make_source()
        self.layers = layers
        self.all_layers = all_layers

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        source, books = self.source, selections(self.source)
        arrays: dict[str, dict[str, np.ndarray]] = {}
        with torch.inference_mode():
            for utterances, waves, lengths in source.batches(inputs):
                encoded = source.features(waves, lengths)
                batch = {f"layer_{layer}": encoded.layers[layer] for layer in self.layers}
                if source.latent_layer is not None:
                    batch["latent"] = encoded.layers[source.latent_layer]
                if books:
                    codes = source.codes(encoded).to(torch.int32)
                    batch.update({name: codes[..., chosen] for name, chosen in books.items()})
                if self.all_layers:
                    layers = [nn.functional.layer_norm(x.float(), x.shape[-1:]) for x in encoded.layers]
                    batch["layers"] = torch.cat(layers, dim=-1)
                for name, tensor in batch.items():
                    values = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
                    table = arrays.setdefault(name, {})
                    for row, (utterance, count) in enumerate(zip(utterances, encoded.lengths.tolist())):
                        table[utterance] = values[row, :count]
        for name, table in arrays.items():
            order = sorted(table)
            entries = write_archive(
                folder / f"{name}.ark",
                final_folder / f"{name}.ark",
                ((u, table[u]) for u in order),
                COMPRESSION_METHODS["3"] if name == "layers" else None,
            )
            write_table(folder / f"{name}.scp", entries)
            write_table(folder / f"{name}_shape", {u: ",".join(map(str, table[u].shape)) for u in order})


def layers_gb(encoder: SpeechEncoder, sets: Sequence[str]) -> float:
    """How much the layers of all these data directories take on the disk."""
    tokens = sum(encoder.num_tokens(samples) for path in sets for samples in DataDir.load(path).samples().values())
    return tokens * encoder.num_layers * encoder.output_size * LAYERS_BYTES / 2**30


def check_layers(layers: Sequence[int], all_layers: bool, encoder: SpeechEncoder | None, where: str) -> None:
    """Find out whether the source has these layers (UserError where it has not)."""
    if (layers or all_layers) and encoder is None:
        raise UserError(f"{where}: this codec's encoder gives its output alone: leave out --layers and --all_layers")
    for layer in layers:
        encoder.check_layer(layer, where)


def kept(out: Path, model: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run with the same model has written besides, and this one is to leave there."""
    try:
        known = read_json(out / "contents.json")
        return known if known.get("model") == model else {}
    except UserError:
        return {}


@dataclass(frozen=True)
class Extraction(CodecRun):
    """What is asked for of a data set, and the model that it comes from: a codec, or an encoder in its place.

    Attributes:
        encoder_file: encoder.safetensors of stage 3; `exp_dir` is None then.
        kmeans_file: kmeans.npz of stage 4, for latent and tokens of that encoder.
        layers: Layers to write one by one.
        all_layers: Write them all together, normalised.
        cache_sets, cache_gb: These sets (None: this one) may take so much of `all_layers`; else it is not written.
    """

    encoder_file: str | None
    kmeans_file: str | None
    layers: list[int]
    all_layers: bool
    cache_sets: list[str] | None
    cache_gb: float


def source_of(wanted: Extraction) -> tuple[str, Callable[[], Source], dict[str, Any]]:
    """The file or folder that the options name as the source, what builds it, and what it is: hashes of its files.

    Raises:
        UserError: Options that don't go together, or a missing file.
    """
    if (wanted.exp_dir is None) == (wanted.encoder_file is None):
        raise UserError("give --exp_dir (a codec) or --encoder_file (an encoder), one of them")
    if wanted.encoder_file is None:
        if wanted.kmeans_file is not None:
            raise UserError("--kmeans_file: goes with --encoder_file; a codec has its own")
        return wanted.exp_dir, functools.partial(CodecSource, wanted), model_facts(wanted.exp_dir, wanted.model_file)
    if wanted.kmeans_file is None and not (wanted.layers or wanted.all_layers):
        raise UserError("--encoder_file: give --kmeans_file, --layers or --all_layers: nothing is asked for")
    hashes = {"encoder": sha256_or_error(wanted.encoder_file)}
    make = functools.partial(EncoderSource, wanted.encoder_file, wanted.kmeans_file, wanted.ngpu, wanted.allow_import)
    if wanted.kmeans_file is not None and Path(wanted.kmeans_file).is_file():
        hashes["kmeans"] = sha256(wanted.kmeans_file)
    return wanted.encoder_file, make, hashes


def fits(wanted: Extraction, encoder: SpeechEncoder) -> bool:
    """Whether all layers of all sets fit into `--cache_gb`; where not, say so and remove those of an earlier run."""
    sets = wanted.cache_sets or [wanted.data]
    needed = layers_gb(encoder, sets)
    if needed <= wanted.cache_gb:
        return True
    print(
        f"note: {wanted.out}: all layers of {', '.join(sets)} would take {needed:.3g} GB, more than --cache_gb "
        f"{wanted.cache_gb:g}: they are not written, the probe computes them in each epoch",
        file=sys.stderr,
    )
    for name in ("layers.scp", "layers_shape", "layers_conf"):
        (wanted.out / name).unlink(missing_ok=True)
    return False


def extract(wanted: Extraction) -> None:
    """Write the representations that are asked for, each as <name>.scp with a shape file <name>_shape.

    Raises:
        UserError: Options that don't go together, or a model, a layer or audio that can't be used.
    """
    where, make_source, model = source_of(wanted)
    source = make_source()
    encoder = source if wanted.exp_dir is None else source.codec.speech_encoder
    check_layers(wanted.layers, wanted.all_layers, encoder, where)
    before = kept(wanted.out, model)
    layers = sorted({*wanted.layers, *before.get("layers", [])})
    all_layers = fits(wanted, encoder) if wanted.all_layers else before.get("all_layers", False)
    books = selections(source)
    names = [*(["latent"] if source.latent_layer is not None else []), *books]
    names += [*(f"layer_{layer}" for layer in layers), *(["layers"] if all_layers else [])]
    write_json(wanted.out / "contents.json", {"model": model, "layers": layers, "all_layers": all_layers})
    if not names:
        return
    tables = {f"{name}{kind}": wanted.out / f"{name}{kind}" for name in names for kind in ("_shape", ".scp")}
    folders = wanted.run(
        functools.partial(ExtractWork, make_source, layers, all_layers),
        "latents and tokens",
        [*tables.values()],
        options=dict(model=model, layers=layers, all_layers=all_layers),
        chunk_size=LAYERS_CHUNK if all_layers else 100,
    )
    if folders is None:
        return
    for name, chosen in books.items():
        sizes = [source.codebook_sizes[m] for m in chosen]
        write_text(wanted.out / f"{name}_codebook_sizes", f"[{','.join(map(str, sizes))}]\n")
    if all_layers:
        conf = f"{{num_layers: {encoder.num_layers}, size: {encoder.output_size}}}\n"
        write_text(wanted.out / "layers_conf", conf)
    write_merged(folders, tables)
    print(f"{wanted.out}: {', '.join(f'{name}.scp' for name in names)}")
