# Copyright 2026 The hasrd authors
# Apache-2.0
"""What happens to every stage and command that writes when it is killed, its disk is full or can only be read, or two
of them run at once.

After each fault the same command is run again, undisturbed: it has to end well, with the files that an undisturbed run
gives. What was tried, and what happened, is written to docs/faults.md. Trials that are done are kept in --out and not
done again, so that the suite can be run in parts (after a change of the code, remove that folder):

    ci/faults.sh --minutes 20            as many as 20 minutes take, those that were never tried first
    ci/faults.sh --only encode           those of one command
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
KINDS = {
    "kill": "killed (SIGKILL, with all its processes) at a random moment",
    "full disk": "the disk is full after a random part of what it writes",
    "read-only": "the file system can only be read",
    "two at once": "two started at the same time",
}
# Seconds for one run, on a machine that others use too.
TIMEOUT = 900
KILLS = 3
# Where things differ from run to run for a reason: logs, times, records with times.
PASSING = re.compile(r"(^|/)(\.[^/]*|logs?/.*|[^/]*\.log|tensorboard/.*|output[^/]*)$")
# Stages of the recipe with small models, and the sets that test/egs2 cuts for it.
STAGES = {2: "features", 3: "pre-training", 4: "semantic tokens", 5: "codec", 6: "tokens", 7: "probes", 8: "scores"}


@dataclass(frozen=True)
class Unit:
    """What is tried: a command or a stage.

    Attributes:
        name: In the table.
        make: Makes a folder with all that it needs; its files are those of the folder.
        words: The command line, run in that folder.
    """

    name: str
    make: Callable[[Path], None]
    words: tuple[str, ...]


def _folder(folder: Path) -> None:
    """Data, an encoder, a k-means and a codec, all small and untrained."""
    import numpy as np
    import readers
    import soundfile
    import torch

    from hasrd.data.kaldi import write_table
    from hasrd.jobs.digest import sha256
    from hasrd.models.kmeans import save_kmeans

    # The same models each time: two folders are put together where two commands run at once.
    torch.manual_seed(0)
    readers._experiment(folder / "codec")
    readers._encoder(folder / "encoder")
    chance = np.random.default_rng(0)
    facts = {"layer": 1, "encoder_sha256": sha256(folder / "encoder/encoder.safetensors")}
    save_kmeans(folder / "kmeans.npz", chance.standard_normal((4, 16)), facts)
    (folder / "audio").mkdir()
    wavs, texts, samples = {}, {}, {}
    for number in range(24):
        name = f"u-{number:02d}"
        wavs[name], texts[name] = f"audio/{name}.wav", "A TEXT"
        samples[name] = str(16000 + 500 * number)
        soundfile.write(folder / wavs[name], chance.uniform(-0.5, 0.5, 16000 + 500 * number), 16000)
    tables = {"wav.scp": wavs, "text": texts, "utt2spk": dict.fromkeys(wavs, "s"), "utt2num_samples": samples}
    for table, content in tables.items():
        write_table(folder / "data" / table, content)
    (folder / "out").mkdir()


def _with_tokens(folder: Path) -> None:
    _folder(folder)
    for source, out in (("audio", "tokens"), ("data/wav.scp", "set")):
        subprocess.run(_command("encode", "codec", source, out), cwd=folder, check=True, capture_output=True)


def _command(module: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"hasrd.bin.{module}", *words]


def commands() -> list[Unit]:
    """The commands that write, each into out/."""
    front = ("--encoder_file", "encoder/encoder.safetensors")
    codec = ("--exp_dir", "codec", "--data", "data")
    lines: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
        "encode": (_folder, ("codec", "audio", "out/tokens")),
        "decode": (_with_tokens, ("codec", "tokens", "out/speech")),
        "resynth": (_folder, ("codec", "audio", "out/heard")),
        "pack": (_folder, ("codec", "out/packed")),
        "subset_data": (_folder, ("--data", "data", "--out", "out/subset", "--num_utts", "5")),
        "dump_feats": (_folder, ("--data", "data", "--dump", "out/dump", "--chunk_size", "4")),
        "kmeans": (
            _folder,
            (*front, "--data", "data", "--layer", "1", "--num_clusters", "4", "--portion", "1", "--out", "out/km.npz"),
        ),
        "semantic_tokens": (
            _folder, (*front, "--kmeans_file", "kmeans.npz", "--data", "data", "--out", "out/semantic")
        ),
        "tokenize": (_folder, (*codec, "--out", "out/tokens", "--versions", "combined")),
        "extract": (_folder, (*codec, "--out", "out/inputs")),
        "export_units": (_with_tokens, ("set", "--data", "data", "--format", "text", "--out", "out/units")),
    }  # fmt: skip
    return [Unit(f"hasrd {name.replace('_', '-')}", make, tuple(_command(name, *words)))
            for name, (make, words) in lines.items()]  # fmt: skip


class Suite:
    """Trials, their state on disk and the folders that they start from."""

    def __init__(self, out: Path, mounts: bool, seed: int) -> None:
        self.out, self.mounts = out.resolve(), mounts
        self.chance = random.Random(seed)
        self.out.mkdir(parents=True, exist_ok=True)
        self.state_file = self.out / "state.json"
        self.state: dict[str, dict[str, Any]] = {}
        if self.state_file.is_file():
            self.state = json.loads(self.state_file.read_text(encoding="utf-8"))
        self.whole_file = self.out / "undisturbed.json"
        self.whole: dict[str, tuple[dict[str, str], float, int]] = {}
        if self.whole_file.is_file():
            self.whole = json.loads(self.whole_file.read_text(encoding="utf-8"))

    def units(self) -> list[Unit]:
        """All of them, the quick ones first."""
        return [*commands(), *(self._stage(number) for number in STAGES)]

    def trials(self) -> Iterator[tuple[str, Unit, Unit | None]]:
        """Yield kind, unit and, for two at once, the other one."""
        units = self.units()
        for part in (units[: len(commands())], units[len(commands()) :]):
            # In turn, so that a part of them has some of each kind.
            for turn in range(len(KINDS)):
                for place, unit in enumerate(part):
                    kind = list(KINDS)[(turn + place) % len(KINDS)]
                    yield kind, unit, unit if kind == "two at once" else None
        for one, two in itertools.combinations(commands(), 2):
            yield "two at once", one, two

    def _stage(self, number: int) -> Unit:
        words = ("./run.sh", "--stage", str(number), "--stop_stage", str(number))
        return Unit(f"stage {number} ({STAGES[number]})", lambda folder: self._before(number, folder), words)

    def _before(self, number: int, folder: Path) -> None:
        """Make the recipe's folder as it is before a stage, from the one before that."""
        kept = self.out / "stages" / str(number)
        if not kept.is_dir():
            kept.parent.mkdir(parents=True, exist_ok=True)
            temporary = kept.with_name(f"{number}.part")
            shutil.rmtree(temporary, ignore_errors=True)
            if number == 2:
                self._first(temporary)
            else:
                self._before(number - 1, temporary)
                done = self._run(self._stage(number - 1), temporary)
                if done.returncode:
                    raise RuntimeError(f"stage {number - 1} fails undisturbed:\n{done.stdout[-2000:]}")
            temporary.rename(kept)
        shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)

    def _first(self, folder: Path) -> None:
        import recipe as recipes
        from test_recipe import DATADIR, OPTIONS, few

        speech = os.environ.get("LIBRISPEECH", "")
        made = recipes.Recipe(folder / "r", "mini_librispeech" if speech else "asterisk")
        made.run(*DATADIR, "--stage", "1", "--stop_stage", "1", timeout=TIMEOUT)
        test = "test-clean" if speech else "test"
        few(made, {"train_few": "train", "valid_few": "valid", "test_few": test})
        options = [*made.options, *OPTIONS, "--probes", "latent"]
        (folder / "options.json").write_text(json.dumps({"options": options, "system": str(made.folder)}))

    def _run(self, unit: Unit, folder: Path, when: Callable[[], bool] | None = None) -> subprocess.CompletedProcess:
        """Run a unit to its end, or until `when` says that it is to be killed."""
        words, where, log = list(unit.words), folder, self.out / f"output-{self.chance.random()}"
        environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        environment["HASRD_PYTHON"] = sys.executable
        if unit.name.startswith("stage"):
            facts = json.loads((folder / "options.json").read_text())
            # The recipe was made in another folder.
            where = folder / "r" / Path(facts["system"]).relative_to(Path(facts["system"]).parents[2])
            words += facts["options"]
        with open(log, "w") as file:
            process = subprocess.Popen(words, cwd=where, env=environment, stdout=file, stderr=subprocess.STDOUT,
                                       start_new_session=True)  # fmt: skip
        end = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < end and not (when and when()):
            time.sleep(0.01)
        killed = process.poll() is None
        for pid in _below(folder) if killed else ():
            _kill(pid)
        process.wait()
        text = log.read_text(errors="replace")
        log.unlink()
        return subprocess.CompletedProcess(words, -9 if killed else process.returncode, text, "")

    def undisturbed(self, unit: Unit) -> tuple[dict[str, str], float, int]:
        """Return the files of a run that nothing disturbs (name to hash), its seconds and the bytes that it wrote."""
        if unit.name not in self.whole:
            folder = self._fresh(unit)
            before, start = _size(folder), time.monotonic()
            done = self._run(unit, folder)
            if done.returncode:
                raise RuntimeError(f"{unit.name} fails undisturbed:\n{done.stdout[-2000:]}")
            self.whole[unit.name] = _files(folder), time.monotonic() - start, _size(folder) - before
            self.whole_file.write_text(json.dumps(self.whole), encoding="utf-8")
            shutil.rmtree(folder)
        return self.whole[unit.name]

    def _fresh(self, unit: Unit) -> Path:
        folder = self.out / "work"
        shutil.rmtree(folder, ignore_errors=True)
        kept = self.out / "made" / hashlib.sha256(unit.name.encode()).hexdigest()[:12]
        if not kept.is_dir():
            part = kept.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.parent.mkdir(parents=True, exist_ok=True)
            unit.make(part)
            part.rename(kept)
        shutil.copytree(kept, folder, symlinks=True)
        return folder

    def try_one(self, kind: str, unit: Unit, other: Unit | None) -> tuple[str, list[str]]:
        """Do one trial; return what happened and what was wrong with it."""
        if kind in ("full disk", "read-only") and not self.mounts:
            return "left out: this system gives no mount namespace", []
        self.undisturbed(unit)
        if other is not None:
            self.undisturbed(other)
        return {"kill": self._kill, "full disk": self._full, "read-only": self._read_only}.get(
            kind, lambda one: self._two(one, other or one)
        )(unit)

    def _kill(self, unit: Unit) -> tuple[str, list[str]]:
        _, seconds, _ = self.undisturbed(unit)
        folder, wrong, moments = self._fresh(unit), [], []
        for _ in range(4 * KILLS):
            start = time.monotonic()
            moment = start + self.chance.uniform(0.05, 0.95) * seconds
            done = self._run(unit, folder, lambda moment=moment: time.monotonic() > moment)
            moments.append("killed" if done.returncode == -9 else f"ended before ({done.returncode})")
            wrong += _told(done, fails=None)
            if _below(folder):
                time.sleep(2)
                wrong += [f"process {pid} outlives it" for pid in _below(folder)]
            if moments.count("killed") == KILLS:
                break
            if moments[-1] != "killed":
                # The machine was busier when the undisturbed run was timed.
                folder, seconds = self._fresh(unit), time.monotonic() - start
        return f"{', '.join(moments)}; then {self._again(unit, folder, wrong)}", wrong

    def _full(self, unit: Unit) -> tuple[str, list[str]]:
        whole, seconds, size = self.undisturbed(unit)
        folder, wrong = self._fresh(unit), []
        room = int(self.chance.uniform(0.02, 0.9) * size)
        with _Disk(folder) as disk:
            disk.leave(room)
            done = self._run(unit, folder)
            enough = done.returncode == 0 and _files(folder) == whole and room > 4096
            if not enough:
                wrong += _told(done, fails=True)
                disk.leave(10 * size + 2**27)
                then = self._again(unit, folder, wrong)
        if enough:
            # This file system takes less room for the same files.
            self.whole[unit.name] = whole, seconds, room
            return self._full(unit)
        return f'with room for {room // 1024} of {size // 1024} KiB: "{_error_of(done)}"; then {then}', wrong

    def _read_only(self, unit: Unit) -> tuple[str, list[str]]:
        folder, wrong = self._fresh(unit), []
        with _Disk(folder) as disk:
            disk.leave(2**27)
            disk.remount("ro")
            done = self._run(unit, folder)
            wrong += _told(done, fails=True)
            disk.remount("rw")
            then = self._again(unit, folder, wrong)
        return f'"{_error_of(done)}"; then {then}', wrong

    def _two(self, one: Unit, two: Unit) -> tuple[str, list[str]]:
        folder, wrong = self._fresh(one), []
        made = self.out / "second"
        if two is not one:
            shutil.rmtree(made, ignore_errors=True)
            two.make(made)
            for path in made.iterdir():
                if not (folder / path.name).exists():
                    shutil.move(path, folder / path.name)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda unit: self._run(unit, folder), (one, two)))
        ended = []
        for done in both:
            wrong += _told(done, fails=None)
            ended.append("well" if done.returncode == 0 else f'with "{_error_of(done)}"')
        if all(done.returncode for done in both):
            wrong.append("neither came to its end")
        if two is not one:
            wrong += [f"two different ones: {_error_of(done)}" for done in both if done.returncode]
        then = self._again(one, folder, wrong, besides=two is not one)
        return f"one ended {ended[0]}, the other {ended[1]}; then {then}", wrong

    def _again(self, unit: Unit, folder: Path, wrong: list[str], besides: bool = False) -> str:
        """Run it once more; it has to leave what an undisturbed run leaves."""
        done = self._run(unit, folder)
        if done.returncode:
            if "is there already" in done.stdout and unit.name == "hasrd pack":
                done.returncode = 0
            else:
                wrong.append(f"run again, it fails: {_error_of(done) or done.stdout[-300:]}")
        wrong += _told(done, fails=None)
        whole, found = self.undisturbed(unit)[0], _files(folder)
        lost = sorted(whole.keys() - found.keys())
        more = [] if besides else sorted(found.keys() - whole.keys())
        differ = sorted(name for name in whole.keys() & found.keys() if whole[name] != found[name])
        for what, names in (("missing", lost), ("too many", more), ("different", differ)):
            if names:
                wrong.append(f"run again, {len(names)} files are {what}: {', '.join(names[:3])}")
        return "run again: as undisturbed" if not (lost or more or differ) else "run again: NOT as undisturbed"

    def note(self, kind: str, unit: Unit, other: Unit | None, what: str, wrong: list[str]) -> None:
        """Keep the outcome of a trial."""
        self.state[_key(kind, unit, other)] = {"what": what, "wrong": wrong, "day": time.strftime("%F")}
        part = self.state_file.with_suffix(".part")
        part.write_text(json.dumps(self.state, indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(part, self.state_file)


class _Disk:
    """A small file system of its own, in memory, in place of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> _Disk:
        away = self.folder.with_name("away")
        shutil.rmtree(away, ignore_errors=True)
        self.folder.rename(away)
        self.folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", self.folder], check=True)
        shutil.copytree(away, self.folder, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(away)
        return self

    def leave(self, room: int) -> None:
        """Make so many bytes free."""
        usage = os.statvfs(self.folder)
        used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
        self.remount(f"size={max(used + room, 4096)}")

    def remount(self, option: str) -> None:
        """Change an option of the file system."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.folder], check=True)

    def __exit__(self, *_: object) -> None:
        for pid in _below(self.folder):
            _kill(pid)
        subprocess.run(["umount", "-l", self.folder], check=True)


def _told(done: subprocess.CompletedProcess, fails: bool | None) -> list[str]:
    """What is wrong with how a run ended: a traceback, or a failure without a line."""
    wrong = []
    if "Traceback (most recent call last)" in done.stdout:
        at = done.stdout.index("Traceback (most recent call last)")
        wrong.append(f"traceback: {done.stdout[at:].strip().splitlines()[-1][:200]}")
    if fails and done.returncode == 0:
        wrong.append("ends well although it cannot have written all")
    if done.returncode > 0 and not _error_of(done):
        wrong.append(f"ends with {done.returncode} and no line that says why: {done.stdout[-200:]!r}")
    return wrong


def _error_of(done: subprocess.CompletedProcess) -> str:
    lines = [line for line in done.stdout.splitlines() if re.match(r"(error|failed|.*: error): ?", line)]
    return re.sub(r"/\S*/(work|made)/", "", lines[-1].partition(": ")[2])[:160] if lines else ""


def _files(folder: Path) -> dict[str, str]:
    """Name to hash of all files that a run is to leave; of those that hold times and places, the name alone."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not PASSING.search(name):
            plain = path.suffix not in (".json", ".yaml", ".pth", ".md", ".html", ".png")
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if plain else ""
    return found


def _size(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def _below(folder: Path) -> list[int]:
    """Processes that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _key(kind: str, unit: Unit, other: Unit | None) -> str:
    return f"{kind}|{unit.name}" if other in (None, unit) else f"{kind}|{unit.name} + {other.name}"


def _without_times(text: str) -> str:
    """Leave out of a message what is of one machine and moment."""
    text = re.sub(r"process \d+", "process N", text)
    text = re.sub(r"on \S+ \((hasrd [^,)]*), since [^)]*\)", r"on HOST (\1, since TIME)", text)
    return re.sub(r"started \S+ \S+ on [^,]+,", "started TIME on HOST,", text)


def page(suite: Suite) -> str:
    """docs/faults.md, made of what was tried."""
    keys = [_key(*trial) for trial in suite.trials()]
    tried = [key for key in keys if key in suite.state]
    bad = [key for key in tried if suite.state[key]["wrong"]]
    lines = [
        "# Faults: what was tried, and what happened",
        "",
        "Made by [ci/faults.sh](../ci/faults.sh); not to be edited. " + " ".join(__doc__.split("\n\n")[0].split()),
        'After each fault the same command ran again, undisturbed: "as undisturbed" says that it then left the '
        "files of a run without faults (names; content too where it holds no times).",
        "",
        *(f"- {kind}: {what}" for kind, what in KINDS.items()),
        "",
        f"Of {len(keys)} trials {len(tried)} were done, {len(bad)} with a finding. `ci/faults.sh` does the rest.",
    ]
    for kind in KINDS:
        rows = [key for key in tried if key.startswith(f"{kind}|")]
        lines += ["", f"## {kind[0].upper()}{kind[1:]}", ""]
        if not rows:
            lines.append("Not tried yet.")
            continue
        lines += ["| what | what happened | finding | on |", "|---|---|---|---|"]
        for key in rows:
            entry = suite.state[key]
            what, wrong = _without_times(entry["what"]), "; ".join(entry["wrong"])
            cells = (key.partition("|")[2], what, wrong or "none", entry["day"])
            lines.append("| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |")
    missing = [key.replace("|", ": ") for key in keys if key not in suite.state]
    if missing:
        lines += ["", "## Not tried yet", "", *(f"- {name}" for name in missing)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the suite on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no trial after so long (default: do all)")
    parser.add_argument("--only", default="", help="trials whose name this regular expression finds, done again")
    parser.add_argument("--out", type=Path, default=Path("faults_out"), help="state and folders (default: faults_out)")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/faults.md", help="the table to write")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and sizes")
    parser.add_argument("--mounts", action="store_true", help="this process may mount (ci/faults.sh sees to it)")
    args = parser.parse_args()
    suite = Suite(args.out, args.mounts, args.seed)
    end, found = time.monotonic() + 60 * args.minutes, 0
    args.page.write_text(page(suite), encoding="utf-8")
    for kind, unit, other in suite.trials():
        key = _key(kind, unit, other)
        if not re.search(args.only, key) if args.only else key in suite.state:
            continue
        if time.monotonic() > end:
            break
        try:
            what, wrong = suite.try_one(kind, unit, other)
        except (RuntimeError, AssertionError, subprocess.SubprocessError) as error:
            # It fails without any fault.
            what, wrong = "not tried", [str(error).strip().splitlines()[-1]]
        suite.note(kind, unit, other, what, wrong)
        found += bool(wrong)
        print(f"{key}: {what}" + "".join(f"\n    FINDING {line}" for line in wrong), flush=True)
        args.page.write_text(page(suite), encoding="utf-8")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
