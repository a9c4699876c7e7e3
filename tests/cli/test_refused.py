"""What must not be accepted is refused in one line with the remedy, and nothing changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.board.nights import Night
from tests.verbs import called


@pytest.fixture
def root(night: Night, tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    night.keep("gpu0", 0, 0.99)
    night.ledger.close()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "--gpu-usd-per-hour", "-3"], "a price is 0 or more"),
        (["show", "gpu0-0001", "-f"], "goes with an agent"),
        (["watch", "--svg", "x.png"], "its name ends in .svg"),
        (["bench", "--agents", "x"], "as 1,2,4"),
        (["import", "{root}/.swarm/apr5/gpu0/results.tsv"], "is of a swarm of this repository"),
    ],
)
def test_it_is_refused(root: Path, words: list[str], message: str) -> None:
    verb, *rest = (word.format(root=root) for word in words)
    answer = called(verb, "-C", str(root), *rest)
    assert answer.returncode == 2 and message in answer.stderr and len(answer.stderr.splitlines()) == 1, answer


def test_the_champion_is_not_silently_another_state(root: Path) -> None:
    answer = called("show", "champion", "-C", str(root))
    assert answer.returncode == 0 and "has no champion yet: this is the newest kept step" in answer.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has it")
def test_a_macs_gpu_is_a_macs() -> None:
    from swarm.errors import UsageError
    from swarm.launch.slots import local_slots
    from swarm.project.settings import Config

    with pytest.raises(UsageError, match="Mac's GPU"):
        local_slots(Config(device="mps"))
