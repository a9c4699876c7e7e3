"""Which packages each verb may import before it answers: a verb that looks must not wait for what others need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swarm import cli
from swarm.lab.bench.startup import AIMS, measure
from swarm.lab.simulation.project import make_project
from swarm.ledger.home import ledger_path
from tests.board.nights import leave_a_kept_step

LOOKS = {"msgspec", "rich"}  # records from text, and the terminal
SLOW = ("asyncio", "multiprocessing", "urllib.request", "http.client", "ssl", "email", "xml", "unittest", "concurrent")
PLAN = {"email"}  # as importlib.metadata reads what is installed
FAR = ("swarm.coordinator", "swarm.agent", "swarm.web", "swarm.lab")  # of no verb below
RUNS = ("swarm.execution.runner", "swarm.execution.outcome", "swarm.launch.trial_run", "swarm.researchers.llm")
ALLOWED: dict[str, tuple[set[str], set[str]]] = {  # packages, and slow parts of Python
    "status": (LOOKS, set()),
    "status --json": (LOOKS, set()),
    "show baseline": (LOOKS, set()),
    "show baseline --json": (LOOKS, set()),
    "watch --once": (LOOKS, set()),
    "ls": (LOOKS, set()),
    "stop": (LOOKS - {"rich"}, set()),
    "export --format csv": ({"msgspec", "rich"}, set()),
    "launch --dry-run --device cpu --trial off": (LOOKS | {"psutil"}, PLAN),
    "report": (
        LOOKS | {"matplotlib", "numpy", "PIL", "dateutil", "fontTools", "kiwisolver"}
        | {"cycler", "packaging", "pyparsing", "mpl_toolkits", "charset_normalizer", "contourpy", "six", "psutil"},
        {"xml", "unittest", "email", "urllib.request", "http.client", "ssl", "concurrent"},
    ),
    "completion bash": (set(), set()),
}  # fmt: skip
PROGRAM = """
import contextlib, io, json, sys
from swarm import cli
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())), contextlib.redirect_stderr(io.StringIO()):
    code = cli.main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a swarm in its ledger, which nobody leads."""
    root = make_project(tmp_path_factory.mktemp("startup") / "project", budget=0.1)
    leave_a_kept_step(ledger_path(root), agents=2)
    return root


@pytest.mark.parametrize("verb", ALLOWED)
def test_a_verb_imports_no_more_than_it_needs(verb: str, root: Path) -> None:
    name, *flags = verb.split()
    where = [] if name == "completion" else ["-C", str(root)]
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{PROGRAM}", name, *where, *flags],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, modules = json.loads(done.stdout)
    assert code == (2 if name == "stop" else 0), "nobody leads it, which is what stop says"
    packages = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"swarm", "__main__"}
    allowed, parts = ALLOWED[verb]
    extra = {package for package in packages if not package.startswith(("_", "cython_", "typing_ext"))} - allowed
    assert not extra, f"{verb} need not wait for these; import them where they are used"
    assert {part for part in SLOW if part in modules} <= parts, "nor for these parts of Python"
    rooms = FAR if name == "report" else (*FAR, *RUNS)
    far = [
        module for module in modules if module.startswith(rooms) and not (name == "report" and "swarm.web" in module)
    ]
    assert not far, "nor for what runs experiments, of which it runs none"


@pytest.mark.slow
def test_the_bench_tells_every_verb_as_a_multiple_of_a_bare_python(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = measure(root, rounds=1)
    assert set(told["verbs"]) == set(AIMS) and told["bare_seconds"] > 0
    for verb in told["verbs"].values():
        assert verb["ratio"] > 1 and verb["seconds"] > 0
    assert cli.main(["bench", "--startup", "-C", str(root.parent)]) == 2, "which is no repository"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    capsys.readouterr()
    assert cli.main(["bench", "--startup", "-C", str(tmp_path)]) == 2, "there is no swarm to ask about"
    assert capsys.readouterr().err.startswith("swarm: no swarm has run in ")
