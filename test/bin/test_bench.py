# Copyright 2026 The hasrd authors
# Apache-2.0
"""`hasrd bench` as it is typed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hasrd.bin import bench, main
from hasrd.errors import UserError


@pytest.fixture
def run(monkeypatch, capsys):
    """run(words) -> what it prints; the measurement itself is a stand-in that notes its arguments."""
    from hasrd.bench import codecs

    seen = []

    def measure(args):
        seen.append(args)
        row = {"model": "a", "mode": "float32", "total_rtf": 0.5, "snr_db": float("inf"), "note": "does not run"}
        facts = {"native_bf16": True, "machine": "m", "python": "3", "torch": "2", "audio": "noise"}
        return [row | facts | vars(args)]

    monkeypatch.setattr(codecs, "bench_codecs", measure)

    def call(*words: str) -> tuple[str, object]:
        main.main(["bench", "--threads", "1", *words])
        return capsys.readouterr().out, seen[-1]

    return call


def test_json_is_json(run):
    out, args = run("--json", "--models", "a,b")
    (row,) = json.loads(out)
    assert row["model"] == "a" and row["snr_db"] is None and row["total_rtf"] == 0.5
    assert (args.models, args.modes, args.seconds, args.batch_size) == (
        ["a", "b"], ["float32", "bf16", "compile"], 10.0, 1,
    )  # fmt: skip


def test_markdown_is_markdown(run):
    out, _ = run("--markdown", "--modes", "bf16")
    assert out.startswith("| model |") and out.splitlines()[1].startswith("|---")
    assert "does not run" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--modes", "fp8"], "'fp8' is none of"),
        (["--seconds", "0"], "must be more than 0"),
        (["--seconds", "nan"], "must be more than 0"),
        (["--models", "no/such.yaml"], "no/such.yaml: no such configuration"),
        (["--audio", "no.wav", "--models", "dac"], "no.wav: no such audio file"),
    ],
)
def test_wrong_words_are_one_line(monkeypatch, words, text):
    monkeypatch.setattr(sys, "argv", ["hasrd bench", "--threads", "1", *words])
    with pytest.raises(UserError, match=text):
        bench.main()


@pytest.mark.parametrize("words", [["--repeats", "0"], ["--threads", "two"], ["--device", "tpu"]])
def test_wrong_values_are_argparses(monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "argv", ["hasrd bench", *words])
    with pytest.raises(SystemExit):
        bench.main()
    assert "error: argument" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_one_line(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["hasrd bench", "--device", "cuda"])
    with pytest.raises(UserError, match="torch finds no GPU"):
        bench.main()


def test_help_does_not_wait_for_torch():
    code = "import sys; from hasrd.bin import bench; bench.get_parser().format_help(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_the_commands_of_the_page_are_understood():
    page = (Path(__file__).resolve().parents[2] / "docs/speed.md").read_text(encoding="utf-8")
    commands = re.findall(r"hasrd bench((?: +-?-?[\w+,./]+)*)", page)
    assert len(commands) > 8
    for command in commands:
        bench.get_parser().parse_args(command.split())
    for name in re.findall(r"`(--\w+)", page):
        assert name in bench.get_parser().format_help() or name == "--extras", name
