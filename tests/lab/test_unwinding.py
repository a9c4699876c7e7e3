"""A verb that started a swarm is killed politely: the swarm ends too."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
import pytest

STARTS = """
import subprocess, sys
from swarm.lab.unwinding import unwinding
with unwinding():
    subprocess.run([sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_a_verb_started_ends_with_it(number: signal.Signals) -> None:
    verb = subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE, text=True)
    assert verb.stdout and verb.stdout.readline() == "up\n"
    [started] = psutil.Process(verb.pid).children()
    verb.send_signal(number)
    assert verb.wait() == 128 + number
    started.wait(60)
    assert not started.is_running()
