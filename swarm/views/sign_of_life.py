"""A line that says what is waited for, and for how long, while there is nothing else to see."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from swarm.wording.formatting import Portable, clean, shorten

FIRST, EVERY = 5.0, 15.0  # seconds until the first line, and between two, where no line can be overwritten
_REFRESH = 0.5


@contextlib.contextmanager
def sign_of_life(console: Console, waits_for: Callable[[], str]) -> Iterator[None]:
    """While this lasts, `waits_for()` is told with the seconds that it took by now: on a terminal in one line, which is
    gone afterwards, else in a new line now and then."""
    overwrites = console.is_terminal and not console.is_dumb_terminal
    over, began = threading.Event(), time.monotonic()

    def line() -> str:
        return f"{clean(waits_for())}, {time.monotonic() - began:.0f} s by now"

    def shown() -> Portable:
        return Portable(Text(shorten(line(), console.width - 2), "dim"))

    def go_on() -> None:
        while not over.wait(_REFRESH if overwrites else FIRST if time.monotonic() - began < FIRST else EVERY):
            status.update(shown()) if status else console.print(Portable(Text(line())), soft_wrap=True)

    status = console.status(shown(), spinner="line", refresh_per_second=2) if overwrites else None
    thread = threading.Thread(target=go_on, name="sign of life", daemon=True)
    with status or contextlib.nullcontext():
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
