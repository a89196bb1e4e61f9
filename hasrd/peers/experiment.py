# Copyright 2026 The hasrd authors
# Apache-2.0
"""Experiment folders of codecs of other packages: made from published files, loaded only while these are the same.

`config.yaml` has one key, `peer`: kind, model (file or folder), num_codebooks, sample_rate of the data, and sha256 of
each of the model's files. `peer.json` stands in the place of trained weights: what shapes the result, without the path,
and what the codec turned out to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Callable, Mapping, TypedDict

import torch
import yaml

from hasrd.config import check, read_json, read_yaml
from hasrd.errors import UserError, first_line
from hasrd.jobs.atomic import write_json, write_text
from hasrd.jobs.digest import sha256, values_sha256
from hasrd.jobs.origin import Origin, why_stale, write_record
from hasrd.models.checkpoint import PEER_FILE, near
from hasrd.peers import dac, hugging_face, snac, speechtokenizer
from hasrd.peers.codec import PeerCodec
from hasrd.peers.peer import Peer


@dataclass(frozen=True)
class Kind:
    """A format of published models.

    Attributes:
        files: Of a model's path: the files that shape it.
        load: Of the same path: the codec.
        package: That its classes come from.
    """

    files: Callable[[Path], list[Path]]
    load: Callable[[Path], Peer]
    package: str


def _in_folder(*names: str | Callable[[Path], Path]) -> Callable[[Path], list[Path]]:
    return lambda folder: [folder / name if isinstance(name, str) else name(folder) for name in names]


def _hugging_face(model_type: str | None) -> Kind:
    return Kind(hugging_face.files, lambda folder: hugging_face.load(folder, model_type), "transformers")


KINDS: dict[str, Kind] = {
    "dac": Kind(lambda path: [path], dac.load, "descript-audio-codec"),
    "encodec": _hugging_face("encodec"),
    "mimi": _hugging_face("mimi"),
    "speechtokenizer": Kind(
        _in_folder("config.json", speechtokenizer.weights_file), speechtokenizer.load, "speechtokenizer"
    ),
    "snac": Kind(_in_folder("config.json", snac.WEIGHTS), snac.load, "snac"),
    "huggingface": _hugging_face(None),
}


def import_peer(
    kind: str,
    model: str | Path,
    out: str | Path,
    num_codebooks: int | None = None,
    kbps: float | None = None,
    sample_rate: int = 16000,
) -> tuple[dict[str, Any], bool]:
    """Make the experiment folder of a published codec.

    Args:
        kind: One of KINDS.
        model: File (DAC) or folder (the others).
        out: Folder to write.
        num_codebooks: Keep the first so many; None: all, or what the published model's authors use.
        kbps: In its place, as many as have room in so many kilobits a second.
        sample_rate: Of the data, in Hz.

    Returns:
        What peer.json holds, and whether it was there already.

    Raises:
        UserError: A missing package, file or codebook, weights that don't fit, or a folder that holds something else.
    """
    model, out = Path(model), Path(out)
    files = _files(kind, model)
    asked = {"kind": kind, "num_codebooks": num_codebooks, "kbps": kbps, "sample_rate": sample_rate}
    asked["sha256"] = {path.name: sha256(path) for path in files}
    origin = Origin({key: asked[key] for key in asked if key != "sha256"}, {path.name: path for path in files})
    if (out / "config.yaml").exists() or (out / PEER_FILE).exists():
        reason = why_stale(out, origin)
        if reason:
            raise UserError(f"{out}: holds another experiment: {reason}: choose another --out, or remove it")
        # Without it, an import was interrupted.
        if (out / PEER_FILE).exists():
            return _same(out, model), True
    record = origin.record()
    peer = KINDS[kind].load(model)
    if kbps is not None:
        num_codebooks = peer.codebooks_within(kbps)
    elif num_codebooks is None:
        num_codebooks = getattr(peer, "default_codebooks", None)
    codec = PeerCodec(peer.keep(num_codebooks), sample_rate).eval()
    _try(codec, model)
    config = {"kind": kind, "model": str(model), "num_codebooks": peer.num_codebooks, "sample_rate": sample_rate}
    config["sha256"] = asked["sha256"]
    facts = {
        "asked": asked,
        "config": _shape(config),
        "package": _version(KINDS[kind].package),
        "stream_names": list(codec.stream_names),
        "codebook_sizes": list(codec.codebook_sizes),
        "frame_rate": codec.frame_rate,
        "bitrate_bps": 1000 * peer.kbps(peer.num_codebooks),
        "peer_sample_rate": peer.sample_rate,
        "sample_rate": sample_rate,
        **codec.facts,
        "parameters": sum(parameter.numel() for parameter in peer.parameters()),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_record(out, record)
    _write_config(out, config)
    write_json(out / PEER_FILE, facts)
    return facts, False


class _Peer(TypedDict):
    kind: str
    model: str
    sha256: dict[str, str]
    num_codebooks: int
    sample_rate: int


class _Config(TypedDict):
    peer: dict[str, Any]


def load_peer(exp_dir: str | Path, config: Mapping[str, Any]) -> PeerCodec:
    """Load the codec of such a folder, for use.

    Args:
        exp_dir: The folder.
        config: Its configuration.

    Raises:
        UserError: A missing package or file, or files or a configuration that are not what was imported.
    """
    where = Path(exp_dir) / "config.yaml"
    peer = check(config["peer"], dict[str, Any], where)
    check(peer, _Peer, where, "import it again (hasrd import-peer)")
    again = f"import it again into another folder (hasrd import-peer --kind {peer.get('kind')} ...)"
    if read_json(Path(exp_dir) / PEER_FILE).get("config") != _shape(peer):
        raise UserError(f"{where}: changed since it was imported: {again}")
    model = near(Path(exp_dir), Path(peer["model"]))
    if model is None:
        raise UserError(f"{peer['model']}: no such file or folder, which {where} names: bring it back, or {again}")
    for path in _files(peer["kind"], model):
        if peer["sha256"].get(path.name) != sha256(path):
            raise UserError(f"{path}: not what {where} was made from (another SHA-256): bring that back, or {again}")
    found = KINDS[peer["kind"]].load(model).keep(peer["num_codebooks"])
    return PeerCodec(found, peer["sample_rate"]).eval().requires_grad_(False)


def _files(kind: str, model: Path) -> list[Path]:
    if kind not in KINDS:
        raise UserError(f"--kind {kind}: choose one of {', '.join(KINDS)}")
    if kind != "dac" and not model.is_dir():
        raise UserError(f"{model}: no such folder: --kind {kind} takes the folder that its authors publish")
    if kind == "dac" and model.is_dir():
        raise UserError(f"{model}: a folder: --kind dac takes a file .pth (a Hugging Face folder: --kind huggingface)")
    files = KINDS[kind].files(model)
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: no such file: give the model as its authors publish it")
    return files


def _same(out: Path, model: Path) -> dict[str, Any]:
    """Take what is there already, if nobody has changed it; the model may lie elsewhere now."""
    try:
        facts, config = read_json(out / PEER_FILE), read_yaml(out / "config.yaml", _Config)["peer"]
    except UserError:
        facts, config = {}, {}
    if facts.get("config") != _shape(config):
        raise UserError(f"{out}: holds another experiment, or was changed: choose another --out, or remove it")
    if config["model"] != str(model):
        _write_config(out, {**config, "model": str(model)})
    return facts


def _write_config(out: Path, config: dict[str, Any]) -> None:
    write_text(out / "config.yaml", yaml.safe_dump({"peer": config}, sort_keys=False, allow_unicode=True))


def _shape(config: Mapping[str, Any]) -> str:
    """Hash of what shapes a codec: all but where its files are."""
    return values_sha256(**{key: value for key, value in config.items() if key != "model"})


def _try(codec: PeerCodec, model: Path) -> None:
    """Send noise through a codec once, before hours are spent on it."""
    wave = 0.1 * torch.randn(1, codec.sample_rate, generator=torch.Generator().manual_seed(0))
    try:
        tokens = codec.encode(wave)
        decoded = codec.decode(tokens)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"{model}: one second of noise does not go through it ({first_line(error)})") from error
    if abs(tokens.codes.shape[1] - codec.frame_rate) > 3:
        raise UserError(
            f"{model}: gives {tokens.codes.shape[1]} frames for a second, but says that there are {codec.frame_rate:g}"
        )
    if not decoded.isfinite().all():
        raise UserError(f"{model}: decodes to what is not finite: its weights are damaged")


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return name
