"""The small projects of examples/, to start from nothing. The link `examples` beside this file is for the wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

from swarm.errors import UsageError

EXAMPLES = Path(__file__).with_name("examples")


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
