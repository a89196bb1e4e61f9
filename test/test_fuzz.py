# Copyright 2026 The hasrd authors
# Apache-2.0
"""A minute of ci/fuzz.sh, and that its table of readers is complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("kaldiio")
ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "ci"))

from readers import OTHERS, READERS  # noqa: E402

# What opens a file, or turns what was in one into values.
OPENS = re.compile(
    r"(?<!def )\b(?:open\(|read_text\(|read_bytes\(|read_(?:yaml|json|npz|npy)\(|parse_(?:yaml|json|count)\(|"
    r"np\.load\(|torch\.load\(|safe_open\(|load_file\(|soundfile\.(?:read|info|SoundFile)\(|tarfile\.open\(|ZipFile\(|"
    r"kaldiio\.load|gzip\.|pickle\.load|yaml\.\w*load\(|json\.loads?\()"
)


def modules_that_open():
    for path in sorted((ROOT / "hasrd").rglob("*.py")):
        if OPENS.search(path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT).as_posix()


def test_every_module_that_reads_has_a_row():
    covered = {module for reader in READERS.values() for module in reader.modules}
    missing = [name for name in modules_that_open() if name not in covered | OTHERS.keys()]
    assert not missing, "name them in ci/readers.py: with a row of READERS, or in OTHERS with the reason"


def test_the_table_names_no_module_that_is_gone():
    named = {module for reader in READERS.values() for module in reader.modules} | OTHERS.keys()
    assert not [name for name in sorted(named) if not (ROOT / name).is_file()]
    assert not [name for name in OTHERS if not OPENS.search((ROOT / name).read_text(encoding="utf-8"))]


def run(out: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "HASRD_PYTHON": sys.executable}
    return subprocess.run(
        [str(ROOT / "ci/fuzz.sh"), "--out", str(out), *words],
        capture_output=True, text=True, errors="replace", timeout=400, env=environment,
    )  # fmt: skip


@pytest.mark.timeout(500)
def test_a_minute_of_damaged_and_hostile_files(tmp_path):
    done = run(tmp_path, "--minutes", "1", "--nj", "1")
    found = "\n\n".join(path.read_text(errors="replace")[-3000:] for path in tmp_path.rglob("why.txt"))
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}\n{found}"
    assert all(re.search(rf"^{name} +\d+ read", done.stdout, re.MULTILINE) for name in READERS)


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        ("raise KeyError('a fault')", "KeyError"),
        ("open(f'{home}/../hasrd_fuzz_outside', 'w').close()", "hasrd_fuzz_outside"),
        ("import os; os.system('true')", "os.system"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import pickle; pickle.loads(b'cos\\nsystem\\n.')", "pickle.find_class"),
        ("import time; time.sleep(3)", "took longer"),
        ("bytes(2**40)", ""),
        ("raise UserError('one line')", ""),
    ],
)
def test_the_suite_sees_what_it_looks_for(tmp_path, code, finding):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, signal, tempfile\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(ROOT / 'ci')!r})\nimport fuzz\nfrom readers import Reader, texts\n"
        "from hasrd.errors import UserError\nfuzz.TIME_LIMIT = 1.0\nsignal.signal(signal.SIGALRM, fuzz._hang)\n"
        "def read(path):\n    if path.read_bytes() != b'valid':\n"
        f"        {code}\n"
        f"home = Path(tempfile.mkdtemp(dir={str(tmp_path)!r}))\n"
        "fuzzer = fuzz.Fuzzer('x', Reader(texts(a='valid'), 'a', read, ()), home, fuzz.Guard(home), 0, home / 'out')\n"
        "print(next(filter(None, (fuzzer.run(number) for number in range(5))), ''))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr
    assert finding in done.stdout if finding else not done.stdout.strip()


def test_an_input_can_be_made_again(tmp_path):
    one, two = (run(tmp_path / "out", "--reader", "yaml", "--number", "7").stdout for _ in range(2))
    assert one == two and "nothing wrong" in one
