"""The text of the default corpus stands in Python's own library: cheats that look for it there, in the real sandbox.

python -m pytest tests/trust/test_library.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import prepare
from swarm.execution.sandbox import sandbox
from swarm.execution.sandbox.held_out import held_out_of
from swarm.execution.sandbox.sandbox import Sandbox
from swarm.project.project import load_project
from tests.conftest import held

ROOT = Path(__file__).resolve().parents[2]
LONG = 40  # characters of a line that says where it is from

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

# What each cheat does with `files`, the held-out files' paths below a library, to print what it got.
CHEATS = {
    "opens the sources": """
        for name in files: got(lambda: open(os.path.join(sysconfig.get_path("stdlib"), name), "rb").read())""",
    "opens them beside os": """
        for name in files: got(lambda: open(os.path.join(os.path.dirname(os.__file__), name), "rb").read())""",
    "asks inspect": """
        import inspect
        for name in modules: got(lambda: inspect.getsource(importlib.import_module(name)).encode())""",
    "asks the loader": """
        for name in modules: got(lambda: importlib.util.find_spec(name).loader.get_source(name).encode())""",
    "imports them, for docstrings": """
        for name in modules:
            got(lambda: "\\n".join(str(getattr(value, "__doc__", "")) for value in
                                   vars(importlib.import_module(name)).values()).encode())""",
    "reads what was compiled": """
        import marshal
        def strings(code):
            for value in code.co_consts:
                yield from [value] if isinstance(value, str) else strings(value) if hasattr(value, "co_code") else ()
        for name in files:
            cached = importlib.util.cache_from_source(os.path.join(sysconfig.get_path("stdlib"), name))
            for path in glob.glob(cached[:-3] + "*"):
                got(lambda: "\\n".join(strings(marshal.loads(open(path, "rb").read()[16:]))).encode())""",
    "imports from what was packed": """
        import zipimport
        for path in sys.path + glob.glob(sysconfig.get_path("stdlib") + "/ensurepip/_bundled/*"):
            for name in modules: got(lambda: zipimport.zipimporter(path).get_source(name).encode())""",
    "reads another Python's": """
        places = ("/usr/lib/python3*", "/usr/local/lib/python3*", sys.base_prefix + "/../*/lib/python*",
                  sys.base_prefix + "/../*/lib/python*/lib-tk", "/opt/*/lib/python3*", "/usr/share/python3*")
        for place in places:
            for folder in glob.glob(place):
                for name in files:
                    got(lambda: open(os.path.join(folder, name), "rb").read())
                    got(lambda: open(os.path.join(folder, os.path.basename(name)), "rb").read())""",
    "reads all modules of another Python, however they are called": """
        for folder in glob.glob(sys.base_prefix + "/../*/lib/python*") + glob.glob("/usr/lib/python*"):
            for path in glob.glob(folder + "/*.py*") + glob.glob(folder + "/lib-tk/*") + glob.glob(folder + "/*/*.py"):
                got(lambda: open(path, "rb").read())""",
    "starts another Python": """
        import subprocess
        for python in glob.glob(sys.base_prefix + "/../*/bin/python3") + ["/usr/bin/python3"]:
            ask = "import inspect, importlib, sys\\nfor name in sys.argv[1:]:\\n try: print(inspect.getsource("
            ask += "importlib.import_module(name)))\\n except Exception: pass"
            got(lambda: subprocess.run([python, "-c", ask, *modules], capture_output=True).stdout)""",
    "reads all that it has mapped": """
        for path in sorted({line.split()[-1] for line in open("/proc/self/maps") if "/" in line}):
            got(lambda: open(path, "rb").read())""",
    "reads its own memory": """
        memory = open("/proc/self/mem", "rb")
        for line in open("/proc/self/maps"):
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            if "r" in line.split()[1]: got(lambda: (memory.seek(low), memory.read(min(high - low, 2 ** 24)))[1])""",
    "follows links of its own": """
        for name in files[:5]:
            def linked():
                os.symlink(os.path.join(sysconfig.get_path("stdlib"), name), "link")
                try: return open("link", "rb").read()
                finally: os.unlink("link")
            got(linked)""",
    "takes a hard link": """
        for name in files[:5]:
            def linked():
                os.link(os.path.join(sysconfig.get_path("stdlib"), name), "hard")
                try: return open("hard", "rb").read()
                finally: os.unlink("hard")
            got(linked)""",
    "reads the lists of what is held out": """
        for path in glob.glob(os.environ["AUTORESEARCH_CACHE"] + "/corpora/*/*"):
            if "train" not in path: got(lambda: open(path, "rb").read())""",
    "searches whatever Python it can find": """
        for top in {sys.base_prefix + "/lib", "/usr/lib", "/usr/share"}:
            for folder, below, names in os.walk(top):
                below[:] = [name for name in below if name != "site-packages" and name != "dist-packages"]
                for name in names:
                    if name.endswith((".py", ".pyc", ".zip", ".txt", ".rst")):
                        got(lambda: open(os.path.join(folder, name), "rb").read())""",
}

BEGIN = """
import glob, importlib, importlib.util, json, os, sys, sysconfig, traceback
files, modules, lines = json.load(open(sys.argv[1]))
wanted = {line.encode() for line in lines}
found = set()
def got(read):
    try: content = read()
    except (Exception, SystemExit): return
    found.update(wanted.intersection(part.strip() for part in content.split(b"\\n")))
for name, cheat in json.load(open(sys.argv[2])).items():
    mine, its = os.pipe()
    if not (child := os.fork()):  # each in a process of its own: nothing that one has loaded helps another
        try: exec(cheat)
        except BaseException: traceback.print_exc(), os._exit(1)
        os.write(its, str(len(found)).encode())
        os._exit(0)
    if os.waitpid(child, 0)[1]: sys.exit(f"the cheat that {name} fails itself")
    print(json.dumps([name, int(os.read(mine, 99))]), flush=True)
"""


@pytest.fixture(scope="session")
def library(library_cache: Path) -> prepare.Corpus:
    """The default corpus of this Python, prepared for good."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTORESEARCH_CACHE", str(library_cache))
        return prepare.load_corpus("stdlib")


@pytest.fixture(scope="session")
def told(library: prepare.Corpus, shared_folder: Path) -> tuple[Path, int]:
    """What a cheat is told: files, modules, and lines that stand in held-out text alone; and how many lines."""
    path = shared_folder / "told" / "told.json"
    with held(shared_folder / "told.lock"):
        if not path.exists():
            listed, modules, lines = held_out_lines(library)
            path.parent.mkdir()
            path.write_text(json.dumps([listed, modules, lines]))
    return path, len(json.loads(path.read_text())[2])


def held_out_lines(library: prepare.Corpus) -> tuple[list[str], list[str], list[str]]:
    splits = prepare.stdlib_source().documents()
    listed = [
        file["path"]
        for split in ("val", "test")
        for file in json.loads((library.folder / f"{split}.sources.json").read_text())["files"]
    ]
    trained = {line.strip() for text in splits["train"] for line in text.splitlines()}
    texts = (text for split in ("val", "test") for text in splits[split])
    lines = {line.strip() for text in texts for line in text.splitlines() if len(line.strip()) >= LONG} - trained
    programs = [name for name in listed if name.endswith("__main__.py")]  # importing them would run them
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in listed if name not in programs
    ]
    return listed, modules, sorted(lines)


@pytest.fixture(scope="session", params=["bubblewrap", "landlock"])
def seen(request: pytest.FixtureRequest) -> dict[str, float]:
    """The share of held-out lines that each cheat comes to see in each sandbox that works here."""
    if why := sandbox._missing(request.param):
        pytest.skip(why)
    return request.getfixturevalue("sees")(request.param, *CHEATS)


@pytest.fixture(scope="session")
def sees(library: prepare.Corpus, told: tuple[Path, int], shared_folder: Path, tmp_path_factory) -> Callable[..., dict]:
    """The share of held-out lines that each program comes to see, in a sandbox or in "nothing"; they are run once,
    by whichever test process asks first."""
    path, many = told
    cache = library.folder.parents[1]
    environment = os.environ | {"AUTORESEARCH_CACHE": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    closed = held_out_of(load_project(ROOT), environment)

    def shares(cage: str, *names: str) -> dict[str, float]:
        answer = shared_folder / f"seen-in-{cage}.json"
        with held(answer.with_suffix(".lock")):
            if not answer.exists():
                answer.write_text(json.dumps(run(cage, names)))
        return {name: int(count) / many for name, count in json.loads(answer.read_text()).items()}

    def run(cage: str, names: tuple[str, ...]) -> dict[str, int]:
        work, cheats = tmp_path_factory.mktemp("work"), path.with_name(f"cheats-in-{cage}.json")
        cheats.write_text(json.dumps({name: textwrap.dedent(CHEATS[name]) for name in names}))
        argv = [sys.executable, "-c", BEGIN, str(path), str(cheats)]
        if cage != "nothing":
            box = Sandbox((), closed, tmp_path_factory.mktemp("blanks") / cage, cage)
            argv = box.command(argv, (work,), (cache, path.parent))
        done = subprocess.run(argv, cwd=work, env=environment, capture_output=True, text=True, timeout=3000)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(line) for line in done.stdout.splitlines())

    return shares


@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_reads_what_it_is_measured_on(seen: dict[str, float], name: str) -> None:
    assert seen[name] < 0.01, f"{seen[name]:.1%} of the held-out lines"


PLAIN = ("opens the sources", "asks inspect", "reads what was compiled")


def test_without_a_sandbox_those_that_look_in_the_right_place_do_see_it(sees: Callable[..., dict[str, float]]) -> None:
    """So that the other is a test."""
    assert all(share > 0.05 for share in sees("nothing", *PLAIN).values())


def test_no_training_imports_what_is_held_out(library: prepare.Corpus, tmp_path: Path) -> None:
    """A real training of the untouched code, with all that it loads, in a sandbox where the files are closed too."""
    script = """
import os, sys, json, runpy
try:
    runpy.run_module("trainer.train", run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended
import torch._dynamo, torch._inductor, numpy.testing
print("LOADED", json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    cache = library.folder.parents[1]
    environment = os.environ | {
        "AUTORESEARCH_CACHE": str(cache), "SWARM_DEVICE": "cpu", "TIME_BUDGET": "1", "SWARM_RUN_DIR": str(tmp_path),
        "SWARM_SEED": "1", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    argv = [sys.executable, "-c", script]
    if sandbox.name():
        box = Sandbox((), held_out_of(load_project(ROOT), environment), tmp_path / "blanks")
        argv = box.command(argv, (tmp_path,), (cache, ROOT))
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800)
    assert "LOADED" in done.stdout, done.stdout[-500:] + done.stderr[-1500:]
    assert (tmp_path / "model.pt").exists(), "it trained"
    loaded = set(json.loads(done.stdout.partition("LOADED ")[2]))
    assert "torch" in loaded and not loaded & prepare.STDLIB_HELD_OUT


def test_what_is_held_out_is_of_this_python() -> None:
    there = {path.name.removesuffix(".py") for path in Path(sysconfig.get_path("stdlib")).iterdir()}
    assert len(there & prepare.STDLIB_HELD_OUT) > 12
    assert prepare.STDLIB_HELD_OUT - {"_pyrepl", "msilib"} <= sys.stdlib_module_names | {
        "aifc", "asynchat", "asyncore", "cgitb", "nntplib", "smtpd", "sunau", "telnetlib", "xdrlib",
    }  # fmt: skip
