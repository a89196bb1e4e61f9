# Copyright 2026 The hasrd authors
# Apache-2.0
import os
import subprocess
import sys

import pytest

from hasrd.errors import run_main

START = "import sys\nfrom hasrd.errors import UserError, run_main\n"


def run_unread(body, stdout=True, stderr=False):
    """Run main() with `body` in a process whose output goes into a pipe that nobody reads; return status, stderr."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    code = START + "def main():\n" + "".join(f"    {line}\n" for line in body) + "run_main(main)\n"
    out, err = (write_end if stdout else subprocess.PIPE), (write_end if stderr else subprocess.PIPE)
    # What is printed waits for the end, as it does wherever the output is no terminal.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=out, stderr=err, text=True, timeout=60, env=environment
    )
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
