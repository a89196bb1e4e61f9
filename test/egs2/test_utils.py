# Copyright 2026 The hasrd authors
# Apache-2.0
"""The shell side of the recipes: options, jobs on this machine and through Slurm, new recipe folders."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hasrd.recipe.options import help_text

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "egs2" / "TEMPLATE" / "hasrd1"
RUN = TEMPLATE / "utils" / "run.sh"
SLURM = TEMPLATE / "utils" / "slurm.sh"
CORPORA = ["asterisk", "mini_librispeech", "librispeech"]


def bash(*words, cwd, **env):
    return subprocess.run(
        list(map(str, words)), cwd=cwd, env={**os.environ, **env}, text=True,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
    )  # fmt: skip


def interruptible(words, cwd):
    # A shell that starts the tests in the background lets them ignore SIGINT, and so all that they start.
    return subprocess.Popen(words, cwd=cwd, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def script(folder, name, text):
    path = folder / name
    path.write_text("#!/usr/bin/env bash\n" + text)
    path.chmod(0o755)
    return path


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- take_option.sh ---


@pytest.mark.parametrize(
    "words, value, rest",
    [
        ([], "old", []),
        (["--langs", "en es", "--stage", "3"], "en es", ["--stage", "3"]),
        (["--stage", "a  b", "--langs=fr"], "fr", ["--stage", "a  b"]),
        (["--langs", "", ""], "", [""]),
    ],
)
def test_take_option(tmp_path, words, value, rest):
    code = f". {TEMPLATE}/utils/take_option.sh\nlangs=old"
    code += '\ntake_option langs "$@"\nprintf "%s|" "$langs" "${options[@]}"'
    output = bash(script(tmp_path, "a.sh", code), *words, cwd=tmp_path)
    assert output.stdout == "".join(f"{word}|" for word in [value, *rest])
    output = bash(tmp_path / "a.sh", "--langs", cwd=tmp_path)
    assert output.returncode == 2 and "'--langs' needs a value" in output.stderr


# --- hasrd.sh ---


@pytest.fixture
def own_recipe(tmp_path):
    """The folder of a recipe as setup.sh makes it, with the package and the environment beside it."""
    shutil.copytree(TEMPLATE, tmp_path / "egs2/TEMPLATE/hasrd1", symlinks=True)
    (tmp_path / "hasrd").symlink_to(ROOT / "hasrd")
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    assert bash(tmp_path / "egs2/TEMPLATE/hasrd1/setup.sh", "egs2/mine/hasrd1", cwd=tmp_path).returncode == 0
    return tmp_path / "egs2/mine/hasrd1"


def test_help(own_recipe):
    """The help is that of the table, and needs neither an environment nor torch."""
    for words in (["--help"], ["--stage", "3", "-h"]):
        output = bash("./run.sh", *words, cwd=own_recipe, HASRD_PYTHON=sys.executable)
        assert (output.returncode, output.stdout, output.stderr) == (0, help_text() + "\n", "")


@pytest.mark.parametrize(
    "words, status, message",
    [
        (["--stagee", "3"], 2, "error: hasrd.sh: unknown option '--stagee', did you mean --stage"),
        (["--stage"], 2, "option '--stage' needs a value"),
        (["--skip_train", "yes"], 2, "takes true or false, not 'yes'"),
        (["x"], 1, "error: 'x' is not an option: see ./hasrd.sh --help"),
        (["--ssl_config", "none.yaml"], 1, "error: none.yaml: no such configuration"),
    ],
)
def test_bad_options_are_one_line(own_recipe, words, status, message):
    output = bash("./run.sh", *words, cwd=own_recipe, HASRD_PYTHON=sys.executable)
    assert output.returncode == status and output.stdout == ""
    assert message in output.stderr and output.stderr.count("\n") == 1


def test_the_plan_of_a_new_recipe(own_recipe):
    output = bash("./run.sh", "--plan", "true", "--stop_stage", "codec", cwd=own_recipe, HASRD_PYTHON=sys.executable)
    assert (output.returncode, output.stderr) == (0, "")
    for part in (
        "Stages 1 to 5",
        "local/data.sh: data/train",
        "exp/ssl_train_ssl_",
        "M parameters",
        "31.25 tokens a second",
    ):
        assert part in output.stdout
    assert not (own_recipe / "data").exists() and not (own_recipe / "exp").exists()


# --- run.sh ---


def test_run_replaces_the_job_and_logs(tmp_path):
    output = bash(RUN, "--mem", "1G", "JOB=2:4", "logs/a.JOB.log", "bash", "-c", "echo JOB of $0; pwd", "x y-JOB",
                  cwd=tmp_path)  # fmt: skip
    assert (output.returncode, output.stderr) == (0, "")
    for i in (2, 3, 4):
        lines = (tmp_path / f"logs/a.{i}.log").read_text().splitlines()
        assert [line for line in lines if not line.startswith("# ")] == [f"{i} of x y-{i}", str(tmp_path)]
        assert "ended with status 0" in lines[-1]
    assert len(list((tmp_path / "logs").iterdir())) == 3


def test_run_keeps_words_as_they_are(tmp_path):
    words = ["", "-n", "a  b", "$HOME", "*", "q\"'", "new\nline\n"]
    code = "import sys; print(sys.argv[1:])"
    output = bash(RUN, "a.log", sys.executable, "-c", code, *words, cwd=tmp_path)
    assert output.returncode == 0
    assert repr(words) in (tmp_path / "a.log").read_text()


def test_run_shows_the_one_line_of_an_error(tmp_path):
    output = bash(RUN, "a.log", "bash", "-c", "echo much; echo 'error: no such file'; exit 1", cwd=tmp_path)
    assert (output.returncode, output.stderr) == (1, "error: no such file (log: a.log)\n")


def test_run_says_in_one_line_that_the_folder_of_its_log_cannot_be_made(tmp_path):
    (tmp_path / "my exp").write_text("a file")
    output = bash(RUN, "my exp/codec/train.log", "true", cwd=tmp_path)
    assert output.returncode == 2 and output.stderr.count("\n") == 1
    assert output.stderr.startswith("error: run.sh: cannot create directory")
    assert "Not a directory: free space, or name another folder" in output.stderr


def test_run_shows_the_end_of_the_log(tmp_path):
    output = bash(RUN, "a.log", "bash", "-c", "seq 100; exit 7", cwd=tmp_path)
    lines = output.stderr.splitlines()
    assert output.returncode == 1 and "status 7" in lines[0] and "a.log" in lines[0]
    assert [line.strip() for line in lines[1:]] == [str(i) for i in range(81, 101)]


def test_run_ends_the_other_jobs_when_one_fails(tmp_path):
    start = time.monotonic()
    output = bash(RUN, "JOB=1:3", "a.JOB.log", "bash", "-c", "[ JOB = 3 ] && exit 1; sleep 30; echo late", cwd=tmp_path)
    assert output.returncode == 1 and time.monotonic() - start < 15
    assert "a.3.log" in output.stderr and "late" not in (tmp_path / "a.1.log").read_text().split("# started")[1]


def test_run_shows_progress(tmp_path):
    lines = "features: 3/9 utt (33%), 00:12 left, 1utt/s"
    output = bash(RUN, "a.log", "bash", "-c", f"echo '{lines}'; echo other", cwd=tmp_path)
    assert output.stdout.strip() == lines
    output = bash(RUN, "JOB=1:2", "a.JOB.log", "bash", "-c", f"echo '{lines}'; echo other", cwd=tmp_path)
    assert output.stdout.strip() == f"job 1 of 2: {lines}"


def test_run_shows_a_line_an_epoch(tmp_path):
    """Not the statistics that the log is full of."""
    shown = ["training: epoch 1/2, step 30/100 (15%)", "epoch 1/2: train loss 3; valid loss 4 (5 s)", "note: x"]
    log = "[h] 2026-01-01 00:00:00,000 (loop:1) INFO: 1epoch results: [train] used_0=1.0"
    output = bash(RUN, "a.log", "printf", r"%s\n", *shown[:2], log, shown[2], cwd=tmp_path)
    assert output.stdout.splitlines() == [f"    {line}" for line in shown]
    assert log in (tmp_path / "a.log").read_text()


def test_run_sets_threads_and_shares_out_gpus(tmp_path):
    code = 'echo "threads=$OMP_NUM_THREADS gpus=$CUDA_VISIBLE_DEVICES"'
    bash(RUN, "--num_threads", "3", "--gpu", "2", "JOB=1:3", "a.JOB.log", "bash", "-c", code,
         cwd=tmp_path, CUDA_VISIBLE_DEVICES="4,5,6")  # fmt: skip
    seen = ["threads=3 gpus=4,5", "threads=3 gpus=6,4", "threads=3 gpus=5,6"]
    for i, line in enumerate(seen, 1):
        assert line in (tmp_path / f"a.{i}.log").read_text()


@pytest.mark.parametrize(
    "words",
    [["--what", "a.log", "true"], ["--gpu", "x", "a.log", "true"], ["JOB=1:2", "a.log", "true"], ["a.log"],
     ["JOB=3:1", "a.JOB.log", "true"], ["--num_nodes", "2", "a.log", "true"], ["--gpu"]],
)  # fmt: skip
def test_run_refuses_a_wrong_call(tmp_path, words):
    output = bash(RUN, *words, cwd=tmp_path)
    assert output.returncode == 2 and output.stderr.startswith("error: run.sh: ") and output.stderr.count("\n") == 1


JOB_WITH_WORKER = "sleep 300 & echo $! > worker.JOB; echo $$ > job.JOB; wait"


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_takes_its_jobs_along_when_interrupted(tmp_path, number, status):
    words = [RUN, "JOB=1:2", "a.JOB.log", "bash", "-c", JOB_WITH_WORKER]
    with interruptible(words, tmp_path) as process:
        files = [tmp_path / f"{name}.{i}" for name in ("job", "worker") for i in (1, 2)]
        wait_for(lambda: all(file.exists() and file.read_text().strip() for file in files))
        process.send_signal(number)
        assert process.wait(15) == status
    wait_for(lambda: not any(alive(file.read_text().strip()) for file in files))


def test_an_interrupted_job_may_say_so(tmp_path):
    code = "import time\ntry:\n print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n print('saved')"
    with interruptible([RUN, "a.log", sys.executable, "-c", code], tmp_path) as process:
        wait_for(lambda: (tmp_path / "a.log").exists() and "\nup" in (tmp_path / "a.log").read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 130
    assert "saved" in (tmp_path / "a.log").read_text().splitlines()


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock (util-linux) is missing")
def test_a_second_run_leaves_the_log_of_the_first(tmp_path):
    with interruptible([RUN, "a.log", "bash", "-c", "echo mine; sleep 60"], tmp_path) as process:
        wait_for(lambda: (tmp_path / "a.log").exists() and "mine\n" in (tmp_path / "a.log").read_text())
        output = bash(RUN, "a.log", "echo", "other", cwd=tmp_path)
        assert output.returncode == 2 and output.stderr.count("\n") == 1
        assert "a.log: another run writes there (started " in output.stderr and ", process " in output.stderr
        assert "mine\n" in (tmp_path / "a.log").read_text() and "other" not in (tmp_path / "a.log").read_text()
        process.terminate()
        process.wait(15)
    assert bash(RUN, "a.log", "echo", "other", cwd=tmp_path).returncode == 0
    assert "other\n" in (tmp_path / "a.log").read_text()


def test_launch_of_espnet_calls_run(tmp_path):
    pytest.importorskip("espnet2")
    (tmp_path / "utils").symlink_to(TEMPLATE / "utils")
    words = [sys.executable, "-m", "espnet2.bin.launch", "--cmd", "utils/run.sh --name probe", "--log", "exp/train.log",
             "--ngpu", "0", "--num_nodes", "1", "--init_file_prefix", "exp/.dist_init_",
             "--multiprocessing_distributed", "true", "--", "echo", "--batch_size", "3"]  # fmt: skip
    output = bash(*words, cwd=tmp_path)
    assert output.returncode == 0, output.stderr
    log = (tmp_path / "exp/train.log").read_text()
    assert "\n--batch_size 3 --ngpu 0 --multiprocessing_distributed True\n" in log


# --- slurm.sh ---

FAKE_SBATCH = r"""
# Stands in for Slurm: runs the batch script here, in the background, all array tasks at once.
printf '%s\n' "$@" > sbatch.args
array=0-0
while [ $# -gt 1 ]; do
    case "$1" in --array) array=$2 ;; --output) out=$2 ;; esac
    shift
done
[ -z "${FAKE_REFUSES:-}" ] || { echo "sbatch: error: invalid partition" >&2; exit 1; }
echo "77;cluster"
for i in $(seq ${array%-*} ${array#*-}); do
    out_i=${out//%A/77}; out_i=${out_i//%a/$i}; out_i=${out_i//%j/77}
    if [ -n "${FAKE_LIMIT:-}" ]; then echo "slurmstepd: error: CANCELLED DUE TO TIME LIMIT" > "$out_i"; continue; fi
    SLURM_JOB_ID=77 SLURM_ARRAY_TASK_ID=$i bash "$1" > "$out_i" 2>&1 < /dev/null &
    echo $! >> pids
done
"""
FAKE_SQUEUE = r"""
for pid in $(cat pids 2>/dev/null); do if kill -0 $pid 2>/dev/null; then echo R; fi; done
"""
FAKE_SCANCEL = r"""
echo "$@" >> scancel.args
kill $(cat pids) 2>/dev/null
"""


@pytest.fixture
def cluster(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    script(tools, "sbatch", FAKE_SBATCH)
    script(tools, "squeue", FAKE_SQUEUE)
    script(tools, "scancel", FAKE_SCANCEL)
    script(tools, "srun", 'shift\nexec "$@"\n')

    def run(*words, **env):
        path = f"{tools}:{os.environ['PATH']}"
        return bash(SLURM, *words, cwd=tmp_path, PATH=path, slurm_poll="0.1", **env)

    return tmp_path, run


def test_slurm_array(cluster):
    folder, run = cluster
    output = run("--num_threads", "2", "--mem", "4G", "JOB=1:3", "logs/a.JOB.log", "bash", "-c",
                 "echo $OMP_NUM_THREADS JOB of $0", "x y'$-JOB", slurm_cpu_opts="--partition short")  # fmt: skip
    assert (output.returncode, output.stderr) == (0, "")
    for i in (1, 2, 3):
        lines = (folder / f"logs/a.{i}.log").read_text().splitlines()
        assert f"2 {i} of x y'$-{i}" in lines and "ended with status 0" in lines[-1]
    options = " ".join((folder / "sbatch.args").read_text().split("\n"))
    for option in ("--parsable", "--array 1-3", "--cpus-per-task 2", "--mem 4G", "--partition short"):
        assert option in options
    assert "--gres" not in options


def test_slurm_gpus_and_nodes_as_launch_calls_it(cluster):
    folder, run = cluster
    output = run("--name", "ssl", "--gpu", "4", "--num_threads", "4", "--num_nodes", "2", "train.log", "srun",
                 "--export=ALL", "echo", "--ngpu", "4", slurm_gpu_opts="--account a")  # fmt: skip
    assert output.returncode == 0, output.stderr
    options = " ".join((folder / "sbatch.args").read_text().split("\n"))
    for option in ("--gres gpu:4", "--nodes 2 --ntasks-per-node 1", "--account a", "--job-name ssl"):
        assert option in options
    assert "\n--ngpu 4\n" in (folder / "train.log").read_text()
    # The launcher of ESPnet takes this name for Slurm.
    assert (TEMPLATE / "utils" / "slurm.pl").resolve() == SLURM


def test_slurm_failures_are_told(cluster):
    folder, run = cluster
    start = time.monotonic()
    command = "[ JOB = 1 ] || { echo 'error: bad input'; exit 1; }; exec sleep 30"
    output = run("JOB=1:2", "a.JOB.log", "bash", "-c", command)
    assert (output.returncode, output.stderr) == (1, "error: bad input (log: a.2.log)\n")
    assert time.monotonic() - start < 15 and (folder / "scancel.args").read_text() == "77\n"
    (folder / "pids").unlink()
    output = run("a.log", "true", FAKE_REFUSES="1")
    assert output.returncode == 1 and "invalid partition" in output.stderr
    output = run("a.log", "true", FAKE_LIMIT="1")
    assert output.returncode == 1 and "TIME LIMIT" in output.stderr and "Slurm job 77" in output.stderr


def test_slurm_cancels_what_a_killed_run_left(cluster):
    folder, run = cluster
    (folder / "q").mkdir()
    (folder / "q" / "a.id").write_text("66;cluster\n")
    output = run("a.log", "sleep", "1")
    assert output.returncode == 0 and (folder / "scancel.args").read_text() == "66\n"
    assert not (folder / "q" / "a.id").exists()


def test_slurm_cancels_its_job_when_interrupted(cluster):
    folder, _ = cluster
    env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    with subprocess.Popen([SLURM, "a.log", "sleep", "20"], cwd=folder, env=env) as process:
        wait_for(lambda: (folder / "a.log").exists() and "started" in (folder / "a.log").read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 143
    assert (folder / "scancel.args").read_text() == "77\n"


def test_without_slurm_it_says_so(tmp_path):
    output = bash(SLURM, "a.log", "true", cwd=tmp_path)
    assert output.returncode == 2 and "cmd_backend=local" in output.stderr


# --- the folders ---


@pytest.mark.parametrize("corpus", CORPORA)
def test_recipes_share_the_template(corpus):
    folder = ROOT / "egs2" / corpus / "hasrd1"
    for name in ("path.sh", "cmd.sh", "db.sh", "hasrd.sh", "utils"):
        assert os.readlink(folder / name) == f"../../TEMPLATE/hasrd1/{name}"
        assert (folder / name).exists()


@pytest.mark.parametrize("backend, status", [("local", 0), ("slurm", 0), ("moon", 2)])
def test_cmd(tmp_path, backend, status):
    code = f". {TEMPLATE}/cmd.sh && echo $train_cmd $cuda_cmd $decode_cmd"
    output = bash("bash", "-euc", code, cwd=tmp_path, cmd_backend=backend)
    assert output.returncode == status
    if status:
        assert output.stderr == "error: cmd_backend=moon: choose local or slurm\n"
    for word in output.stdout.split():
        assert word.startswith("-") or word.isdigit() or os.access(TEMPLATE / word, os.X_OK)


def test_setup_makes_a_recipe_and_leaves_what_exists(tmp_path):
    # In a copy of the layout, to keep the repository clean; conf may hold anything.
    copy = tmp_path / "egs2/TEMPLATE/hasrd1"
    shutil.copytree(TEMPLATE, copy, symlinks=True)
    (copy / "conf").mkdir(exist_ok=True)
    (copy / "conf/probe.yaml").write_text("a: 1\n")
    setup = copy / "setup.sh"
    assert bash(setup, "egs2/mine/hasrd1", cwd=tmp_path).returncode == 0
    mine = tmp_path / "egs2/mine/hasrd1"
    for name in ("path.sh", "cmd.sh", "db.sh", "hasrd.sh", "utils"):
        assert os.readlink(mine / name) == f"../../TEMPLATE/hasrd1/{name}"
    assert (mine / "conf/probe.yaml").read_text() == "a: 1\n"
    for name in ("run.sh", "local/data.sh"):
        assert os.access(mine / name, os.X_OK)
        assert bash("bash", "-n", mine / name, cwd=mine).returncode == 0
    (mine / "run.sh").write_text("mine\n")
    (mine / "conf/probe.yaml").write_text("b: 2\n")
    assert bash(setup, "egs2/mine/hasrd1", cwd=tmp_path).returncode == 0
    assert (mine / "run.sh").read_text() == "mine\n" and (mine / "conf/probe.yaml").read_text() == "b: 2\n"
    assert bash(setup, cwd=tmp_path).returncode == 2


def test_the_data_stage_of_a_new_recipe_works_for_plain_folders(tmp_path):
    copy = tmp_path / "egs2/TEMPLATE/hasrd1"
    shutil.copytree(TEMPLATE, copy, symlinks=True)
    (copy / "path.sh").write_text("export LC_ALL=C\n")
    bash(copy / "setup.sh", "egs2/mine/hasrd1", cwd=tmp_path)
    mine = tmp_path / "egs2/mine/hasrd1"
    output = bash("local/data.sh", cwd=mine)
    assert output.returncode == 1 and "MY_CORPUS" in output.stderr and output.stderr.count("\n") == 1
    for i, name in enumerate(["train", "valid", "test"]):
        folder = tmp_path / "corpus" / name / f"speaker{i}"
        folder.mkdir(parents=True)
        (folder / f"u{i} x.wav".replace(" ", "-")).touch()
        (folder / f"u{i}-x.txt").write_text("some words\n")
    output = bash("local/data.sh", cwd=mine, MY_CORPUS=str(tmp_path / "corpus"))
    assert output.returncode == 0, output.stderr
    assert (mine / "data/valid/text").read_text().split() == ["u1-x", "some", "words"]
    assert (mine / "data/valid/utt2spk").read_text() == "u1-x speaker1\n"
    assert (mine / "data/valid/wav.scp").read_text() == f"u1-x {tmp_path}/corpus/valid/speaker1/u1-x.wav\n"


SCRIPTS = [*ROOT.glob("egs2/*/*/*.sh"), *ROOT.glob("egs2/*/*/*/*.sh"), ROOT / "tools/install.sh", ROOT / "ci/test.sh"]


@pytest.mark.parametrize("path", sorted(SCRIPTS), ids=lambda path: str(path.relative_to(ROOT)))
def test_shell_syntax(path):
    output = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
    assert (output.returncode, output.stderr) == (0, "")
