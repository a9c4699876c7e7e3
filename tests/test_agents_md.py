"""AGENTS.md is true: files, rooms and floors are those of the code, and `except Exception` stands only where it says.

python -m pytest tests/test_agents_md.py
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_rooms import FILES, FLOORS, GROUND, HEAVY

ROOT = Path(__file__).parents[1]
AGENTS = (ROOT / "AGENTS.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text from a heading to the next one."""
    return AGENTS.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def block(title: str) -> str:
    """The first code block of a section."""
    return section(title).split("```\n")[1]


PATHS = sorted(set(re.findall(r"`((?:swarm|trainer|tests)/[\w./-]*)`", AGENTS)))
LINKS = re.findall(r"\]\(([^)]+)\)", AGENTS)


@pytest.mark.parametrize("path", [*PATHS, *LINKS])
def test_every_file_it_names_exists(path: str) -> None:
    assert (ROOT / path).exists(), f"AGENTS.md names {path}, which does not exist"


def test_the_road_names_a_file_for_each_of_twelve_steps() -> None:
    steps = re.findall(r"^\| (\d+) \w+ \| `([^`]+)`", section("The road of one experiment"), re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, 13))
    assert {path for _, path in steps} <= set(PATHS)


def test_the_rooms_are_those_of_the_tree() -> None:
    folder, named = ROOT, set()
    for line in block("Rooms").splitlines():
        folder = folder if line.startswith("  ") else ROOT
        path = folder / line.split()[0]
        assert path.exists(), f"AGENTS.md names {line.split()[0]}, which does not exist"
        assert len(line.split()) > 1, f"AGENTS.md says nothing of {line.split()[0]}"
        named.add(path)
        if line.split()[0].endswith("/") and folder == ROOT:
            folder = path
    for top in ("swarm", "trainer"):
        there = [path for path in (ROOT / top).glob("*.py") if path.name != "__init__.py"]
        there += [path.parent for path in (ROOT / top).glob("*/__init__.py")]
        if top == "swarm":
            there += [path.parent for path in (ROOT / top).glob("*/**/__init__.py")]
        missing = {str(path.relative_to(ROOT)) for path in there if path not in named and path != ROOT / top}
        assert not missing, f"AGENTS.md lists none of {sorted(missing)}"


def test_the_floors_are_those_of_the_test_of_imports() -> None:
    told = [set(floor.split()) for floor in block("Floors").replace("\n", " ").split("<")]
    rooms = {path.parent.name for path in (ROOT / "swarm").glob("*/__init__.py")}
    wanted = [GROUND, *(set(floor) & (rooms | {"web"}) for floor in FLOORS)]
    assert told == wanted
    heavy = section("Floors").split("No work at import: ")[1].split(" are imported")[0]
    assert set(re.findall(r"\w+", heavy)) - {"and"} == HEAVY


def test_except_exception_stands_only_where_it_is_allowed() -> None:
    allowed = set(re.findall(r"^- `([^`]+)`", section("Where `except Exception` is allowed"), re.MULTILINE))
    trainer = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "trainer").rglob("*.py")}
    found = {
        file
        for file, text in {**FILES, **trainer, "prepare.py": (ROOT / "prepare.py").read_text()}.items()
        if re.search(r"^\s*except(?::| \(?(?:.*\b)?(?:Base)?Exception\b)", text, re.MULTILINE)
    }
    assert found == allowed


def test_how_to_add_something_takes_at_most_four_lines() -> None:
    recipes = re.split(r"^- ", section("How to add"), flags=re.MULTILINE)[1:]
    assert [recipe.split(":")[0].strip("*") for recipe in recipes] == [
        "A researcher",
        "A language model service",
        "A keep rule",
        "A metric column on the leaderboard",
        "A verb",
    ]
    assert max(len(recipe.strip().splitlines()) for recipe in recipes) <= 4


def test_claude_reads_it_too() -> None:
    assert (ROOT / "CLAUDE.md").read_text().strip() == "@AGENTS.md"
