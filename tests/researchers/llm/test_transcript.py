"""Transcripts: one file per experiment, whatever comes between, and readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarm.researchers.cli.stream import readable
from swarm.researchers.llm.transcript import LONGEST, Transcript


def told(folder: Path) -> dict[str, list[str]]:
    """The lines of every transcript, without headings' times and blank lines."""

    def lines(text: str) -> list[str]:
        return [line.split(" ", 2)[-1] if line.startswith("##") else line for line in text.split("\n") if line]

    return {path.stem: lines(path.read_text()) for path in folder.glob("*.md")}


def test_an_experiment_has_all_that_led_to_it(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "transcripts")
    transcript.brief("all of it")
    transcript.think()
    transcript.write("a first idea, refused")
    transcript.think()
    transcript.write("a second one")
    transcript.edit("t-gpu0-0001", thought_of_just_now=True)
    transcript.write("into code")
    transcript.think()
    transcript.write("the next idea")
    transcript.mend("t-gpu0-0001")
    transcript.write("a slip")
    transcript.edit("t-gpu0-0000", thought_of_just_now=False)
    transcript.write("carried over")
    thinks, edits, mends = "thinks of an idea", "edits", "mends a crash"
    assert told(tmp_path / "transcripts") == {
        "briefing": ["all of it"],
        "next": [thinks, "the next idea"],
        "t-gpu0-0000": [edits, "carried over"],
        "t-gpu0-0001": [thinks, "a first idea, refused", thinks, "a second one", edits, "into code", mends, "a slip"],
    }


def test_lines_are_bounded_and_a_researcher_without_a_folder_writes_nothing(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.think()
    transcript.write("x" * 2 * LONGEST)
    assert (tmp_path / "next.md").stat().st_size < LONGEST + 100
    nowhere = Transcript(None)
    nowhere.think()
    nowhere.edit("t-gpu0-0001", thought_of_just_now=True)
    nowhere.write("x")
    nowhere.brief("x")


def event(*blocks: dict[str, Any]) -> str:
    return json.dumps({"type": "assistant", "message": {"content": list(blocks)}})


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("no event", ["no event"]),
        ("[1]", ["[1]"]),
        ('{"type": "system", "subtype": "init"}', []),
        ('{"type": "user", "message": {"content": "text"}}', []),
        (event({"type": "text", "text": "I think so."}), ["I think so."]),
        (event({"type": "thinking", "thinking": "hm\nso"}), ["> hm\n> so"]),
        (event({"type": "thinking", "thinking": ""}), []),
        (
            event({"type": "tool_use", "name": "Read", "input": {"file_path": "/tmp/s/project/a.py"}}),
            ["* Read a.py"],
        ),
        (
            event(
                {
                    "type": "tool_use",
                    "name": "Edit",
                    "input": {"file_path": "/tmp/s/project/a.py", "old_string": "x = 1\ny", "new_string": "x = 2"},
                }
            ),
            ["* Edit a.py", "  - x = 1", "  - y", "  + x = 2"],
        ),
        (event({"type": "tool_use", "name": "Odd", "input": None}), ["* Odd"]),
        (event({"type": "tool_result", "content": "fine"}), []),
        (event({"type": "tool_result", "is_error": True, "content": "no"}), ["  refused: no"]),
        (
            event({"type": "tool_result", "is_error": True, "content": [{"type": "text", "text": "no"}]}),
            ["  refused: no"],
        ),
        (
            '{"type": "result", "subtype": "success", "num_turns": 3, "total_cost_usd": 0.5, "duration_ms": 2e3}',
            ["(success, 3 turns, 2 s, $0.5000)"],
        ),
        (
            json.dumps({"type": "result", "subtype": "success", "is_error": True, "result": "Not logged in"}),
            ["(success, ? turns, ?, an unknown cost: Not logged in)"],
        ),
    ],
)
def test_an_event_reads_like_a_conversation(line: str, shown: list[str]) -> None:
    assert list(readable(line, "/tmp/s/project")) == shown
