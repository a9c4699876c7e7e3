"""The rooms of the house and what may import what: every import of every file is read.

python -m pytest tests/test_rooms.py
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = (  # an import goes from a floor to one below it, or stays in its room
    ("judge", "novelty"),
    ("project",),
    ("ledger",),
    ("history", "snapshot", "execution", "board", "trackers"),
    ("researchers",),
    ("agent",),
    ("launch",),
    ("coordinator",),
    ("wording",),
    ("views", "web"),
    ("lab",),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
GROUND = {
    "records",
    "errors",
    "invoked",
    "codec",
    "text",
    "foreign",
    "foreign_python",
    "filelock",
    "named_file",
    "signals",
}  # files beside the rooms, which every room may import
SQL = re.compile(r"\s*(SELECT|INSERT INTO|INSERT OR|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|PRAGMA) ")
HEAVY = {  # never at import
    *("ray", "torch", "anthropic", "openai", "pandas", "git", "libcst", "matplotlib", "scipy"),
    *("wandb", "trackio", "mlflow", "tensorboard"),
}


@dataclass(frozen=True)
class Import:
    """One import: in which file, of which module, and whether it is made when the file itself is imported."""

    file: str  # "swarm/board/board.py"
    line: int
    module: str  # "swarm.ledger.database"
    at_once: bool

    @property
    def room(self) -> str:
        return _room(self.file.removesuffix(".py").replace("/", "."))

    @property
    def target(self) -> str:
        return _room(self.module)

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def _room(module: str) -> str:
    """The room of a module of swarm; "" for the package itself, the name for a file beside the rooms."""
    return [*module.split("."), ""][1]


def imports_of(file: str, text: str) -> Iterator[Import]:
    """Every import of a file. What only a type checker sees counts like any other."""
    tree = ast.parse(text)
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        or (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively: name the whole module"
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (Import(file, node.lineno, module, id(node) not in late) for module in modules)


def breach(found: Import) -> str:
    """The rule that an import breaks; "" where it breaks none."""
    outside = found.module.split(".")[0]
    if outside != "swarm":
        if outside in ("torch", "trainer", "prepare"):
            return "swarm/ never imports torch or what trains: it launches them"
        if outside == "ray" and found.room != "coordinator":
            return "only coordinator/ imports ray"
        if outside == "sqlite3" and found.room != "ledger":
            return "only ledger/ knows SQL"
        if outside in HEAVY and _heavy_too_soon(found):
            return f"{outside} is heavy: it is imported where it is used"
        return ""
    if found.target == found.room or found.target in GROUND | {"", "__version__"}:
        return ""
    if found.room in GROUND:
        return "the ground imports no room"
    if found.room not in FLOOR or found.target not in FLOOR:
        return "" if found.file == "swarm/__main__.py" else "a room without a floor: give it one in FLOORS"
    if found.target == "snapshot" and FLOOR[found.room] < FLOOR["coordinator"]:
        return "who looks at a swarm stands above the coordinator: only those import snapshot"
    if found.target == "lab" and found.at_once:
        return "the lab's verbs are imported by the verb that needs them"
    if FLOOR[found.target] >= FLOOR[found.room]:
        return f"{found.target} stands on floor {FLOOR[found.target]}, {found.room} on {FLOOR[found.room]}"
    return ""


def _heavy_too_soon(found: Import) -> bool:
    """What every verb imports first of all must be light; the rooms of Ray, of git and of the models may be heavy."""
    return found.at_once and found.room in ("cli", "records", "project", "ledger", "board", "judge", "snapshot")


FILES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "swarm").rglob("*.py"))
    if not {"template", "within"} & set(path.parts)  # a repository, and a start-up file, that are only shipped
}


@pytest.fixture(scope="module")
def imports() -> dict[str, list[Import]]:
    """The imports of every file."""
    return {file: list(imports_of(file, text)) for file, text in FILES.items()}


def test_every_import_goes_down(imports: dict[str, list[Import]]) -> None:
    found = [entry for entries in imports.values() for entry in entries]
    broken = [f"{entry}: {rule}" for entry in found if (rule := breach(entry))]
    assert not broken, "\n" + "\n".join(broken)


def test_no_import_goes_round_in_a_circle(imports: dict[str, list[Import]]) -> None:
    names = {file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in FILES}
    needs = {
        file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): {
            module
            for entry in entries
            for module in (entry.module, entry.module.rpartition(".")[0])
            if module in names and module.count(".") > 1
        }
        for file, entries in imports.items()
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, "a circle: " + " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for needed in sorted(needs[module] - {module}):
                visit(needed, (*path, module))
            done.add(module)

    for module in sorted(needs):
        visit(module, ())


def test_only_the_ledger_knows_sql() -> None:
    found = [
        f"{file}:{node.lineno} {node.value[:60]!r}"
        for file, text in FILES.items()
        if not file.startswith("swarm/ledger/")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert not found, "SQL outside swarm/ledger:\n" + "\n".join(found)


def test_every_room_says_what_it_is_for() -> None:
    for room in FLOOR:
        init = FILES.get(f"swarm/{room}/__init__.py")
        assert init is None or ast.get_docstring(ast.parse(init)), f"swarm/{room}/__init__.py has no docstring"


@pytest.mark.parametrize(
    ("file", "text", "rule"),
    [
        ("swarm/board/claims.py", "from swarm.execution.runner import run", "execution stands on floor"),
        ("swarm/judge/race.py", "from swarm.ledger.database import Ledger", "ledger stands on floor"),
        ("swarm/agent/loop.py", "import ray", "only coordinator/ imports ray"),
        ("swarm/launch/plan.py", "def plan():\n    import torch", "never imports torch"),
        ("swarm/views/show.py", "from swarm.lab.demo import play", "lab's verbs"),
        ("swarm/views/show.py", "def f():\n    from swarm.lab.demo import play", "lab stands on floor"),
        ("swarm/board/board.py", "import sqlite3", "only ledger/ knows SQL"),
        ("swarm/agent/loop.py", "from swarm.snapshot.read import read_snapshot", "above the coordinator"),
        ("swarm/cli/launch.py", "import pandas", "heavy"),
    ],
)
def test_a_breach_is_told_with_file_import_and_rule(file: str, text: str, rule: str) -> None:
    (found,) = imports_of(file, text)
    assert rule in breach(found) and str(found).startswith(file)
