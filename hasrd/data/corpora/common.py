# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every corpus gives: clips in sets, and a list of what was left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hasrd.data.kaldi import DataDir, write_lines
from hasrd.errors import UserError
from hasrd.jobs.names import name_problem


@dataclass(frozen=True)
class Clip:
    """One utterance: audio file, transcript, speaker, samples, and the language where a corpus has several."""

    path: str
    text: str
    speaker: str
    num_samples: int
    language: str = ""


@dataclass
class Corpus:
    """Clips by set and utterance; what was left out as (set or language, name, reason); lines to show; the licence."""

    sets: dict[str, dict[str, Clip]] = field(default_factory=dict)
    left_out: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    licence: str = ""

    def add(self, name: str, utterance: str, clip: Clip) -> None:
        """Put a clip into the set `name`; UserError where the utterance is there already, or cannot name a file."""
        clips = self.sets.setdefault(name, {})
        problem = name_problem(utterance)
        if problem:
            raise UserError(f"{clip.path}: the utterance's name '{utterance}' {problem}: rename the file")
        if utterance in clips:
            raise UserError(f"{clip.path}: utterance '{utterance}' is there already ({clips[utterance].path})")
        clips[utterance] = clip

    def leave_out(self, where: str, name: str, reason: str) -> None:
        """Note that clip `name` of the set or language `where` is not taken, and why."""
        self.left_out.append((where, name, reason))

    def write(self, out: str | Path) -> None:
        """Write a data directory for each set under `out`, and what was left out with the reasons.

        Raises:
            UserError: A set without clips.
        """
        out = Path(out)
        for name, clips in self.sets.items():
            if not clips:
                raise UserError(f"set '{name}' has no clips: nothing was written")
        for name, clips in self.sets.items():
            tables = {
                "wav.scp": {utt: clip.path for utt, clip in clips.items()},
                "text": {utt: clip.text for utt, clip in clips.items()},
                "utt2spk": {utt: clip.speaker for utt, clip in clips.items()},
                "utt2num_samples": {utt: str(clip.num_samples) for utt, clip in clips.items()},
            }
            if any(clip.language for clip in clips.values()):
                tables["utt2lang"] = {utt: clip.language for utt, clip in clips.items()}
            DataDir(out / name, tables).write(out / name)
        lines = sorted(f"{where} {name}: {reason}" for where, name, reason in self.left_out)
        write_lines(out / "left_out", lines)
        # The report shows it.
        write_lines(out / "licence", [self.licence])

    def table(self, sample_rate: int = 16000) -> str:
        """Sets with clips, minutes and speakers, and the reasons for what was left out, as text."""
        lines = [f"{'set':<16} {'clips':>7} {'minutes':>9} {'speakers':>9}"]
        for name, clips in self.sets.items():
            minutes = sum(clip.num_samples for clip in clips.values()) / sample_rate / 60
            speakers = len({clip.speaker for clip in clips.values()})
            lines.append(f"{name:<16} {len(clips):>7} {minutes:>9.1f} {speakers:>9}")
        if self.left_out:
            lines.append(f"left out: {len(self.left_out)}")
            for reason, count in Counter(reason for _, _, reason in self.left_out).most_common():
                lines.append(f"{count:>7}  {reason}")
        return "\n".join(lines + self.notes)


def holds(path: Path, wave: np.ndarray) -> bool:
    """Say whether a file holds exactly these samples, int16 (N,)."""
    import soundfile

    try:
        return path.is_file() and np.array_equal(soundfile.read(str(path), dtype="int16")[0], wave)
    except soundfile.SoundFileError:
        return False
