"""Commands as people write them, as argument lists; and the Python that a repository's own commands run with."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from swarm.errors import UsageError
from swarm.project.environment import is_environment, own_environment
from swarm.project.found import Found, Question
from swarm.text import lazy_pattern, one_line, printable

PYTHON = "{python}"
_NEEDS_A_SHELL = lazy_pattern(r"[|&;<>$`*?~#()\n]|^\s*\w+=|^\s*(cd|export|source|\.)\s")
_TO_A_LOG = lazy_pattern(r"\s+(?:2>&1\s*)?(?:&?>>?\s*[\w./${}-]+|\|\s*tee\s+(?:-a\s+)?[\w./${}-]+)\s*(?:2>&1)?\s*$")
SETTING_UP = lazy_pattern(  # a word of its own, also between underscores: fetch_data.py
    r"(?<![a-z])(?:prepare|set_?up|install|sync|download(?:s|er)?|fetch|(?:get|make|gen|generate|build)_data(?:sets?)?)"
    r"(?![a-z])|\b(?:plot\w*|dashboard|pytest|baseline|analy[sz]e\w*|lint|format|help)\b|--help",
    re.IGNORECASE,
)
_A_PYTHON = lazy_pattern(r"(?:\S*/)?python(?:3(?:\.\d+)?)?")


def as_argv(text: str, called: str) -> tuple[str, ...]:
    """The argument list of a command that is one text: split as a shell does, run by sh where it needs a shell.

    UsageError, which calls it `called`, where a quote is not closed.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(one_line(printable(f"{called} {text!r:.80}: {error}"))) from error
    return ("sh", "-c", text) if _NEEDS_A_SHELL.search(text) else tuple(words)


def without_log(line: str) -> str:
    """A command line without the file that its output was sent to: the output of a run is read where it comes out."""
    return _TO_A_LOG.sub("", line.strip())


def python_words(line: str) -> tuple[str, ...] | None:
    """What follows the interpreter in `python train.py`, `uv run train.py` and their like; None for other commands."""
    if _NEEDS_A_SHELL.search(line):
        return None
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if words[:2] == ["uv", "run"]:
        rest = words[2:]
        if rest and _A_PYTHON.fullmatch(rest[0]):
            return tuple(rest[1:])
        return tuple(rest) if rest and rest[0].endswith(".py") else None
    return tuple(words[1:]) if words and _A_PYTHON.fullmatch(words[0]) else None


def with_python(root: Path, places: Iterable[PurePosixPath], words: tuple[str, ...], uv: bool) -> Found | Question:
    """`words` run by the repository's own environment, or by that of a folder of it, else by this Python.

    A question where the repository is run with uv and `uv sync` was not run there yet.
    """
    if own := own_environment(root):
        inside = own.parent == root
        return Found((PYTHON, *words), f"the repository's own {own.name}" if inside else f"the environment {own}")
    folders = [(place, root / place) for place in places]
    for place, folder in folders:
        if is_environment(folder / ".venv"):
            return Found((f"{{repo}}/{place}/.venv/bin/python", *words), f"the .venv of {place}")
    here = Found((PYTHON, *words), "this Python; there is no .venv and no uv.lock")
    for _, folder in folders:
        if (folder / "uv.lock").is_file() or (uv and (folder / "pyproject.toml").is_file()):
            lacking = "" if shutil.which("uv") else " (uv is not installed here: `python -m pip install uv`)"
            text = f"{folder} is run with uv and has no environment yet: run `uv sync` there first{lacking}"
            return Question("command", f"{text}, or use this Python", (Found(here.value, "this Python"),))
    return here
