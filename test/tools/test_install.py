# Copyright 2026 The hasrd authors
# Apache-2.0
"""The installer, in a copy of its folder with a stand-in for uv; the real one runs in ci/test.sh."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FAKE_UV = r"""#!/usr/bin/env bash
# Stands in for uv: "venv" makes a folder with this Python, "pip compile" chooses some pins, "pip install" notes its
# options and what it was to install.
cd "$HOME"
echo "$@" >> calls
case "$1 ${2:-}" in
    --version*) [ ! -e broken ] || exit 1; echo "uv 1" ;;
    venv*)
        folder=${@: -1}
        mkdir -p "$folder/bin"
        printf '#!/bin/sh\nexec "%s" "$@"\n' "$REAL_PYTHON" > "$folder/bin/python"
        chmod +x "$folder/bin/python" ;;
    "pip compile")
        output=
        while [ $# -gt 0 ]; do [ "$1" != --output-file ] || output=$2; shift; done
        cat chosen > "$output" ;;
    "pip install")
        for word in "$@"; do [[ "$word" != *.txt ]] || cat "$word" >> installed; done
        while [ -e hold ]; do touch held; sleep 0.05; done
        [ ! -e refuse ] || { echo "no solution found" >&2; exit 1; } ;;
esac
"""


def pinned(package: str) -> str:
    """The package with its version in pins.txt."""
    pins = (ROOT / "tools/requirements/pins.txt").read_text()
    return re.search(rf"^{package}==\S+", pins, flags=re.MULTILINE)[0]


class Copy:
    """A copy of what the installer reads, with a fake uv on PATH and a check that always passes."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.root = folder / "repo"
        self.bin = folder / "bin"
        for path in (self.home, self.root, self.bin):
            path.mkdir(parents=True)
        shutil.copytree(ROOT / "tools", self.root / "tools", ignore=shutil.ignore_patterns("venv", ".*", "__pycache__"))
        shutil.copy(ROOT / "setup.py", self.root)
        (self.root / "tools/check.py").write_text("import sys\nprint('checked', *sys.argv[1:])\n")
        (self.home / "chosen").write_text(f"{pinned('tqdm')}\n{pinned('torch')}\n")
        (self.bin / "uv").write_text(FAKE_UV)
        (self.bin / "python3.11").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        for path in self.bin.iterdir():
            path.chmod(0o755)

    def start(self, *words, **env) -> subprocess.Popen:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("HASRD_", "VIRTUAL_ENV"))}
        env = {**clean, "HOME": str(self.home), "PATH": f"{self.bin}:{os.environ['PATH']}",
               "REAL_PYTHON": sys.executable, **env}  # fmt: skip
        return subprocess.Popen(
            [self.root / "tools/install.sh", *words], cwd="/", env=env, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, *words, **env) -> tuple[int, str, str]:
        with self.start(*words, **env) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def calls(self) -> list[str]:
        """The calls of uv since the last time."""
        path = self.home / "calls"
        calls = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return calls

    def installs(self) -> list[str]:
        """The lists of each installation since the last time, such as "base,train,cpu,eval"."""
        chosen = [call for call in self.calls() if call.startswith("pip compile")]
        lists = [re.findall(r"/requirements/(\w+)\.txt", call) for call in chosen]
        return [",".join(name for name in names if name not in ("pins", "overrides")) for names in lists]

    @property
    def venv(self) -> Path:
        return self.root / "tools/venv"


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def test_installs_once(copy):
    status, out, err = copy.run()
    assert (status, err) == (0, "") and "checked train,cpu,eval --imports" in out
    assert copy.installs() == ["base,train,cpu,eval"]
    start = time.monotonic()
    status, out, err = copy.run()
    assert status == 0 and "nothing to do" in out and time.monotonic() - start < 3
    assert copy.run("--quiet") == (0, "", "")
    assert copy.installs() == []


def test_choices_stay(copy):
    copy.run("--extras", "dev")
    assert copy.installs() == ["base,train,cpu,dev,eval"]
    copy.run()
    assert copy.installs() == []
    copy.run("--gpu", "true", HASRD_TORCH_BACKEND="cu128")
    assert copy.installs() == ["base,train,gpu,dev,eval"]
    copy.run()
    assert copy.installs() == []


def test_what_is_installed_has_a_hash(copy):
    copy.run()
    of_pins, ours = (call for call in copy.calls() if call.startswith("pip install"))
    assert "--require-hashes" in of_pins and "--no-deps" in of_pins and "--torch-backend" not in of_pins
    assert "--no-deps" in ours and ours.endswith(f"--editable {copy.root}")
    installed = (copy.home / "installed").read_text()
    for package in ("tqdm", "torch"):
        assert re.search(rf"^{pinned(package)}( ;.*)? \\\n    --hash=sha256:", installed, flags=re.MULTILINE)
    assert "numpy==" not in installed, "what was not chosen"


def test_other_builds_of_torch_are_said_to_have_none(copy):
    (copy.home / "chosen").write_text(f"{pinned('tqdm')}\n{pinned('torch')}+cpu\n")
    status, out, _ = copy.run(HASRD_TORCH_BACKEND="cpu")
    assert status == 0 and f"without known hashes: {pinned('torch')}+cpu\n" in out
    of_pins, of_torch, _ = (call for call in copy.calls() if call.startswith("pip install"))
    assert "--require-hashes" in of_pins and "--torch-backend" not in of_pins
    assert "--require-hashes" not in of_torch and "--torch-backend cpu" in of_torch


def test_what_has_no_pin_is_not_installed(copy):
    with open(copy.home / "chosen", "a") as file:
        file.write("another==1\n")
    status, _, err = copy.run()
    assert status == 1 and err.count("\n") == 1 and "pins.txt lacks another==1: " in err
    assert not [call for call in copy.calls() if call.startswith("pip install")]


def test_changed_pins_are_installed(copy):
    copy.run()
    copy.installs()
    with open(copy.root / "tools/requirements/pins.txt", "a") as file:
        file.write("another==1\n")
    copy.run()
    assert len(copy.installs()) == 1


def test_killed_half_way_it_starts_again(copy):
    (copy.home / "hold").touch()
    process = copy.start()
    while not (copy.home / "held").exists():
        time.sleep(0.05)
    (copy.venv / "half").touch()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (copy.home / "hold").unlink()
    copy.installs()
    status, _, err = copy.run()
    assert status == 0 and "interrupted" in err and len(copy.installs()) == 1
    assert not (copy.venv / "half").exists()
    assert copy.run("--quiet") == (0, "", "")


def test_two_at_once_install_once(copy):
    (copy.home / "hold").touch()
    first = copy.start()
    while not (copy.home / "held").exists():
        time.sleep(0.05)
    second = copy.start()
    line = second.stderr.readline()
    assert "waiting" in line
    (copy.home / "hold").unlink()
    for process in (first, second):
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert len(copy.installs()) == 1


def test_a_failure_is_told_and_not_taken_for_done(copy):
    (copy.home / "refuse").touch()
    status, _, err = copy.run()
    assert status == 1 and "no solution found" in err and err.splitlines()[-1].startswith("error: ")
    (copy.home / "refuse").unlink()
    assert copy.run()[0] == 0
    (copy.root / "tools/check.py").write_text("import sys\nsys.exit('faiss: does not import')\n")
    with open(copy.root / "tools/requirements/pins.txt", "a") as file:
        file.write("another==1\n")
    for _ in range(2):
        status, _, err = copy.run()
        assert status == 1 and "faiss: does not import" in err


def test_a_moved_folder_gets_a_new_environment(copy):
    copy.run()
    (copy.venv / "old").touch()
    moved = copy.root.with_name("moved")
    copy.root.rename(moved)
    copy.root = moved
    status, _, err = copy.run()
    assert status == 0 and "made elsewhere" in err and not (copy.venv / "old").exists()


def test_a_python_that_only_fails_is_passed_over(copy, tmp_path):
    wrapper = copy.bin / "python3.11"
    wrapper.rename(copy.bin / "python3.10")
    wrapper.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    wrapper.chmod(0o755)
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    tools = "awk bash dirname readlink cat cksum tr sed sort paste flock mkdir rm mv touch sleep env chmod"
    for name in tools.split():
        (nothing / name).symlink_to(shutil.which(name))
    status, out, err = copy.run(PATH=f"{copy.bin}:{nothing}")
    assert status == 0 and "python3.10" in out, err
    shutil.rmtree(copy.venv)
    (copy.bin / "python3.10").unlink()
    status, _, err = copy.run(PATH=f"{copy.bin}:{nothing}")
    assert status == 1 and "no Python 3.10 to 3.13" in err and err.count("\n") == 1


def test_a_python_of_ones_choice(copy):
    other = copy.bin / "other"
    other.write_text(
        f'#!/bin/sh\n[ "$1" != --version ] || {{ echo Python 3.10.99; exit; }}\nexec {sys.executable} "$@"\n'
    )
    other.chmod(0o755)
    status, out, err = copy.run("--python", str(other))
    assert (status, err) == (0, "") and f"making tools/venv with {other} (Python 3.10.99)" in out
    copy.run("--python", sys.executable)
    (copy.venv / "old").touch()
    assert copy.run("--quiet", "--python", sys.executable) == copy.run("--quiet") == (0, "", "")
    status, out, err = copy.run("--python", str(other))
    assert status == 0 and "by another Python" in err and str(other) in out and not (copy.venv / "old").exists()
    assert copy.run("--python", "/bin/false") == (
        1, "", "error: --python /bin/false: it does not run, or is not a Python 3.10 to 3.13\n"
    )  # fmt: skip


@pytest.mark.parametrize("words", [["--extras", "tests"], ["--gpu", "maybe"], ["--what"], ["--extras"]])
def test_a_wrong_option_is_one_line(copy, words):
    status, _, err = copy.run(*words)
    assert status in (1, 2) and err.startswith("error: ") and err.count("\n") == 1
    assert not copy.venv.exists()


def test_pesq_needs_a_compiler(copy):
    status, _, err = copy.run("--extras", "pesq", CC="/no/such/compiler")
    assert status == 1 and err.startswith("error: --extras pesq: no C compiler") and err.count("\n") == 1
    assert not copy.venv.exists() and copy.installs() == []
    # What stands there already stays whole, and is added to where there is one.
    assert copy.run("--extras", "dev", CC="/no/such/compiler")[0] == 0
    copy.installs()
    assert copy.run("--extras", "pesq", CC="/no/such/compiler")[0] == 1 and copy.installs() == []
    assert copy.run("--quiet", CC="/no/such/compiler") == (0, "", "")
    header = Path(sysconfig.get_path("include"), "Python.h")
    if header.exists():
        assert copy.run("--extras", "pesq", CC=sys.executable)[0] == 0
        assert copy.installs() == ["base,train,cpu,dev,eval,pesq"]


def test_an_environment_of_ones_own_is_only_checked(copy):
    status, out, _ = copy.run(HASRD_PYTHON=sys.executable)
    assert status == 0 and "checked train,cpu,eval" in out and not copy.venv.exists()
    assert copy.run("--quiet", HASRD_PYTHON=sys.executable) == (0, "", "")
    (copy.root / "tools/check.py").write_text("import sys\nsys.exit('espnet: not installed')\n")
    # Another list of pins is another question.
    (copy.root / "tools/requirements/pins.txt").write_text("")
    status, _, err = copy.run(HASRD_PYTHON=sys.executable)
    assert status == 1 and "espnet: not installed" in err and f"uv pip install --python '{sys.executable}'" in err
    assert copy.installs() == []
    status, _, err = copy.run(HASRD_PYTHON="/no/such/python")
    assert status == 1 and err.count("\n") == 1 and "/no/such/python" in err


def check_alone(folder, base):
    """Put the check into a folder, beside its own list of what is needed; return the folder of the lists."""
    lists = folder / "requirements"
    lists.mkdir()
    shutil.copy(ROOT / "tools/check.py", folder)
    (lists / "base.txt").write_text(base)
    return lists


def test_the_check_finds_what_is_missing(tmp_path):
    lists = check_alone(tmp_path, "# comment\npytest\nno-such-package\n")
    (lists / "x.txt").write_text('pytest < 0.1\nother; python_version < "3"\n')
    output = subprocess.run([sys.executable, tmp_path / "check.py", "x", "--imports"], capture_output=True, text=True)
    assert output.returncode == 1
    first, second = output.stderr.splitlines()
    assert first == "no-such-package: not installed" and re.match(r"pytest: [\d.]+ is there, needed: <0.1", second)


def test_the_check_shows_no_greetings(tmp_path):
    check_alone(tmp_path, "noisy\n")
    (tmp_path / "noisy.py").write_text("import sys\nprint('hello')\nprint('flash_attn?', file=sys.stderr)\n")
    (tmp_path / "noisy-1.dist-info").mkdir()
    (tmp_path / "noisy-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1\n")
    output = subprocess.run(
        [sys.executable, tmp_path / "check.py", "", "--imports"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (output.returncode, output.stderr) == (0, "") and "noisy 1" in output.stdout
    assert "hello" not in output.stdout


def test_every_requirement_is_pinned_with_hashes():
    lists = ROOT / "tools/requirements"
    for name in ("pins", "uv", "build"):
        lines = [line for line in (lists / f"{name}.txt").read_text().splitlines() if not line.startswith("#")]
        for line, following in zip(lines, [*lines[1:], ""]):
            assert re.match(r"[a-z0-9-]+==[^ ]+( ; [^\\]+)? \\$|    --hash=sha256:[0-9a-f]{64}( \\)?$", line), line
            assert line.endswith("\\") == following.startswith(" "), line
    pins = re.findall(r"^([a-z0-9-]+)==", (lists / "pins.txt").read_text(), flags=re.MULTILINE)
    for name in ("base", "train", "cpu", "gpu", "eval", "pesq", "hub", "onnx", "dev", "bench"):
        for line in (lists / f"{name}.txt").read_text().splitlines():
            if not line.startswith("#"):
                package = re.match(r"[A-Za-z0-9-]+", line)[0].lower()
                assert package in pins, f"{package}: run tools/requirements/lock.sh"
