"""Whose turn it is in a conversation: the agent's, or a person's, and nobody's when its holder is gone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from swarm.researchers.cli.conversation import Conversation, Talk

HOLDER = """
import pathlib, sys, time
from swarm.researchers.cli.conversation import Conversation
with Conversation(pathlib.Path(sys.argv[1])).wish() as ours:
    print(ours, flush=True)
    time.sleep(600)
"""


def test_where_it_is_is_known_once_it_was_noted(tmp_path: Path) -> None:
    conversation = Conversation(tmp_path)
    assert conversation.talk() is None
    conversation.note(Talk(("claude", "--resume", "s1"), "/there"))
    assert Conversation(tmp_path).talk() == Talk(("claude", "--resume", "s1"), "/there")
    (tmp_path / "talk.json").write_text("{half")
    assert conversation.talk() is None


def test_a_person_waits_for_the_turn_and_the_agent_begins_no_new_one(tmp_path: Path) -> None:
    agent, person = Conversation(tmp_path), Conversation(tmp_path)
    with agent.turn(begun=False) as ours:
        assert ours
        with person.wish() as first, person.taken() as taken:
            assert first and not taken
    with person.wish(), Conversation(tmp_path).wish() as second:
        assert not second  # one person at a time
        with agent.turn(begun=False) as ours:
            assert not ours
        with agent.turn(begun=True) as ours:
            assert ours  # what was begun is ended first
    with person.wish(), person.taken() as taken, agent.turn(begun=True) as ours:
        assert taken and not ours
    with agent.turn(begun=False) as ours:
        assert ours


def test_a_person_whose_terminal_dies_holds_nothing(tmp_path: Path) -> None:
    person = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert person.stdout and person.stdout.readline() == "True\n"
    conversation = Conversation(tmp_path)
    assert conversation.is_wanted()
    person.kill()
    person.communicate()
    until = time.monotonic() + 100
    while conversation.is_wanted():
        assert time.monotonic() < until
        time.sleep(0.05)
