"""Where held-out text stands on a machine: its own files, and copies of a library in every form.

python -m pytest tests/execution/sandbox/test_held_out_text.py
"""

from __future__ import annotations

import hashlib
import json
import py_compile
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prepare
from swarm.execution.sandbox import held_out_text, sandbox
from swarm.execution.sandbox.held_out import held_out_of
from swarm.execution.sandbox.held_out_text import WHOLE, closed_sources, sketch
from swarm.execution.sandbox.sandbox import Sandbox
from swarm.project.project import Project


def module(name: str, lines: int = 200, version: int = 0) -> str:
    """Source of a module; of other versions every fifth line is another."""
    return f'"""{name}."""\n' + "".join(
        f"{name}_{n} = {n * (version if n % 5 == 0 else 1)}  # line {n}\n" for n in range(lines)
    )


NAMES = ("turtle.py", "ftplib.py", "poplib.py", "tkinter/__init__.py", "tkinter/ttk.py")


def library(folder: Path, version: int = 0) -> Path:
    """A folder like a Python's own, with what it compiled."""
    for path in (*NAMES, "argparse.py", "json/__init__.py"):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(module(path.replace("/", "_").removesuffix(".py"), version=version))
        py_compile.compile(str(file), doraise=True)
    return folder


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine's programs would be installed."""
    monkeypatch.setattr(held_out_text, "SYSTEM", (str(tmp_path / "usr"),))
    monkeypatch.delenv("AUTORESEARCH_CORPUS", raising=False)
    (tmp_path / "usr").mkdir()
    return tmp_path / "usr"


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., Path]:
    """Writes the list that prepare.py would."""

    def write(root: Path, names: tuple[str, ...] = NAMES, library: bool = True, key: str = "x") -> Path:
        files = [
            {
                "path": name,
                "bytes": (root / name).stat().st_size,
                "sha256": hashlib.sha256((root / name).read_bytes()).hexdigest(),
                "lines": sorted(sketch((root / name).read_bytes())) if library else [],
            }
            for name in names
        ]
        path = tmp_path / "cache" / "corpora" / key / "val.sources.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"root": str(root), "library": library, "files": files}))
        return path

    return write


def below(root: Path, found: tuple[Path, ...]) -> set[str]:
    return {str(path.relative_to(root)) for path in found if path.is_relative_to(root)}


def test_a_library_is_closed_with_what_was_compiled_of_it_and_the_rest_stays_open(system, tmp_path, listed) -> None:
    own = library(tmp_path / "python" / "lib")
    found = below(own, closed_sources([listed(own)], [own.parent]))
    tag = sys.implementation.cache_tag
    modules = {f"{name}.py" for name in ("turtle", "ftplib", "poplib")}
    compiled = {f"__pycache__/{name}.{tag}.pyc" for name in ("turtle", "ftplib", "poplib")}
    assert found == {*modules, *compiled, "tkinter"}


@pytest.mark.parametrize("where", ["usr/lib/python3.9", "tools/versions/2/lib", "usr/share/vendored"])
def test_other_versions_are_closed_wherever_programs_are(system, tmp_path, listed, where: str) -> None:
    own, other = library(tmp_path / "python" / "lib"), library(tmp_path / where, version=3)
    found = below(other, closed_sources([listed(own)], [own.parent, tmp_path / "tools"]))
    assert {"turtle.py", "ftplib.py", "poplib.py", "tkinter"} < found
    assert not {path for path in found if "argparse" in path or "json" in path}


def test_a_copy_by_another_name_is_known_by_its_content(system, tmp_path, listed) -> None:
    own = library(tmp_path / "python" / "lib")
    copy = system / "share" / "snake.py"
    copy.parent.mkdir()
    copy.write_bytes((own / "turtle.py").read_bytes())
    assert copy in closed_sources([listed(own)], [])


def test_another_module_of_the_same_name_stays_open(system, tmp_path, listed) -> None:
    own = library(tmp_path / "python" / "lib")
    other = system / "games" / "turtle.py"
    other.parent.mkdir()
    other.write_text(module("a_game", 150))
    assert other not in closed_sources([listed(own)], [])


def test_a_library_without_its_sources_is_known_by_the_names_of_its_modules(system, tmp_path, listed) -> None:
    own, bare = library(tmp_path / "python" / "lib"), library(system / "bare")
    for path in (bare / "turtle.py", bare / "ftplib.py", bare / "poplib.py", bare / "argparse.py"):
        path.unlink()
    tag = sys.implementation.cache_tag
    lonely = {f"__pycache__/{name}.{tag}.pyc" for name in ("turtle", "ftplib", "poplib")}
    assert lonely < below(bare, closed_sources([listed(own)], []))


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("python311.zip", True), ("Python-3.11.7.tar.xz", True), ("python-3.11.5-h955ad1f_0.conda", True),
        ("libpython3.11-stdlib_3.11.2_amd64.deb", True), ("cpython-3.12.1+20240107-x86_64.tar.gz", True),
        ("python3.zip", True), ("python_dateutil-2.8.2-py2.zip", False), ("pythonic.tar.gz", False),
        ("libpython3.11.so", False),
    ],
)  # fmt: skip
def test_packed_installations_are_known_by_name(system, tmp_path, listed, name: str, closed: bool) -> None:
    own = library(tmp_path / "python" / "lib")
    (system / name).touch()
    assert ((system / name) in closed_sources([listed(own)], [])) == closed


def test_programs_are_looked_through_once_for_many_runs_and_the_own_folders_of_each(system, tmp_path, listed) -> None:
    source = listed(library(tmp_path / "lib"))
    first, second = "run1", "run2"
    for name in (first, second):
        (tmp_path / name).mkdir()
    closed_sources([source], [], [tmp_path / first])
    late, own = system / "late", tmp_path / second / "vendored"
    library(late, version=3), library(own, version=3)
    found = closed_sources([source], [], [tmp_path / second])
    assert below(own, found) and not below(late, found), "a day's memory, but of what only one run has"
    stored = source.parent / "val.copies.json"
    stored.write_text(stored.read_text().replace('"paths"', '"path"'))
    assert below(late, closed_sources([source], [], [])), "a memory that cannot be read is none"


def test_only_the_corpus_that_runs_use_counts(system, tmp_path, listed, monkeypatch) -> None:
    own = library(tmp_path / "python" / "lib")
    lists = [listed(own, ("turtle.py",), key="aaaaaa"), listed(own, ("ftplib.py",), key="bbbbbb")]
    assert {"turtle.py", "ftplib.py"} < below(own, closed_sources(lists, []))
    monkeypatch.setenv("AUTORESEARCH_CORPUS", "bbbbbb")
    assert {path for path in below(own, closed_sources(lists, [])) if path.endswith(".py")} == {"ftplib.py"}


def test_a_folder_of_text_is_closed_file_by_file_and_a_large_one_whole(system, tmp_path, listed) -> None:
    text = tmp_path / "text"
    text.mkdir()
    names = tuple(f"{n}.txt" for n in range(WHOLE + 1))
    for name in names:
        (text / name).write_text(name)
    few = listed(text, names[:3], library=False)
    assert closed_sources([few], []) == tuple(text / name for name in names[:3])
    many = listed(text, names, library=False)
    assert closed_sources([many], []) == (text,)
    assert closed_sources([many], [text / "work"]) == (), "what a run needs lies in it"


@given(content=st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["root", "files", "library"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["root", "files", "library", "path", "bytes", "sha256", "lines"]), inner, max_size=5),
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_a_list_that_is_none_closes_nothing_and_raises_nothing(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("lists") / "val.sources.json"
    path.write_bytes(content)
    assert isinstance(closed_sources([path], []), tuple)


def test_lines_are_compared_as_prepare_compares_documents() -> None:
    text = "A  line\n\n\tof Text\nünïcode\n" + module("x")
    assert sketch(text.encode()) == prepare._sketch(text)


@pytest.mark.parametrize("many", [False, True], ids=["few", "more than one argument holds"])
@pytest.mark.parametrize("mechanism", ["bubblewrap", "landlock"])
def test_a_sandbox_closes_them(system, tmp_path, listed, mechanism, many, monkeypatch) -> None:
    if why := sandbox._missing(mechanism):
        pytest.skip(why)
    if many:
        monkeypatch.setattr(sandbox, "LONG", 100)
    own = library(tmp_path / "python" / "lib")
    box = Sandbox((), (listed(own),), tmp_path / "blanks", mechanism)
    look = "import sys\nfor path in sys.argv[1:]:\n try: print(path, bool(open(path, 'rb').read().strip(bytes(1))))\n"
    look += " except OSError: print(path, False)\n"
    paths = [own / name for name in (*NAMES, "argparse.py")]
    argv = [sys.executable, "-S", "-c", look, *map(str, paths)]
    done = subprocess.run(box.command(argv, (), (own,)), capture_output=True, text=True, check=True)
    seen = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert seen == {**{str(own / name): "False" for name in NAMES}, str(own / "argparse.py"): "True"}


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two corpora, and another cache in the usual place."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("cache/corpora/aaaa", "cache/corpora/bbbb", "home/.cache/autoresearch/corpora/aaaa"):
        for name in ("train.bin", "val.bin", "tokenizer.json"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_text("text")
    return tmp_path / "cache"


PROJECT = Project(command=("x",), editable=("train.py",), held_out=("corpora/*/val.*", "downloads"))


def test_another_split_of_the_same_text_is_closed_where_it_is_known_which_is_used(prepared: Path) -> None:
    variables = {"AUTORESEARCH_CACHE": str(prepared), "AUTORESEARCH_CORPUS": "aaaa"}
    used, other = prepared / "corpora" / "aaaa", prepared / "corpora" / "bbbb"
    usual = prepared.parent / "home/.cache/autoresearch"
    assert held_out_of(PROJECT, variables) == (used / "val.bin", other, usual)
    assert held_out_of(PROJECT, variables | {"AUTORESEARCH_CORPUS": "none"}) == (
        used / "val.bin", other / "val.bin", usual,
    )  # fmt: skip
    assert held_out_of(PROJECT, {}) == (usual / "corpora/aaaa/val.bin",), "the usual one is in use"
    assert held_out_of(replace(PROJECT, held_out=()), variables) == ()


@pytest.mark.parametrize("mechanism", ["bubblewrap", "landlock"])
def test_a_sandbox_leaves_of_all_caches_the_text_to_train_on(prepared: Path, tmp_path: Path, mechanism: str) -> None:
    if why := sandbox._missing(mechanism):
        pytest.skip(why)
    variables = {"AUTORESEARCH_CACHE": str(prepared), "AUTORESEARCH_CORPUS": "aaaa"}
    box = Sandbox((), held_out_of(PROJECT, variables), tmp_path / "blanks", mechanism)
    look = "import pathlib, sys\nfor top in sys.argv[1:]:\n for path in sorted(pathlib.Path(top).rglob('*')):\n"
    look += "  try:\n   if path.read_bytes().strip(bytes(1)): print(path)\n  except OSError: pass\n"
    argv = [sys.executable, "-S", "-c", look, str(prepared), str(tmp_path / "home" / ".cache")]
    done = subprocess.run(box.command(argv, (), (prepared,)), capture_output=True, text=True, check=True)
    used = prepared / "corpora" / "aaaa"
    assert done.stdout.split() == [str(used / "tokenizer.json"), str(used / "train.bin")]


def test_what_a_run_cannot_see_anyway_is_not_closed_once_more(system, tmp_path, listed) -> None:
    text = tmp_path / "text"
    text.mkdir()
    (text / "a.txt").write_text("text")
    box = Sandbox((), (listed(text, ("a.txt",), library=False),), tmp_path / "blanks")
    assert text / "a.txt" not in box.bounds((), ()).secret, "/tmp is closed"
    assert text / "a.txt" in box.bounds((), (), (text,)).secret
    assert text / "a.txt" in box.bounds((), (tmp_path,)).secret


def test_what_another_release_calls_otherwise_is_found_in_its_library(system: Path, tmp_path: Path, listed) -> None:
    """Of Python 2's xmlrpclib half stands in xmlrpc/client.py, and of nntplib less than shows by its lines."""
    names = (*NAMES, "xmlrpc/client.py")
    own = library(tmp_path / "own" / "lib")
    (own / "xmlrpc").mkdir()
    (own / "xmlrpc/client.py").write_text(module("client"))
    old = system / "python2" / "lib" / "python2.7"
    (old / "lib-tk").mkdir(parents=True)
    held = ("xmlrpclib.py", "ftplib.py", "ftplib.pyc", "lib-tk/tkFont.py", "lib-tk/tkFont.pyo")
    open_ = ("os.py", "io.py", "abc.py", "client.py", "json.py", "lib-tk/other.py")
    for name in (*held, *open_):
        (old / name).write_text(f"not_alike = {name!r}\n")
    (system / "elsewhere").mkdir()
    (system / "elsewhere" / "ftplib.py").write_text("somebody's own\n")
    found = closed_sources((listed(own, names),), ())
    assert below(old, found) == {*held}
    assert not below(system / "elsewhere", found)
