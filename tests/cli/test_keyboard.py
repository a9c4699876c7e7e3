"""Keys in `watch`, in a real terminal, which is left as it was found however the view ends."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.cli.keyboard import keys_of
from swarm.lab.simulation.project import make_project
from swarm.ledger.home import ledger_path
from tests.board.nights import Night
from tests.cli.terminal import terminal

pytestmark = pytest.mark.long


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a swarm that nobody leads, and files of its agents."""
    root = make_project(tmp_path / "project", budget=0.1)
    night = Night(ledger_path(root), agents=2)
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    night.ledger.close()
    for kind, name in (("logs", "apr5-gpu0-0001.1.1.log"), ("transcripts", "apr5-gpu0-0001.md")):
        folder = root / ".swarm" / "apr5" / "gpu0" / kind
        folder.mkdir(parents=True)
        (folder / name).write_text(f"here are the {kind}\n" * 3)
    return root


def test_a_walk_with_every_key_changes_the_picture_alone(root: Path) -> None:
    with terminal("watch", "-C", str(root)) as screen:
        screen.wait_for("? keys")
        for keys, shown in (
            ("\t", "experiments · by newest · 1 rows"),
            ("s", "by gain"),
            ("\r", "here are the logs"),
            ("G", "here are the transcripts"),
            ("g", "apr5-gpu0-0001"),
            ("q", "Enter: open"),
            ("/no such\r", "0 rows"),
            ("\x1b", "1 rows"),
            ("p", "PAUSED"),
            ("p", "by gain"),
            ("\t", "agents · by name · 2 rows"),
            ("\x1b[B", "agents"),
            ("\r", "gpu1"),
            ("q", "agents"),
            ("?", "No key ends a swarm"),
            ("q", "Enter: open"),
            ("q", "? keys"),
        ):
            screen.press(keys)
            screen.wait_for(shown)
        assert not (root / ".swarm" / "apr5" / "stop").exists()
        screen.press("q")
        assert screen.end() == 0


def test_whatever_ends_it_the_terminal_is_as_it_was(root: Path) -> None:
    with terminal("watch", "-C", str(root)) as screen:
        screen.wait_for("? keys")
        screen.press("\x03")
        assert screen.end() == 130
    with terminal("watch", "-C", str(root), rows=50, columns=160) as screen:
        screen.wait_for("? keys")
        screen.process.send_signal(signal.SIGTERM)
        assert screen.end() == 128 + signal.SIGTERM
    with terminal("watch", "-C", str(root)) as screen:
        screen.wait_for("? keys")
        for path in (root / ".swarm").glob("ledger.sqlite*"):
            path.write_bytes(b"no ledger" * 1000)  # the view fails as it reads
        assert screen.end() in (1, 2)


@given(st.text(max_size=50))
def test_whatever_is_typed_has_names(typed: str) -> None:
    assert all(key and (len(key) == 1 or key.isascii()) for key in keys_of(typed))


def test_keys_have_names() -> None:
    assert keys_of("j\x1b[A\x1b[5~\r\x1b[99;5u/\x1b") == ["j", "up", "pageup", "enter", "/", "escape"]
