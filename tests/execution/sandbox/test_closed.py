"""An error that the copy or the sandbox caused is answered with the key that helps, and no other error is."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.execution.sandbox import sandbox
from swarm.execution.sandbox.closed import NO_PROCESS, remedy
from swarm.execution.sandbox.whereabouts import Place
from swarm.records import Failure

INCLUDE = 'data/train.csv is in your checkout, and not in the commit: include = ["data"], or commit it'
DATASETS = '~/datasets/images/1.png is closed to runs: readable = ["~/datasets/images"] opens it'
NETWORK = "the network is closed to runs: download what they need before, or network = true opens it"
VARIABLE = 'GEMINI_API_KEY is set in your shell, but no variable that runs get: pass_env = ["GEMINI_API_KEY"]'
TO_READ = "data2/a is included to be read: a run may write to its own copy and to the folder SWARM_RUN_DIR"
NODE = 'node_modules/left-pad is in your checkout, and not in the commit: include = ["node_modules"], or commit it'
POINTER = "weights.bin is a Git LFS pointer in this commit, not the file itself: `git lfs pull`, and commit that"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A checkout in a home folder that is closed, with more than the copy of its commit has."""
    home, copy = tmp_path / "home", tmp_path / "home" / "project" / ".swarm" / "run"
    files = (
        "project/data/train.csv project/helper.py project/node_modules/left-pad/index.js project/tool.sh"
        " project/train.py project/data2/a project/lib/local.js datasets/images/1.png apps/bin/nvcc2"
        " other/mypkg/__init__.py"
    )
    for name in files.split():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    (home / "apps/bin/nvcc2").chmod(0o755)
    copy.mkdir(parents=True)
    (copy / "train.py").write_text("import helper\n")
    (copy / "bench.c").write_text('int main() { fopen("data/train.csv", "r"); }\n')
    (copy / "data2").symlink_to(home / "project/data2")
    (copy / "weights.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    packages = home / "project/.venv/lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (home / "project/.venv/pyvenv.cfg").touch()
    (packages / "xgboost").mkdir()
    (packages / "linked.pth").write_text(f"{home}/other\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{home}/apps/bin:{os.environ['PATH']}")
    monkeypatch.setenv("GEMINI_API_KEY", "x")
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    return Place(
        copy=copy,
        root=home / "project",
        variables={"HOME": str(home), "PATH": os.defpath},
        argv=("python", "train.py"),
        sandboxed=True,
        network=False,
        closed=(str(home), "/tmp/nothing-here"),
        opened=(str(copy), str(home / "project/data2")),
        code=("bench.c", "train.py"),
    )


CAUSED = [
    # a file that git does not hold, as many programs say it
    ("FileNotFoundError: [Errno 2] No such file or directory: 'data/train.csv'", INCLUDE),
    ("FileNotFoundError: [Errno 2] No such file or directory: './data/train.csv'", INCLUDE),
    ("FileNotFoundError: [Errno 2] No such file or directory: '{copy}/data/train.csv'", INCLUDE),
    ("FileNotFoundError: data/train.csv not found.", INCLUDE),
    ("OSError: data/train.csv not found in the current directory", INCLUDE),
    ("head: cannot open 'data/train.csv' for reading: No such file or directory", INCLUDE),
    ("./run.sh: line 3: data/train.csv: No such file or directory", INCLUDE),
    ("cat: data/train.csv: No such file or directory", INCLUDE),
    ("Error: ENOENT: no such file or directory, open 'data/train.csv'", INCLUDE),
    ("Error: Os {{ code: 2, kind: NotFound, message: \"No such file or directory\" }}: data/train.csv", INCLUDE),
    ('SystemError: opening file "data/train.csv": No such file or directory', INCLUDE),
    ("Unable to open file (unable to open file: name = 'data/train.csv', errno = 2)", INCLUDE),
    ("panic: open data/train.csv: no such file or directory", INCLUDE),
    ("cannot open file 'data/train.csv': No such file or directory\nExecution halted", INCLUDE),
    ("fopen: No such file or directory", INCLUDE),  # of a program that names no path: its code does
    ("thread 'main' panicked at train.py:3:5: Os {{ code: 2, kind: NotFound, message: \"No such file or directory\" }}",
     INCLUDE),
    # modules and programs
    ("ModuleNotFoundError: No module named 'helper'",
     'helper.py is in your checkout, and not in the commit: include = ["helper.py"], or commit it'),
    ("ModuleNotFoundError: No module named 'xgboost.core'",
     'xgboost is installed in ~/project/.venv, which the command does not use: command = "{{venv}}/bin/python .."'),
    ("ModuleNotFoundError: No module named 'mypkg'", '~/other is closed to runs: readable = ["~/other"] opens it'),
    ("Error: Cannot find module 'left-pad'\nRequire stack:\n- /x/bench.js", NODE),
    ("Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'left-pad' imported from /x/bench.mjs", NODE),
    ("Error: Cannot find module './lib/local'",
     'lib/local.js is in your checkout, and not in the commit: include = ["lib"], or commit it'),
    ("sh: 1: nvcc2: not found",
     'the program nvcc2 in ~/apps/bin is closed to runs: readable = ["~/apps/bin"] opens it'),
    ("bash: line 1: nvcc2: command not found", None),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'nvcc2'", None),
    ("Error: spawn nvcc2 ENOENT", None),
    ("./tool.sh: not found", 'tool.sh is in your checkout, and not in the commit: include = ["tool.sh"], or commit it'),
    # elsewhere on the machine
    ("FileNotFoundError: [Errno 2] No such file or directory: '{home}/datasets/images/1.png'", DATASETS),
    ("PermissionError: [Errno 13] Permission denied: '{home}/datasets/images/1.png'", DATASETS),
    ("open ~/datasets/images/1.png: permission denied", DATASETS),
    ("PermissionError: [Errno 13] Permission denied: '{home}/project/train.py'",
     "{home}/project/train.py is your checkout, and a run works in a copy of it: name train.py from the repository's"
     " folder"),
    ("FileNotFoundError: [Errno 2] No such file or directory: '{home}/project/data/train.csv'", INCLUDE),
    # what may not be written
    ("OSError: [Errno 30] Read-only file system: 'data2/a'", TO_READ),
    ("PermissionError: [Errno 13] Permission denied: 'data2/a'", TO_READ),
    ("OSError: [Errno 30] Read-only file system",
     "a sandboxed run may write only to its own copy of the repository and to the folder SWARM_RUN_DIR"),
    ("PermissionError: [Errno 13] Permission denied: '{home}/out.txt'",
     "{home}/out.txt is not a run's to write: it may write to its own copy, to the folder SWARM_RUN_DIR and, for "
     "temporary files, to TMPDIR"),
    # the network
    ("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x.org', port=443): Max retries exceeded", NETWORK),
    ("urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", NETWORK),
    ("huggingface_hub.errors.LocalEntryNotFoundError: An error happened while trying to locate the file", NETWORK),
    ("OSError: We couldn't connect to 'https://huggingface.co' to load the files", NETWORK),
    ("ConnectionError: Couldn't reach 'glue' on the Hub (OfflineModeIsEnabled)", NETWORK),
    ("ERROR: No matching distribution found for torch", NETWORK.replace("download what they need", "`pip install`")),
    ("hint: Packages were unavailable because the network was disabled. When the network is disabled, registry",
     NETWORK.replace("download what they need", "`uv sync`")),
    ("curl: (6) Could not resolve host: x.org", NETWORK),
    ("fatal: unable to access 'https://github.com/a/b/': Could not resolve host: github.com", NETWORK),
    ("Error: getaddrinfo EAI_AGAIN x.org", NETWORK),
    ("error: failed to download from `https://crates.io/`, attempting to make an HTTP request, but --offline",
     NETWORK.replace("download what they need", "`cargo fetch`")),
    ("wandb: Network error (ConnectTimeout), entering retry loop.", NETWORK),
    ("ConnectionRefusedError: [Errno 111] Connection refused: ('127.0.0.1', 29500)",
     NETWORK.replace("the network", "TCP, even to this machine itself,", 1)),
    # variables
    ("KeyError: 'GEMINI_API_KEY'", VARIABLE),
    ("ValueError: GEMINI_API_KEY environment variable is not set", VARIABLE),
    ("./run.sh: line 2: GEMINI_API_KEY: unbound variable", VARIABLE),
    ("fatal: not a git repository (or any of the parent directories): .git",
     "a run works in a copy of the files, which is no git repository: let the code do without git"),
    # pointers of Git LFS
    ("_pickle.UnpicklingError: invalid load key, 'v'.",
     "a file of this commit is a Git LFS pointer, not the file itself: `git lfs pull`, and commit that"),
    ("OSError: unable to load weights.bin", POINTER),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), CAUSED, ids=[line[:60] for line, _ in CAUSED])
def test_what_the_copy_or_the_sandbox_caused_is_answered(place: Place, line: str, expected: str | None) -> None:
    home = Path.home()
    said = remedy(f"step 1\nstarting\n{line.format(home=home, copy=place.copy)}", place)
    if expected is None:
        expected = 'the program nvcc2 in ~/apps/bin is closed to runs: readable = ["~/apps/bin"] opens it'
    assert said == expected.format(home=home)


@pytest.mark.parametrize("code", [("src",), ("src/*.c",), ("lib/**", "src/**/*.c"), (".",), ("src/bench.c",)])
def test_folders_and_globs_of_code_are_searched_for_the_path_too(place: Place, code: tuple[str, ...]) -> None:
    (place.copy / "src").mkdir()
    (place.copy / "bench.c").rename(place.copy / "src" / "bench.c")
    assert remedy("fopen: No such file or directory", replace(place, code=code)) == INCLUDE
    assert remedy("fopen: No such file or directory", replace(place, code=("lib",))) == ""
    (place.copy / "src" / "bench.c").write_text('fopen("data/train.csv", "r");', encoding="utf-16")
    assert remedy("fopen: No such file or directory", replace(place, code=code)) == INCLUDE


@pytest.mark.parametrize(
    "line",
    [
        "FileNotFoundError: [Errno 2] No such file or directory: 'data/other.csv'",
        "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/at/all'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'train.py'",
        "ModuleNotFoundError: No module named 'nonesuch'",
        "bash: nonesuch: command not found",
        "KeyError: 'missing'",
        "KeyError: 'NONESUCH_API_KEY'",
        "ValueError: GEMINI_API_KEY is no name of a layer",
        "RuntimeError: shape mismatch in data/train.csv",
        "ZeroDivisionError: division by zero",
        "",
    ],
)
def test_an_error_of_its_own_is_not(place: Place, line: str) -> None:
    assert remedy(line, replace(place, code=())) == ""


def test_without_a_sandbox_only_the_copy_is_to_blame(place: Place) -> None:
    free = replace(place, sandboxed=False, network=True)
    assert remedy("No such file or directory: 'data/train.csv'", free) == INCLUDE
    for line in ("Could not resolve host: x.org", f"No such file or directory: '{Path.home()}/datasets/images/1.png'",
                 "Read-only file system: '/mnt/x'"):  # fmt: skip
        assert remedy(line, free) == ""


def test_the_last_cause_decides(place: Place) -> None:
    lines = ["Could not resolve host: x.org", "No such file or directory: 'data/train.csv'", "ValueError: no data"]
    assert remedy("\n".join(lines), place) == INCLUDE


@given(
    st.text(max_size=300),
    st.sampled_from(["No such file or directory: '{}'", "{}: Permission denied", "{}", "KeyError {}"]),
)
def test_whatever_a_log_says_is_no_error(tmp_path_factory, text: str, form: str) -> None:
    folder = Path(tmp_path_factory.getbasetemp())
    bounds = Place(folder, folder, {}, ("x",), True, False, (str(folder), "/"), (), (), ("train.py",))
    assert isinstance(remedy(form.replace("{}", text), bounds), str)


@pytest.mark.parametrize("unit", ["a/", "'", "not found: ", "../", "x.", "\\", "can't ", "~", "No such file '/"])
def test_a_hostile_log_takes_no_time(place: Place, unit: str) -> None:
    line = f"No such file or directory: {unit * 100_000}"
    began = time.process_time()
    remedy("\n".join([line] * 100), place)
    assert time.process_time() - began < 50.0, "a search that tries every way through a line takes minutes"


@pytest.fixture(params=["bubblewrap", "landlock", "none"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    if request.param != "none" and (why := sandbox._missing(request.param)):
        pytest.skip(why)
    if request.param == "landlock":
        monkeypatch.setenv("PATH", str(tmp_path))
    return request.param


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open('data/train.csv')", INCLUDE),
        ("import pathlib; (pathlib.Path.home() / 'datasets/images/1.png').read_text()", DATASETS),
        ("import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=5)", NETWORK),
        ("import os; os.environ['GEMINI_API_KEY']", VARIABLE),
        ("open('data2/b', 'w')", TO_READ.replace("data2/a", "data2/b")),
    ],
)
def test_the_reason_of_a_real_failure_ends_with_the_remedy(
    rig, place: Place, way: str, code: str, expected: str
) -> None:
    if way == "none" and expected in (DATASETS, NETWORK, TO_READ.replace("data2/a", "data2/b")):
        pytest.skip("nothing is closed")
    rig.checkout, rig.sandboxed = place.root, way != "none"
    shutil.rmtree(place.root / ".venv")
    rig.project = replace(rig.project, include=("data2",))
    run = rig.run(code)
    assert run.failure is Failure.CODE
    assert run.reason.endswith("; " + expected), (run.reason, run.log_tail)


COMPILES = """
  File "/x/torch/_inductor/cpp_builder.py", line 104, in cpp_compiler_search
    subprocess.check_output([cxx, "--version"])
  File "/x/lib/python3.11/subprocess.py", line 1883, in _execute_child
    self.pid = _fork_exec(
torch._inductor.exc.InductorError: PermissionError: [Errno 1] Operation not permitted

Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace
"""


def test_where_no_process_may_start_compiling_says_so(place: Place) -> None:
    """As without a control group, which would count the CPU time of one."""
    alone = replace(place, processes=False)
    assert remedy(COMPILES, alone) == NO_PROCESS and remedy(COMPILES, place) == ""
    assert remedy("PermissionError: [Errno 1] Operation not permitted: chmod", alone) == ""
