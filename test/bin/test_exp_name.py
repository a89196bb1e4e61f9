# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.bin.exp_name import main
from hasrd.errors import UserError
from hasrd.recipe.names import exp_name

CONFIG = {
    "max_epoch": 10,
    "num_workers": 1,
    "optim_conf": {"lr": 0.001, "betas": [0.9, 0.98]},
    "encoder": "cnn_conformer",
    "encoder_conf": {"num_blocks": 4},
}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "train_ssl.yaml"
    path.write_text("# a comment\n" + yaml.safe_dump(CONFIG))
    return path


def write(path, **changes):
    path.write_text(yaml.safe_dump({**CONFIG, **changes}))


def test_how_long_to_train_keeps_the_name(config):
    name = exp_name(config)
    assert name.startswith("train_ssl_")
    assert exp_name(config, "--max_epoch 99 --num_workers=8 --ngpu 4") == name
    write(config, max_epoch=99, log_interval=3)
    assert exp_name(config) == name


def test_another_configuration_gets_another_name(config):
    name = exp_name(config)
    write(config, encoder_conf={"num_blocks": 5})
    changed = exp_name(config)
    assert changed != name
    # The same by the command line is the same experiment, with a readable name.
    write(config)
    by_option = exp_name(config, "--encoder_conf num_blocks=5")
    assert by_option.split("_")[-1] == changed.split("_")[-1]
    assert "num_blocks5" in by_option


def test_order_and_comments_make_no_difference(config):
    name = exp_name(config)
    turned = dict(reversed([(key, CONFIG[key]) for key in sorted(CONFIG)]))
    config.write_text("# another comment\n" + yaml.safe_dump(turned, sort_keys=False, indent=6))
    assert exp_name(config) == name


def test_an_override_that_changes_nothing_keeps_the_name(config):
    assert exp_name(config, "--encoder_conf num_blocks=4") == exp_name(config)


def test_salt_and_ignore(config):
    name = exp_name(config)
    assert exp_name(config, salt=["another encoder"]) != name
    write(config, optim_conf={**CONFIG["optim_conf"], "lr": 0.5})
    assert exp_name(config) != name
    changed = exp_name(config, ignore=["optim_conf.lr"])
    write(config)
    assert exp_name(config, ignore=["optim_conf.lr"]) == changed


@pytest.mark.parametrize("text", ["a", "--x 'open", "lr=1 --b 2"])
def test_bad_args_are_told(text, config):
    with pytest.raises(UserError, match="--args"):
        exp_name(config, text)


@pytest.mark.parametrize(
    "content, message",
    [(None, "no such file"), (b"a: [", "YAML"), (b"- a", "list"), (b"\xff\xfe\x00", "UTF-8|YAML")],
)
def test_bad_config_is_told(tmp_path, content, message):
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        exp_name(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@settings(deadline=None, max_examples=50)
@given(value=st.text(min_size=1).filter(lambda text: "\x00" not in text))
def test_any_value_gives_a_folder_name(tmp_path_factory, value):
    import re
    import shlex

    path = tmp_path_factory.mktemp("exp") / "x.yaml"
    path.write_text("a: 1\n")
    name = exp_name(path, f"--b={shlex.quote(value)}")
    assert re.fullmatch(r"[A-Za-z0-9_.+-]+", name) and len(name) < 100


def test_main_takes_args_that_look_like_an_option(config, capsys):
    main(["--config", str(config), "--args", "--seed=3"])
    assert "seed3" in capsys.readouterr().out


def test_it_is_quick(config):
    start = time.monotonic()
    output = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hasrd.bin.exp_name", "--config", config],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert time.monotonic() - start < 10
    assert not any(line.split("|")[-1].strip() in ("torch", "espnet2") for line in output.stderr.splitlines())
    assert output.stdout.strip() == exp_name(config)
