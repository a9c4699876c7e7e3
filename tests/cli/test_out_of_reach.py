"""A `.swarm` that the system does not let be used, as one that `sudo swarm launch` made: one line, exit 2, from every
verb that looks at it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from swarm.cli import VERBS
from swarm.errors import OutOfReach
from swarm.lab.simulation.project import make_project
from swarm.ledger.database import founded
from swarm.ledger.home import ledger_path, make_home
from tests.verbs import called

SIM = ("--dry-run", "--trial", "off", "--device", "sim")
LOOKING = [
    *(["launch", *SIM], ["launch", "--tag", "apr5", "--resume", *SIM], ["resume"], ["ls"], ["status"]),
    *(["status", "--json"], ["watch", "--once"], ["show", "champion"], ["report"], ["tell", "go", "deeper"], ["stop"]),
    *(["accept", "gpu0-0001"], ["reject", "gpu0-0001"], ["attach"], ["confirm", "champion"], ["ablate"]),
    *(["capsule", "champion"], ["export"], ["import", "results.tsv"], ["prune", "apr5", "--yes"]),
    *(["replay", "apr5", "--policy", "race"], ["serve", "--token", "--port", "0"]),
]  # fmt: skip
NEVER = {"init", "doctor", "judge", "completion", "bench", "simulate", "chaos", "verify"}  # without a capsule


def test_every_verb_is_tried() -> None:
    assert {words[0] for words in LOOKING} | NEVER == set(VERBS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reach") / "project"
    make_project(root, budget=0.1)
    (root / "results.tsv").write_text("commit\tval_bpb\tmemory_gb\tstatus\tdescription\nabc1234\t0.9\t1.0\tkeep\tx\n")
    return root


def is_one_line(answer: CompletedProcess[str]) -> bool:
    return answer.returncode == 2 and answer.stderr.count("\n") == 1 and "/.swarm" in answer.stderr


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_a_folder_that_cannot_be_looked_into(made: Path, tmp_path: Path, words: list[str]) -> None:
    """Not even root follows a link of that name: what is there is not known, and is not "no swarm"."""
    root = shutil.copytree(made, tmp_path / "project", symlinks=True)
    (root / ".swarm").symlink_to("x" * 300)
    verb, *rest = words
    answer = called(verb, "-C", str(root), *rest)
    assert is_one_line(answer), answer
    assert f"cannot be used ({os.strerror(errno.ENAMETOOLONG)})" in answer.stderr, answer
    assert (root / ".swarm").is_symlink()


@pytest.mark.parametrize("made_of", ["a file", "a link to nothing"])
def test_what_is_no_folder_is_no_place_for_a_swarm(made: Path, tmp_path: Path, made_of: str) -> None:
    home = tmp_path / ".swarm"
    home.touch() if made_of == "a file" else home.symlink_to(tmp_path / "nowhere" / "there")
    assert not founded(ledger_path(tmp_path))
    with pytest.raises(OutOfReach, match=r"\.swarm cannot be used"):
        make_home(home)


# -- the real case: another user's ----------------------------------------------------------------------------------


@pytest.fixture
def others() -> Iterator[Path]:
    """A repository that anybody may look at, with a `.swarm` that nobody else may."""
    root = Path(tempfile.mkdtemp(prefix="swarm-reach-"))
    try:
        root.chmod(0o755)
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        make_home(root / ".swarm")
        ledger_path(root).write_bytes(b"x")
        yield root
    finally:
        (root / ".swarm").chmod(0o700)
        shutil.rmtree(root)


def as_nobody(root: Path, *words: str) -> CompletedProcess[str]:
    """What the verb answers a user who may not look into `.swarm`."""
    if os.geteuid():
        (root / ".swarm").chmod(0)
        return called(*words)
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            answer = called(*words)
            os.write(writes, json.dumps([answer.returncode, answer.stderr]).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writes)
    with os.fdopen(reads, encoding="utf-8") as said:
        code, errors = json.load(said)
    os.waitpid(child, 0)
    return CompletedProcess(words, code, "", errors)


@pytest.mark.skipif(sys.platform == "win32", reason="no such users")
@pytest.mark.parametrize(
    "words",
    [["status"], ["ls"], ["watch", "--once"], ["show", "champion"], ["report"], ["stop"], ["tell", "x"], ["export"],
     ["accept", "gpu0-0001"], ["prune", "apr5", "--yes"]],
    ids=" ".join,
)  # fmt: skip
def test_another_users_is_said_to_be_that(others: Path, words: list[str]) -> None:
    called(*words[:1], "-C", str(others), *words[1:])  # whatever this loads: nobody may not be able to
    verb, *rest = words
    answer = as_nobody(others, verb, "-C", str(others), *rest)
    assert is_one_line(answer), answer
    assert "cannot be used (Permission denied): it is another user's" in answer.stderr, answer


def test_another_users_file_anywhere_is_one_line(others: Path) -> None:
    """A swarm's own folder, and whatever else is in it."""
    (others / ".git").chmod(0o700)
    answer = as_nobody(others, "status", "-C", str(others / ".git"))
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1), answer
