# Copyright 2026 The hasrd authors
# Apache-2.0
"""A map of what the streams of a trained codec hold: phones and speakers, in the vectors that tokens stand for.

For each stream, the vectors that its tokens decode to are averaged over phone segments; t-SNE lays a balanced sample
of the segments out on a plane, and nearest neighbours in the vectors' own space say how much of phone and speaker
there is.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence

from hasrd.codec.token_file import TokenFacts
from hasrd.config import read_json
from hasrd.data.alignments.labels import is_silence
from hasrd.data.alignments.tracks import load_ctm
from hasrd.data.archive import read_integers
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.jobs.atomic import write_text
from hasrd.jobs.digest import sha256
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Origin, forget, is_current, renew, write_record
from hasrd.metrics.bootstrap import ratio_interval
from hasrd.metrics.neighbours import SOURCE, K, chance, predicted_labels
from hasrd.metrics.versions import versions

if TYPE_CHECKING:
    import numpy as np

    from hasrd.codec.model import TokenizerModel

# As many speakers as eyes can tell apart by colour.
SPEAKERS = 6
SEED = 0
PERPLEXITY = 30.0
COMPONENTS = 50


@dataclass(frozen=True)
class Segment:
    """A phone of an utterance, from `start` to `end` in seconds."""

    utterance: str
    start: float
    end: float
    phone: str
    speaker: str


def read_segments(data: Path) -> list[Segment]:
    """Read the phones of a data directory's utterances, without stress and without silences.

    Raises:
        UserError: A broken phones.ctm, or an utterance without a speaker.
    """
    speakers = read_table(data / "utt2spk")
    segments = []
    for utterance, track in load_ctm(data / "phones.ctm", "phones").items():
        if utterance not in speakers:
            raise UserError(f"{data / 'utt2spk'}: utterance '{utterance}' of phones.ctm has no speaker: add it")
        segments += [
            Segment(utterance, start, end, phone, speakers[utterance])
            for start, end, phone in track
            if end > start and not is_silence("phones", phone)
        ]
    return segments


def balanced(segments: Sequence[Segment], number: int) -> list[Segment]:
    """Draw `number` segments, equally many of each pair of phone and speaker as far as there are.

    Only the `SPEAKERS` with the most segments take part.
    """
    import numpy as np

    generator = np.random.default_rng(SEED)
    amounts = Counter(segment.speaker for segment in segments)
    speakers = sorted(amounts, key=lambda speaker: (-amounts[speaker], speaker))[:SPEAKERS]
    cells: dict[tuple[str, str], list[Segment]] = defaultdict(list)
    for segment in sorted(segments, key=lambda item: (item.utterance, item.start)):
        if segment.speaker in speakers:
            cells[segment.phone, segment.speaker].append(segment)
    drawn: list[tuple[int, float, Segment]] = []
    for key in sorted(cells):
        cell = cells[key]
        # The n-th of every cell before the (n + 1)-th of any.
        drawn += [(turn, generator.random(), cell[i]) for turn, i in enumerate(generator.permutation(len(cell)))]
    # At random within a turn: of neighbours equally far away the first vote.
    drawn.sort(key=lambda item: item[:2])
    return [segment for _, _, segment in drawn[:number]]


def segment_mean(vectors: np.ndarray, start: float, end: float, frame_rate: float) -> np.ndarray:
    """Return the mean (D,) of vectors (T, D) over a segment in seconds, each weighted by its part inside.

    A segment past the last token takes that one.
    """
    import numpy as np

    first = np.arange(len(vectors))
    weights = np.clip(np.minimum(end * frame_rate, first + 1) - np.maximum(start * frame_rate, first), 0, None)
    if not weights.sum() > 0:
        weights[min(int(start * frame_rate), len(vectors) - 1)] = 1.0
    return weights @ vectors / weights.sum()


def stream_vectors(codec: TokenizerModel, segments: Sequence[Segment], codes: dict[str, str]) -> dict[str, np.ndarray]:
    """Return stream to the vectors (N, D) of the segments: what the quantizer decodes that stream's codes to.

    Args:
        codes: Utterance to entry of an archive with codes (T, M).

    Raises:
        NotImplementedError: A codec of another package whose vectors are not known.
    """
    import numpy as np
    import torch

    wanted: dict[str, list[int]] = defaultdict(list)
    for index, segment in enumerate(segments):
        wanted[segment.utterance].append(index)
    streams = codec.stream_names
    means: dict[str, list[Any]] = {name: [None] * len(segments) for name in dict.fromkeys(streams)}
    # A quantizer takes the first so many codebooks; what they have of other streams is not asked for.
    number = {name: max(m for m, other in enumerate(streams) if other == name) + 1 for name in means}
    for utterance, indices in wanted.items():
        array = torch.from_numpy(read_integers(codes[utterance]).astype(np.int64))[None]
        for name, rows in means.items():
            with torch.inference_mode():
                vectors = codec.vectors(array[..., : number[name]], streams=[name])[0].double().numpy()
            for index in indices:
                rows[index] = segment_mean(vectors, segments[index].start, segments[index].end, codec.frame_rate)
    return {name: np.stack(rows) for name, rows in means.items()}


def neighbours(vectors: np.ndarray, labels: Sequence[str], utterances: Sequence[str]) -> dict[str, Any] | None:
    """Return accuracy of the nearest neighbours with its 95% interval over utterances, chance level and count.

    Returns:
        None where there is but one label: nothing can be told apart.
    """
    if len(set(labels)) < 2:
        return None
    right: Counter[str] = Counter()
    for utterance, label, answer in zip(utterances, labels, predicted_labels(vectors, labels, utterances)):
        right[utterance] += answer == label
    total = Counter(utterances)
    order = sorted(total)
    low, high = ratio_interval([right[utt] for utt in order], [total[utt] for utt in order])
    return {
        "accuracy": sum(right.values()) / len(labels),
        "ci95": [low, high],
        "chance": chance(labels),
        "labels": len(set(labels)),
        "count": len(labels),
    }


def plane(vectors: np.ndarray) -> list[list[float]]:
    """Lay vectors (N, D) out on a plane (N, 2): PCA to `COMPONENTS`, then t-SNE (van der Maaten and Hinton, 2008).

    Those of a collapsed codebook are all the same, and so are their places.
    """
    import numpy as np

    # scikit-learn divides by their spread, and crashes; means of the same vectors differ by rounding.
    if np.ptp(vectors, axis=0).max() <= 1e-9 * np.abs(vectors).max():
        return [[0.0, 0.0]] * len(vectors)
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    components = min(COMPONENTS, *vectors.shape)
    reduced = PCA(components, svd_solver="full").fit_transform(vectors).astype(np.float32)
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    points = TSNE(perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1).fit_transform(reduced)
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]


def write_map(
    exp_dir: Path,
    data: Path,
    out: Path,
    *,
    model_file: str,
    codes: Path | None,
    num: int,
    allow_import: bool,
) -> None:
    """Write the map of a codec's streams on a test set to `out` (JSON), unless it is up to date or can't be made.

    Args:
        exp_dir: Directory of the trained codec.
        data: Data directory with phones.ctm.
        model_file: Weights inside `exp_dir`.
        codes: codes.scp of stage 6; None: that of the codec and the set.
        num: Segments on the map.
        allow_import: See `load_codec`.

    Raises:
        UserError: No codes, codes of other weights, too few segments, or another process writes `out`.
    """
    with exclusive(out):
        _write_map(exp_dir, data, out, model_file, codes, num, allow_import)


def _write_map(
    exp_dir: Path, data: Path, out: Path, model_file: str, codes_scp: Path | None, number: int, allow_import: bool
) -> None:
    ctm = data / "phones.ctm"
    if not ctm.is_file():
        forget(out)
        print(f"{out}: left out: {ctm} is not there (alignments are made in stage 1, where the corpus has some)")
        return
    codes_scp = codes_scp or exp_dir / "tokens" / data.name / "codes.scp"
    codes = read_table(codes_scp)
    segments = balanced([item for item in read_segments(data) if item.utterance in codes], number)
    if len(segments) < 4 * K:
        raise UserError(f"{ctm}: {len(segments)} phones of utterances with codes: a map needs {4 * K} at least")
    origin = Origin(
        {"made_by": _model_of(codes_scp), "number": number, "source": [SOURCE, SEED, PERPLEXITY, COMPONENTS]},
        {"the model": exp_dir / model_file, "phones.ctm": ctm, "utt2spk": data / "utt2spk"},
        {"the codes": codes_scp},
    )
    if is_current(out, origin, again=f"{out}: made again"):
        print(f"{out}: up to date, skipped")
        return
    record = renew(out, origin)

    from hasrd.models.load import load_codec

    if _model_of(codes_scp) != sha256(exp_dir / model_file):
        raise UserError(f"{codes_scp}: made with other weights than {model_file}: run stage 6 again")
    codec = load_codec(exp_dir, model_file, allow_import=allow_import)
    utterances = [segment.utterance for segment in segments]
    streams: dict[str, Any] = {}
    try:
        found = stream_vectors(codec, segments, codes)
    except NotImplementedError:
        print(f"{out}: left out: the package of this codec does not give the vectors of its tokens")
        return
    for name, vectors in found.items():
        print(f"{name}: neighbours and t-SNE of {len(vectors)} segments in {vectors.shape[1]} dimensions", flush=True)
        streams[name] = {
            "points": plane(vectors),
            "phone": neighbours(vectors, [segment.phone for segment in segments], utterances),
            "speaker": neighbours(vectors, [segment.speaker for segment in segments], utterances),
        }
    content = {
        "test_set": data.name,
        "phones": [segment.phone for segment in segments],
        "speakers": [segment.speaker for segment in segments],
        "utterances": utterances,
        "starts": [segment.start for segment in segments],
        "streams": streams,
        "neighbours": SOURCE,
        "versions": versions(("numpy", "scikit-learn", "torch")),
    }
    # In one line: thousands of points.
    write_text(out, json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")
    write_record(out, record)
    for name, of in streams.items():
        for label in ("phone", "speaker"):
            if of[label]:
                accuracy, level = 100 * of[label]["accuracy"], 100 * of[label]["chance"]
                print(f"{out}: {name}: neighbours agree on the {label} in {accuracy:.1f}%, chance {level:.1f}%")


def _model_of(codes_scp: Path) -> str:
    path = codes_scp.with_name("codes.json")
    model = read_json(path, TokenFacts, "run stage 6 again").model
    if model is None:
        raise UserError(f"{path}: does not say which weights made the codes: run stage 6 again")
    return model
