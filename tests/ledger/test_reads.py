"""Answers at hand are those that the ledger gives: whatever is written, taken back, or changed by somebody else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from swarm.ledger import reads
from swarm.ledger.database import Ledger
from swarm.ledger.rows import EventRow
from swarm.ledger.schema import TABLES

QUESTIONS = (
    "SELECT count(*) FROM events",
    "SELECT max(at) FROM events",
    "SELECT count(*) FROM notes",
    "SELECT measured FROM swarms",
    "SELECT count(*) FROM runs WHERE state = 'measured'",
)
RUN = dict.fromkeys(("experiment", "agent", "source", "parent"), "x") | {"purpose": "first", "seed": 1, "fence": 1}


def event(ledger: Ledger, number: int) -> None:
    ledger.insert("events", tag="t", at=float(number), agent="a", kind="k", text="x", experiment=None)


def note(ledger: Ledger, number: int) -> None:
    ledger.insert("notes", tag="t", at=float(number), text="x")


def forget_events(ledger: Ledger, number: int) -> None:
    ledger.execute("DELETE FROM events WHERE at > ?", number)


def measured(ledger: Ledger, number: int) -> None:
    """By a trigger it counts in the swarm's row, too."""
    row = ledger.value("SELECT count(*) FROM runs")
    ledger.insert("runs", id=f"r{row}", attempt=1, tag="t", state="running", started=1.0, **RUN | {"agent": f"a{row}"})
    ledger.execute("UPDATE runs SET state = 'measured' WHERE id = ?", f"r{row}")


CHANGES = (event, note, forget_events, measured)


def founded(ledger: Ledger) -> None:
    names = "base_commit base_source key device metric direction policy researcher settings status"
    text = dict.fromkeys(names.split(" "), "")
    ledger.insert("swarms", tag="t", started=0.0, budget=1.0, **text)


@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 9), st.booleans(), st.booleans()), max_size=25))
def test_an_answer_at_hand_is_the_one_that_the_ledger_gives(steps: list) -> None:
    ledger = Ledger(None)
    founded(ledger)
    for change, number, fails, asked_before in steps:
        try:
            with ledger.transaction():
                change(ledger, number)
                for question in QUESTIONS if asked_before else ():
                    assert ledger.value(question) == ledger._db.execute(question).fetchone()[0]
                if fails:
                    raise InterruptedError
        except InterruptedError:
            pass
        for question in QUESTIONS:
            assert ledger.value(question) == ledger._db.execute(question).fetchone()[0]
        there = ledger.records(EventRow, "WHERE tag = ? ORDER BY id", "t")
        there.clear()  # the caller's own list
        assert len(ledger.records(EventRow, "WHERE tag = ? ORDER BY id", "t")) == ledger.value(QUESTIONS[0])


def test_nothing_is_asked_twice_of_a_table_that_nobody_changed() -> None:
    ledger, asked = Ledger(None), list[str]()
    founded(ledger)
    ledger._db.set_trace_callback(asked.append)
    for _ in range(3):
        ledger.value(QUESTIONS[0])
        note(ledger, 1)
    assert sum(statement == QUESTIONS[0] for statement in asked) == 1
    event(ledger, 1)
    assert ledger.value(QUESTIONS[0]) == 1


def test_what_somebody_else_wrote_into_the_file_is_seen(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", write=True)
    for number in range(3):
        with ledger.transaction():
            assert ledger.value(QUESTIONS[2]) == ledger.value(QUESTIONS[2]) == number
        with sqlite3.connect(tmp_path / "ledger.sqlite") as other:
            other.execute("INSERT INTO notes (tag, at, text) VALUES ('t', 1, 'x')")
        other.close()
        assert ledger.value(QUESTIONS[2]) == number + 1  # outside a transaction nothing is taken for granted
    ledger.close()


def test_every_table_that_a_trigger_changes_is_known() -> None:
    assert TABLES.count("CREATE TRIGGER") == len(reads._TRIGGERS)
    assert reads._changed_by("UPDATE runs SET state = 'measured'") >= {"runs", "swarms"}
    assert reads._asked_of("SELECT answer FROM answers WHERE request = ?") == ()
