"""Runs a swarm in this process and its terminal: its signals, and what it ends with."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

from swarm.coordinator.ending import Ended
from swarm.coordinator.head import Swarm
from swarm.errors import Interrupted, SwarmError
from swarm.launch.plan import Plan
from swarm.signals import handled

Starting = Callable[[Callable[[], str]], AbstractContextManager[None]]


def run(
    plan: Plan,
    show: Callable[[Callable[[], bool]], None],
    starting: Starting = lambda waits_for: contextlib.nullcontext(),
) -> tuple[int, str]:
    """Runs the swarm to its end; gives the exit code and the reason. `show(done)` draws until `done()`, or returns
    earlier. While it starts, `starting` shows what is waited for.

    The first Ctrl-C drains, the second stops at once, a third leaves whatever happens. A closed terminal changes
    nothing. SIGTERM stops. SwarmError, with what to type, where the head itself fails, or Ctrl-C comes while it starts.
    """
    go_on = f"`python -m swarm resume --tag {plan.tag}`"
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited by Ray's processes, which a closed terminal would end
    swarm = Swarm(plan)
    try:
        with _signals(swarm), starting(lambda: swarm.waits_for):
            swarm.start()
    except Interrupted as end:
        raise Interrupted(f"{end}; nothing of it runs. To go on: {go_on}") from None
    outcome: list[Ended | Exception] = []

    def supervise() -> None:
        try:
            outcome.append(swarm.supervise())
        except Exception as error:  # raised below, when the screen is free
            outcome.append(error)

    with _signals(swarm):  # once more: ray.init sets handlers of its own
        supervisor = threading.Thread(target=supervise, name="supervisor")
        supervisor.start()
        try:
            show(swarm.ended.is_set)
        except Exception as error:  # a closed terminal, a disk that cannot be read: no swarm needs a screen
            _go_on_unseen(error)
        supervisor.join()
    [end] = outcome
    if isinstance(end, Exception):
        raise SwarmError(f"the head failed: {end or type(end).__name__}; what was recorded is safe: {go_on}") from end
    if swarm.word == "now":
        return 130, end.reason
    return (1 if end.ending.failed else 0), end.reason


def _go_on_unseen(error: Exception) -> None:
    """Says why nothing more is shown; where nobody can read it, what is still printed goes nowhere and fails nobody."""
    try:
        print(f"the leaderboard failed ({error or type(error).__name__}); the swarm goes on without it", flush=True)
    except OSError:
        with Path(os.devnull).open("w") as nowhere:
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)


def _signals(swarm: Swarm) -> AbstractContextManager[None]:
    presses = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses == 1:
            swarm.drain()
        elif presses == 2:
            swarm.stop()
        else:
            os._exit(130)

    return handled({signal.SIGINT: interrupt, signal.SIGTERM: lambda *_: swarm.stop()})
