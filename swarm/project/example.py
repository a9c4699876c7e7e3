"""What a person starts from: the small projects of examples/, and the skill for a coding agent. The links `examples`
and `skill` beside this file are for the wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

from swarm.errors import UsageError

EXAMPLES = Path(__file__).with_name("examples")
SKILL = Path(__file__).with_name("skill") / "SKILL.md"
SKILL_PLACE = ".agents/skills/autoresearch/SKILL.md"  # where coding agents look for it


def example_names() -> list[str]:
    return sorted(path.parent.name for path in EXAMPLES.glob("*/swarm.toml"))


def copy_example(name: str, folder: Path) -> list[str]:
    """Copies an example's files into `folder`; their names. UsageError, and nothing copied, where one is there."""
    if name not in example_names():
        raise UsageError(f"--example {name}: there is no such example; there are: {', '.join(example_names())}")
    files = sorted(path for path in (EXAMPLES / name).iterdir() if path.is_file())
    taken = [path.name for path in files if (folder / path.name).exists()]
    if taken:
        raise UsageError(f"{folder} has a {taken[0]} already: start an example in a folder of its own")
    for path in files:
        shutil.copyfile(path, folder / path.name)
    return [path.name for path in files]


def copy_skill(folder: Path) -> str:
    """Copies the skill into `folder`; its name there. UsageError where one is there, and another."""
    place, text = folder / SKILL_PLACE, SKILL.read_bytes()
    if place.exists() and place.read_bytes() != text:
        raise UsageError(f"{place} is there already, and another: move it away first")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text)
    return SKILL_PLACE
