"""Following an agent: what is new, once, whatever happens to the files."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.snapshot.agent_files import LOGS, TRANSCRIPTS
from swarm.views import follow as module
from swarm.views.follow import follow


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.0)


def write(path: Path, text: str, at: float) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(text)
    os.utime(path, (at, at))


def test_without_following_the_end_of_the_newest_is_shown(tmp_path: Path) -> None:
    output = io.StringIO()
    write(tmp_path / "logs" / "a.log", "old\n", 1)
    write(tmp_path / "logs" / "b.log", "x" * module.TAIL + "new\x1b[2J\n", 2)
    write(tmp_path / "logs" / "b.referee.log", "not this\n", 3)
    follow(tmp_path, LOGS, output)
    assert output.getvalue().strip("x\n").startswith("new")
    assert "\x1b" not in output.getvalue() and "old" not in output.getvalue()


def test_nothing_yet_is_told_or_waited_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gpu0 has not run anything yet"):
        follow(tmp_path / "gpu0", LOGS, io.StringIO())
    with pytest.raises(UsageError, match="sweep"):
        follow(tmp_path / "gpu0", TRANSCRIPTS, io.StringIO())
    looks = iter([True, True, False])
    with pytest.raises(UsageError):
        follow(tmp_path / "gpu0", LOGS, io.StringIO(), lambda: next(looks))


def test_it_follows_through_new_and_renamed_files_until_the_swarm_ends(tmp_path: Path) -> None:
    folder, output = tmp_path / "transcripts", io.StringIO()

    def writing():
        yield True
        write(folder / "next.md", "an idea\n", 1)
        write(folder / "briefing.md", "never shown\n", 9)
        yield True
        (folder / "next.md").rename(folder / "0001.md")
        write(folder / "0001.md", "edited\n", 2)
        yield True
        write(folder / "next.md", "another\n", 3)
        yield True
        write(folder / "0001.md", "mended\n", 4)
        yield True
        yield False

    moments = writing()
    follow(tmp_path, TRANSCRIPTS, output, lambda: next(moments))
    assert output.getvalue() == "an idea\nedited\n\n--- next\nanother\n\n--- 0001\nmended\n\n"
