# Copyright 2026 The hasrd authors
# Apache-2.0
import os
import re
import subprocess
import sys

import pytest

from hasrd.errors import UserError, of_one_input, run_main

START = "import sys\nfrom hasrd.errors import UserError, run_main\n"


def run_unread(body, stdout=True, stderr=False):
    """Run main() with `body` in a process whose output goes into a pipe that nobody reads; return status, stderr."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    code = START + "def main():\n" + "".join(f"    {line}\n" for line in body) + "run_main(main)\n"
    out, err = (write_end if stdout else subprocess.PIPE), (write_end if stderr else subprocess.PIPE)
    # What is printed waits for the end, as it does wherever the output is no terminal.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-c", code], stdout=out, stderr=err, text=True, timeout=60, env=environment)
    os.close(write_end)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "body",
    [["print('one line')"], ["for _ in range(50000): print('many lines')"], ["print('a', flush=True)"]],
    ids=["at the end", "in between", "at once"],
)
def test_output_that_nobody_reads_ends_a_command_quietly(body):
    assert run_unread(body) == (141, "")


def test_progress_that_nobody_reads_ends_a_command_quietly():
    assert run_unread(["print('progress', file=sys.stderr, flush=True)"], stderr=True)[0] == 141


def test_an_error_is_still_told_where_the_output_is_unread():
    status, text = run_unread(["print('one line')", "raise UserError('a.txt:1: wrong: mend it')"])
    assert (status, text) == (1, "error: a.txt:1: wrong: mend it\n")


def test_help_that_nobody_reads():
    assert run_unread(["print('usage')", "sys.exit(0)"]) == (0, "")


def test_another_broken_pipe_is_not_hidden():
    status, text = run_unread(["raise BrokenPipeError(32, 'a worker is gone')"], stdout=False)
    assert status == 1 and "a worker is gone" in text


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_behind_the_output_is_one_line():
    code = START + "run_main(lambda: print('one line'))\n"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "disk is full" in done.stderr


def test_output_of_a_command_that_ends_well(capsys):
    run_main(lambda: print("done"))
    assert capsys.readouterr().out == "done\n"


def run_code(body, prefix=(), **options):
    code = START + "def main():\n" + "".join(f"    {line}\n" for line in body) + "run_main(main)\n"
    options = {"capture_output": True, "timeout": 120, **options}
    return subprocess.run([*prefix, sys.executable, "-c", code], **options)


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path, closed):
    """A file that is opened later does not get the number of a closed stream: nothing printed lands in it."""
    body = ["import os", "file = open('f', 'w')", "print('printed')", "print('told', file=sys.stderr)"]
    body += ["os.write(1, b'below')", "file.write('own'); file.close()"]
    done = run_code(body, ["bash", "-c", f'exec "$@" {closed}', "bash"], cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "f").read_text() == "own"
    assert b"Traceback" not in done.stdout + done.stderr


def test_a_name_that_is_not_utf8_is_printed_as_it_is():
    done = run_code(["import os", r"raise UserError(os.fsdecode(b'a\xff.wav') + ': bad')"])
    assert done.stderr == b"error: a\xff.wav: bad\n" and done.returncode == 1
    latin = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}
    assert run_code([r"print('\u4e2d')"], env=latin).stdout == b"\\u4e2d\n"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become nobody")
def test_a_user_without_a_name():
    """As in a container that runs with a number alone."""
    environment = {name: value for name, value in os.environ.items() if name not in ("LOGNAME", "USER", "LNAME")}
    # Python itself may lie where that user cannot read.
    code = START + "import getpass, os, pwd\nos.setuid(54321)\nrun_main(lambda: print(getpass.getuser()))"
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.stdout, done.stderr) == ("user54321\n", "")


def refused(action):
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_what_libraries_say_is_one_line(tmp_path):
    """Errors that the libraries really raise."""
    script = tmp_path / "limit.py"
    script.write_text(
        "import resource, sys, numpy, torch\nfrom safetensors.torch import save_file\n"
        "from hasrd.data.audio import write_audio\nfrom hasrd.errors import explain\n"
        "from hasrd.train.checkpoint import save\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "zeros = numpy.random.default_rng(0).standard_normal(100000)\n"
        "calls = {'npz': lambda p: numpy.savez(p, a=zeros), 'npy': lambda p: numpy.save(p, zeros),\n"
        "  'safetensors': lambda p: save_file({'a': torch.from_numpy(zeros)}, p),\n"
        "  'wav': lambda p: write_audio(p, zeros, 16000), 'flac': lambda p: write_audio(p, zeros, 16000),\n"
        "  'pth': lambda p: save({'a': torch.from_numpy(zeros)}, p),\n"
        "  'memory': lambda p: torch.empty(2**50), 'array': lambda p: numpy.empty(2**50)}\n"
        "for name, call in calls.items():\n"
        "    try: call(sys.argv[1] + '/x.' + name)\n"
        "    except Exception as error: print(name, explain(error))\n"
        "    else: print(name, 'None')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, timeout=120, env=environment
    )
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert len(lines) == 8, done.stderr
    for name, line in lines.items():
        assert any(word in line for word in ("larger than is allowed", "written whole", "not enough memory")), name


def test_of_one_input():
    assert of_one_input(UserError("a.wav: bad")) == "a.wav: bad"
    assert "permission" in of_one_input(PermissionError(13, "denied", "a"))
    for error in (OSError(28, "full"), KeyError("a fault")):
        assert refused(lambda error=error: of_one_input(error)) is error


@pytest.mark.parametrize("command", ["ssl-train", "codec-train", "asr-train", "probe"])
def test_a_training_without_espnet_is_one_line(command):
    """As where the base alone is installed."""
    missing = ("espnet", "espnet2", "typeguard", "faiss", "kaldiio")
    code = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in missing)
    code += f"sys.argv = ['hasrd', {command!r}, '--help']\nfrom hasrd.bin.main import cli\ncli()\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, env=environment)
    if done.returncode:
        assert re.fullmatch(r"error: the package \w+ is not installed, .*pip install 'hasrd\[train\]'\n", done.stderr)
    else:
        assert "usage: hasrd" in done.stdout
