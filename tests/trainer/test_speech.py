"""What a reader prints is heard until it is hushed, whoever in it prints."""

from __future__ import annotations

import os
import subprocess
import sys

from trainer.speech import MOST, Speech

TALKS = """
import os, subprocess, sys
os.write(1, b"loading\\n")
sys.stdin.readline()
print("HELD OUT", flush=True)
os.write(2, b"HELD OUT" * 100_000)
subprocess.run(["echo", "HELD OUT"])
raise RuntimeError("HELD OUT")
"""

FAILS = """
import os, sys
os.write(1, b"loading\\n")
sys.stdin.readline()
raise RuntimeError("no key")
"""


def heard(program: str, hush: bool) -> str:
    source, listener = os.pipe()
    speech = Speech(listener)
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", program], stdin=subprocess.PIPE, stdout=speech.sink, stderr=speech.sink
    )
    speech.begin()
    first = os.read(source, 100)
    if hush:
        speech.hush()
    process.communicate(b"go\n")
    speech.close()
    os.close(listener)
    with os.fdopen(source, "rb") as rest:
        return (first + rest.read()).decode()


def test_nothing_is_heard_after_the_hush():
    assert heard(TALKS, hush=True) == "loading\n"


def test_a_reader_that_was_never_hushed_is_heard_to_its_end():
    said = heard(FAILS, hush=False)
    assert said.startswith("loading\n") and said.endswith("RuntimeError: no key\n")


def test_what_was_said_before_the_hush_is_heard_although_it_was_not_passed_on_yet():
    source, listener = os.pipe()
    speech = Speech(listener)
    os.write(speech.sink, b"before")
    speech.hush()
    os.write(speech.sink, b"after")
    speech.begin()
    speech.close()
    os.close(listener)
    with os.fdopen(source, "rb") as rest:
        assert rest.read() == b"before"


def test_no_flood_is_passed_on():
    source, listener = os.pipe()
    os.close(source)  # nobody listens
    speech = Speech(listener)
    process = subprocess.Popen([sys.executable, "-S", "-c", f"print('x' * {4 * MOST})"], stdout=speech.sink)
    speech.begin()
    assert process.wait() == 0
    speech.close()
    os.close(listener)
