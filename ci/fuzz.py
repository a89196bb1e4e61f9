# Copyright 2026 The hasrd authors
# Apache-2.0
"""Damaged and hostile files for every reader of the package: no traceback, no hang, no file outside, no code run.

Each input is a valid file with one to four changes: flipped bits, cuts, splices, extreme numbers, strings of known
attacks; in archives (.npz, .pth, .tar, .deb, .safetensors) also inside of a member, with its checksum made right again.
An input is made from the seed, the reader's name and a number alone, so each can be made again:

    ci/fuzz.sh --inputs 1000000                  the whole suite
    ci/fuzz.sh --minutes 1                       as long as that
    ci/fuzz.sh --reader kmeans --number 17       one input

What a reader may do with an input: read it, or raise what `hasrd.errors.explain` has a line for. All else is reported,
and the input is kept under --out.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import io
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any, Iterator

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "ci"))

# Seconds for one input, of a few kilobytes; the machine may be busy.
TIME_LIMIT = 10.0
# After them a reader is stuck where Python cannot interrupt it.
STUCK = 60.0
# Bytes that a reader may ask for beside what is loaded.
MEMORY = 2 * 2**30
# Seconds that a reader has before the next one's turn.
TURN = 0.5
# A module of this name is what hostile files name: importing it is running their code.
CANARY = "hasrd_fuzz_canary"
# What they would write, outside of the folder of the inputs: no such file may come to be.
OUTSIDE = os.path.join(tempfile.gettempdir(), "hasrd_fuzz")

ATTACKS = [
    f"!!python/object/apply:os.system ['touch {OUTSIDE}']".encode(),
    b"!!python/name:hasrd_fuzz_canary.run",
    b"hasrd_fuzz_canary:run",
    b"&a [*a, *a]",
    f"cos\nsystem\n(S'touch {OUTSIDE}'\ntR.".encode(),
    b"\x80\x04\x8c\x11hasrd_fuzz_canary\x8c\x03run\x93)R.",
    f"../../..{OUTSIDE}".encode(),
    OUTSIDE.encode(),
    f"touch {OUTSIDE} |".encode(),
    b"__import__('hasrd_fuzz_canary')",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xb2\x80",
    b"\\ud800",
    b"\r",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"null",
    b"{}",
    b"[]",
    b"true",
    b'""',
    b"2026-11-26",
    b"2e-3",
    b"[" * 2000,
    b"{a: " * 200,
    b"9" * 5000,
]
NUMBERS = [
    b"0", b"-1", b"1e400", b"-1e400", b"nan", b"NaN", b"Infinity", b".inf", b"1e-400", b"2147483648", b"4294967295",
    b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"1" * 400, b"1.5", b"-0.0", b"1_0",
]  # fmt: skip
WORDS = [bytes([value]) * width for width in (1, 2, 4, 8) for value in (0x00, 0x7F, 0x80, 0xFF)]


def mutate(content: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Return a changed copy: inside of a container's member half of the time."""
    for unpack in (_in_zip, _in_tar, _in_deb, _in_safetensors):
        if chance.random() < 0.5:
            changed = unpack(content, chance, others)
            if changed is not None:
                return changed
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        content = _change(content, chance, others)
    # What takes long because it is large is no finding.
    return content[: 2**20]


def _change(content: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    at = chance.randrange(len(content) + 1)
    end = min(len(content), at + chance.choice((1, 2, 4, 16, 256)))
    kind = chance.randrange(12)
    if kind == 0 and content:
        at = min(at, len(content) - 1)
        return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]
    if kind == 1:
        return content[:at] + chance.randbytes(end - at) + content[end:]
    if kind == 2:
        return content[:at]
    if kind == 3:
        return content[:at] + content[end:]
    if kind == 4:
        return content[:at] + content[at:end] * chance.choice((2, 3, 100)) + content[end:]
    if kind == 5:
        other = chance.choice(others) if others else content
        start = chance.randrange(len(other) + 1)
        return content[:at] + other[start : start + chance.choice((8, 64, 1024))] + content[at:]
    if kind == 6:
        return content[:at] + chance.choice(ATTACKS) + content[at:]
    if kind == 7:
        word = chance.choice(WORDS)
        return content[:at] + word + content[at + len(word) :]
    lines = content.split(b"\n")
    if kind == 8 and len(lines) > 1:
        one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
        lines[one], lines[two] = lines[two], lines[one]
        return b"\n".join(lines)
    # A value as a whole: a number, a quoted text, a word.
    pattern = (rb"-?[0-9][0-9.e+-]*", rb'"[^"\n]*"', rb"[^\s,:\[\]{}]+")[chance.randrange(3)]
    found = [match.span() for match in re.finditer(pattern, content[: 2**16])]
    if not found:
        return content[:at] + chance.choice(NUMBERS) + content[at:]
    start, end = chance.choice(found)
    return content[:start] + chance.choice(NUMBERS if kind < 11 else ATTACKS) + content[end:]


def _in_zip(content: bytes, chance: random.Random, others: list[bytes]) -> bytes | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            members = [[member, file.read(member)] for member in file.infolist()]
    except zipfile.BadZipFile:
        return None
    if not members:
        return None
    chosen = chance.choice(members)
    chosen[1] = _change(chosen[1], chance, others)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for member, data in members:
            if member is chosen[0] and chance.random() < 0.1:
                member.filename = chance.choice(["../evil.npy", f"{OUTSIDE}.npy", "a" * 300, "centroids.npy"])
            member.compress_type = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            file.writestr(member, data, member.compress_type)
    return buffer.getvalue()


def _in_tar(content: bytes, chance: random.Random, others: list[bytes]) -> bytes | None:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = [(member, tar.extractfile(member).read() if member.isfile() else b"") for member in tar]
    except (tarfile.TarError, EOFError, OSError):
        return None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=chance.choice(("w", "w:gz", "w:xz"))) as tar:
        for member, data in members:
            if chance.random() < 0.5:
                member.name = chance.choice(
                    ["../evil", OUTSIDE, f"{member.name}/../../evil", member.name + "x" * 300, "a/b", ".", ""]
                )
            if chance.random() < 0.3:
                kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE)
                member.type, member.linkname = chance.choice(kinds), chance.choice(["../..", "/etc", "a/b", ""])
            if chance.random() < 0.3:
                data = _change(data, chance, others)
            member.size = len(data) if member.type == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(data[: member.size]))
    return buffer.getvalue()


def _in_deb(content: bytes, chance: random.Random, others: list[bytes]) -> bytes | None:
    at = content.find(b"data.tar")
    if not content.startswith(b"!<arch>") or at < 0:
        return None
    changed = _in_tar(content[at + 60 :], chance, others)
    if changed is None:
        return None
    return content[: at + 48] + f"{len(changed):<10}".encode() + b"`\n" + changed


def _in_safetensors(content: bytes, chance: random.Random, others: list[bytes]) -> bytes | None:
    length = int.from_bytes(content[:8], "little")
    if not 0 < length < len(content) or content[8:9] != b"{":
        return None
    header = _change(content[8 : 8 + length], chance, others)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


class Guard:
    """Sees what Python's own audit events tell of: files written outside of the folder, code that is run."""

    def __init__(self, allowed: Path) -> None:
        self.allowed = os.path.realpath(allowed)
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self._outside(event, args[0])
        elif event in ("os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "shutil.rmtree"):
            self._outside(event, args[0])
        elif event in ("os.rename", "os.link", "os.symlink"):
            self._outside(event, args[1])
        elif event in ("os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "pty.spawn"):
            self.seen.append(f"{event} {args}")
        elif event == "subprocess.Popen" and Path(str(args[0])).name != "dpkg-deb":
            self.seen.append(f"{event} {args}")
        elif event == "pickle.find_class":
            self.seen.append(f"{event} {args}")
        elif event == "import" and str(args[0]).startswith(CANARY):
            self.seen.append(f"{event} {args[0]}")

    def _outside(self, event: str, path: Any) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            full = os.path.realpath(os.fsdecode(path))
            if full != os.devnull and full != self.allowed and not full.startswith(self.allowed + os.sep):
                self.seen.append(f"{event} {full}")


class Hang(BaseException):
    """An input took longer than `TIME_LIMIT`; no reader may catch it as an error of the file."""


def _hang(*_: Any) -> None:
    raise Hang


class Fuzzer:
    """Runs inputs of one reader, in a folder that holds its valid files."""

    def __init__(self, name: str, reader: Any, home: Path, guard: Guard, seed: int, out: Path) -> None:
        self.name, self.reader, self.guard, self.seed, self.out = name, reader, guard, seed, out
        self.folder = home / name
        reader.make(self.folder)
        self.targets = [path for path in reader.targets(self.folder)]
        self.valid = {path: path.read_bytes() for path in self.targets}
        self.files = set(self.folder.rglob("*"))
        self.counts: collections.Counter[str] = collections.Counter()
        # What is valid has to be read, or all inputs would stop at the same place.
        for path in self.targets:
            reader.read(path)

    def input(self, number: int) -> tuple[Path, bytes]:
        """Make an input again."""
        chance = random.Random(f"{self.seed} {self.name} {number}")
        path = self.targets[number % len(self.targets)]
        return path, mutate(self.valid[path], chance, list(self.valid.values()))

    def run(self, number: int) -> str:
        """Run one input; return what is wrong with the reader, "" where nothing is."""
        from hasrd.errors import explain

        path, content = self.input(number)
        path.write_bytes(content)
        self.guard.seen.clear()
        wrong = ""
        signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT)
        self.guard.on = True
        try:
            self.reader.read(path)
            self.counts["read"] += 1
        except Hang:
            wrong = f"took longer than {TIME_LIMIT:g} s\n{traceback.format_exc(limit=-8)}"
        except Exception as error:
            line = explain(error)
            if line is None or "Traceback" in line:
                wrong = traceback.format_exc(limit=-12)
            else:
                self.counts["refused"] += 1
        except BaseException as error:
            wrong = f"{type(error).__name__}: {error}"
        finally:
            self.guard.on = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        path.write_bytes(self.valid[path])
        if self.guard.seen:
            wrong = "\n".join(self.guard.seen[:5]) + f"\n{wrong}"
        self._tidy()
        if wrong:
            self.counts["wrong"] += 1
            self._keep(number, path, content, wrong)
        return wrong

    def _tidy(self) -> None:
        """Remove what the reader has written in its own folder."""
        for path in self.folder.iterdir():
            if path not in self.files:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _keep(self, number: int, path: Path, content: bytes, wrong: str) -> None:
        # One of a kind, told apart by the last lines.
        kind = re.sub(r"[^\w]+", "-", wrong.strip().splitlines()[-1])[:60]
        folder = self.out / self.name / kind
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / path.name[:100]).write_bytes(content)
            command = f"ci/fuzz.sh --seed {self.seed} --reader {self.name} --number {number}"
            (folder / "why.txt").write_text(f"{command}\n\n{wrong}\n", encoding="utf-8", errors="replace")


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _work(
    part: int,
    parts: int,
    names: list[str],
    seed: int,
    inputs: int,
    seconds: float,
    out: Path,
    report: Path,
    pulse: Any,
    now: Any,
) -> None:
    """Run this process's share: reader after reader, a turn each, until all have their number or the time is over."""
    from readers import READERS

    sys.stdout = sys.stderr = open(os.devnull, "w")
    # Libraries in C write past these: libmpg123 says what it skips in a damaged file.
    os.dup2(sys.stderr.fileno(), 2)
    # In memory where there is room: each input is a file.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    home = Path(tempfile.mkdtemp(prefix=f"hasrd-fuzz-{part}-", dir=memory))
    tempfile.tempdir = str(home)
    guard = Guard(home)
    signal.signal(signal.SIGALRM, _hang)
    faulthandler.enable(open(out / f"crash-{part}.txt", "w"))
    try:
        fuzzers = {}
        for name in names:
            pulse[part] = time.time()
            report.with_suffix(".now").write_text(f"{name}: its valid files")
            fuzzers[name] = Fuzzer(name, READERS[name], home, guard, seed, out)
        os.chdir(home)
        _limit_memory()
        end = time.monotonic() + seconds
        number, done = dict.fromkeys(names, part), 0
        while done < inputs and time.monotonic() < end:
            for name, fuzzer in fuzzers.items():
                report.with_suffix(".now").write_text(name)
                turn = time.monotonic() + min(TURN, max(0.01, (end - time.monotonic()) / len(fuzzers)))
                while time.monotonic() < turn and done < inputs:
                    pulse[part] = time.time()
                    now[part] = number[name]
                    fuzzer.run(number[name])
                    number[name] += parts
                    done += 1
        counts = {name: dict(fuzzer.counts) for name, fuzzer in fuzzers.items()}
        report.write_text(json.dumps(counts))
    except BaseException:
        # What is valid is refused, or a fault of this suite.
        report.with_suffix(".now").write_text(traceback.format_exc())
    finally:
        os.chdir("/")
        shutil.rmtree(home, ignore_errors=True)


def fuzz(
    names: list[str], seed: int, inputs: int, seconds: float, out: Path, nj: int
) -> Iterator[tuple[str, dict[str, int]]]:
    """Run the suite; yield the counts ("read", "refused", "wrong") of each reader.

    Raises:
        RuntimeError: A process was killed by a reader, or hangs in it; says with which input.
    """
    out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    pulse = context.Array("d", [time.time()] * nj)
    now = context.Array("q", [0] * nj)
    reports = [out / f"report-{part}.json" for part in range(nj)]
    for report in reports:
        report.unlink(missing_ok=True)
    workers = [
        context.Process(target=_work, args=(part, nj, names, seed, -(-inputs // nj), seconds, out, report, pulse, now))
        for part, report in enumerate(reports)
    ]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        time.sleep(0.2)
        for part, worker in enumerate(workers):
            if worker.is_alive() and time.time() - pulse[part] > STUCK:
                worker.kill()
    total: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in names}
    for part, report in enumerate(reports):
        if not report.exists():
            name = report.with_suffix(".now")
            place = f"{name.read_text() if name.exists() else 'the start'} --number {now[part]}"
            raise RuntimeError(f"a process ended (killed by a reader, or stuck in it): {place} (seed {seed}; {out})")
        for name, counts in json.loads(report.read_text()).items():
            total[name].update(counts)
    yield from ((name, dict(counts)) for name, counts in total.items())


def main() -> None:
    """Run the suite on the options of the command line."""
    from readers import READERS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=0, help="how many (default: as many as --minutes allows)")
    parser.add_argument("--minutes", type=float, default=60.0, help="for how long at most (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other inputs")
    parser.add_argument("--nj", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--out", type=Path, default=Path("fuzz_out"), help="where inputs with a finding are kept")
    parser.add_argument("--reader", choices=sorted(READERS), help="this one alone")
    parser.add_argument("--number", type=int, help="of --reader: this one input, with its traceback")
    args = parser.parse_args()
    args.out = args.out.resolve()  # the processes change their folder
    if args.number is not None:
        with tempfile.TemporaryDirectory() as home:
            signal.signal(signal.SIGALRM, _hang)
            reader = Fuzzer(args.reader, READERS[args.reader], Path(home), Guard(Path(home)), args.seed, args.out)
            print(reader.run(args.number) or f"nothing wrong: {dict(reader.counts)}")
        return
    names = [args.reader] if args.reader else sorted(READERS)
    start, wrong, done = time.time(), 0, 0
    for name, counts in fuzz(names, args.seed, args.inputs or 2**62, 60 * args.minutes, args.out, args.nj):
        print(f"{name:24} " + "  ".join(f"{counts.get(kind, 0):8} {kind}" for kind in ("read", "refused", "wrong")))
        wrong += counts.get("wrong", 0)
        done += sum(counts.values())
    print(f"{done} inputs for {len(names)} readers in {time.time() - start:.0f} s, seed {args.seed}: {wrong} findings")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
