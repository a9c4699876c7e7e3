"""What one run leaves for the next: the code that the untouched files compile to, and nothing else.

python -m pytest tests/execution/test_compiled.py
"""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path

import pytest

from swarm.execution.compiled import CompiledCode, copy
from swarm.execution.sandbox import landlock, sandbox
from swarm.records import Purpose

LEAVE = """
import ctypes, json, os, pathlib, shutil, sys, tempfile
word = b"weights"
home = pathlib.Path.home()
folders = {name: os.environ[name] for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "SWARM_RUN_DIR")}
folders |= {name: os.environ.get(name) or "/nowhere" for name in ("TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR",
            "CUDA_CACHE_PATH", "NUMBA_CACHE_DIR", "AUTORESEARCH_CACHE")}
folders |= {"temporary": tempfile.gettempdir(), "home": home, "cache": home / ".cache", "shm": "/dev/shm",
            "tmp": "/tmp",
            "var": "/var/tmp", "here": os.getcwd(), "above": os.path.dirname(os.getcwd()), "python": sys.prefix,
            "caches": pathlib.Path(__file__).parent / "__pycache__", "mqueue": "/dev/mqueue",
            "run": "/run"}
marked = [*sys.path[1:4], os.environ["MARKED"], os.environ["AUTORESEARCH_CACHE"], sys.executable]
system = ctypes.CDLL(None)

def attempt(act):
    try:
        return act()
    except OSError:
        return None

def left():
    files = {name: attempt((pathlib.Path(place) / "kept-for-later").read_bytes) for name, place in folders.items()}
    marks = {path: attempt(lambda: [os.stat(path).st_mtime_ns % 1000 == 7, os.stat(path).st_mode & 0o7000,
             attempt(lambda: os.getxattr(path, "user.kept"))]) for path in marked}
    found = [name for name, content in files.items() if content]
    found += [path for path, mark in marks.items() if mark and any(mark)]
    numbered = {"memory": system.shmget(4711, 64, 0o600), "semaphore": system.semget(4711, 1, 0o600)}
    return [*found, *(name for name, number in numbered.items() if number >= 0)]

print(json.dumps({"found": left()}))
for place in folders.values():
    attempt(lambda: pathlib.Path(place).mkdir(parents=True, exist_ok=True))
    attempt(lambda: (pathlib.Path(place) / "kept-for-later").write_bytes(word))
for path in marked:
    attempt(lambda: os.utime(path, ns=(7, 7)))
    attempt(lambda: os.chmod(path, os.stat(path).st_mode | 0o1000))
    attempt(lambda: os.setxattr(path, "user.kept", word))
system.shmget(4711, 64, 0o1600)
system.semget(4711, 1, 0o1600)
print(json.dumps({"left": left()}))
print("val_bpb: 1.5")
"""


def told(run, what: str) -> list[str]:
    lines = [json.loads(line) for line in Path(run.log).read_text().splitlines() if line.startswith("{")]
    return next(line[what] for line in lines if what in line)


@pytest.fixture(params=["bubblewrap", "landlock"])
def boxed(request: pytest.FixtureRequest, rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A rig whose runs are sandboxed, and a file that runs can see, and whose owner they run as."""
    if why := sandbox._missing(request.param):
        pytest.skip(why)
    if request.param == "landlock":
        monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "home" / ".cache").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    marked = tmp_path / "data" / "train.bin"
    marked.touch()
    for name, value in {"HOME": tmp_path / "home", "AUTORESEARCH_CACHE": tmp_path / "data", "MARKED": marked}.items():
        monkeypatch.setenv(name, str(value))
    rig.allowed = ("MARKED",)
    rig.sandboxed = True
    rig.purpose = Purpose.FIRST
    return rig


def test_nothing_that_an_edit_writes_is_there_for_the_next_run(boxed) -> None:
    if not landlock.mounts() and sandbox.name() == "landlock":
        pytest.skip("modes and times of files stay open under Landlock where a user may have no mounts")
    boxed.referee = (
        "import os, json; json.dump({'val_bpb': 1.5}, open(os.environ['SWARM_RUN_DIR'] + '/referee.json', 'w'))"
    )
    first = boxed.run(LEAVE)
    assert first.metrics, first.log_tail
    assert {"TORCHINDUCTOR_CACHE_DIR", "SWARM_RUN_DIR", "here", "temporary"} <= {*told(first, "left")}, (
        "it did leave things"
    )
    boxed.runner().acknowledge(first.run, first.attempt)
    second = boxed.run(LEAVE, "t-gpu0-0002.1")
    assert second.metrics and told(second, "found") == []


def test_what_the_untouched_code_compiled_is_there_for_every_run_and_cannot_be_changed(boxed) -> None:
    compile_it = """
    import os, pathlib
    kept = pathlib.Path(os.environ["TRITON_CACHE_DIR"]) / "kernel"
    print("found", kept.read_text() if kept.exists() else None)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text({text!r})
    print("val_bpb: 1.5")
    """
    untouched = compile_it.format(text="base")
    boxed.extra = {"train.py": textwrap.dedent(untouched)}
    runs = [(Purpose.FIRST, "early"), (Purpose.BASELINE, "base"), (Purpose.FIRST, "edit"), (Purpose.BASELINE, "edit 2")]
    said = []
    for number, (purpose, text) in enumerate([*runs, (Purpose.CONFIRM, "edit 3")]):
        boxed.purpose = purpose
        run = boxed.run(untouched if text == "base" else compile_it.format(text=text), f"t-gpu0-000{number}.1")
        assert run.metrics, run.log_tail
        said.append(Path(run.log).read_text().splitlines()[0])
    assert said == ["found None", "found None", "found base", "found base", "found base"]


def test_a_copy_shares_no_file_with_what_it_was_made_from(tmp_path: Path) -> None:
    """A hard link would: who owns the file may write to it."""
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_bytes(os.urandom(100_000))
    (source / "link").symlink_to("deep/file")
    os.mkfifo(source / "pipe")
    copy(source, tmp_path / "target")
    assert (tmp_path / "target" / "deep" / "file").read_bytes() == (source / "deep" / "file").read_bytes()
    assert (tmp_path / "target" / "link").is_symlink() and not (tmp_path / "target" / "pipe").exists()
    with (tmp_path / "target" / "deep" / "file").open("r+b") as file:
        file.write(b"planted")
    assert not (source / "deep" / "file").read_bytes().startswith(b"planted")


def test_what_the_checks_of_an_edit_left_is_not_taken_for_the_untouched_codes(tmp_path: Path) -> None:
    compiled = CompiledCode(tmp_path)
    (compiled.fresh("checks") / "planted").touch()
    compiled.clear()
    (compiled.fresh("trainer") / "kernel").touch()
    compiled.keep()
    compiled.clear()
    assert list(compiled.fresh("checks").iterdir()) == []
    assert [path.name for path in compiled.fresh("trainer").iterdir()] == ["kernel"]


def test_too_much_is_not_copied_for_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm.execution.compiled.LARGEST", 10)
    compiled = CompiledCode(tmp_path)
    (compiled.fresh("trainer") / "kernel").write_bytes(bytes(10_000))
    compiled.keep()
    assert list(compiled.fresh("trainer").iterdir()) == []


def test_a_slot_begins_with_what_another_one_compiled_and_shares_no_file_with_it(tmp_path: Path) -> None:
    """Eight slots would else compile the same baseline eight times. Triton names files by their paths."""
    first, second = (CompiledCode(tmp_path / name / "compiled") for name in ("gpu0", "gpu1"))
    live = first.fresh("trainer")
    (live / "kernel").write_bytes(b"code")
    (live / "__grp__kernel.json").write_text(json.dumps({"child_paths": {"kernel": str(live / "kernel")}}))
    first.keep()
    (live / "kernel").write_bytes(b"what an edit wrote later")
    found = second.fresh("trainer")
    assert (found / "kernel").read_bytes() == b"code"
    paths = json.loads((found / "__grp__kernel.json").read_text())["child_paths"]
    assert paths == {"kernel": str(found / "kernel")}
    (found / "kernel").write_bytes(b"planted by an edit")
    second.clear()
    assert (first.fresh("trainer") / "kernel").read_bytes() == b"code"
    second.fresh("trainer")
    (second.live / "trainer" / "own").touch()
    second.keep()
    (first.fresh("trainer") / "newer").touch()
    first.keep()
    assert (second.fresh("trainer") / "own").exists() and not (second.live / "trainer" / "newer").exists()


def test_a_folder_that_another_slot_replaces_just_now_is_as_if_it_was_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (CompiledCode(tmp_path / name / "compiled") for name in ("gpu0", "gpu1"))
    (first.fresh("trainer") / "kernel").touch()
    first.keep()

    def vanishing(source: Path, target: Path) -> None:
        copy(source, target)
        raise FileNotFoundError(source)

    monkeypatch.setattr("swarm.execution.compiled.copy", vanishing)
    assert list(second.fresh("trainer").iterdir()) == []
