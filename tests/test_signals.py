"""Handlers are others' for a while, and afterwards whose they were, whatever happens meanwhile."""

from __future__ import annotations

import signal

import pytest

from swarm.signals import handled


def test_handlers_are_replaced_and_put_back() -> None:
    seen: list[int] = []
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGUSR2)
    with (
        pytest.raises(KeyError),
        handled({signal.SIGUSR1: lambda number, _: seen.append(number), signal.SIGUSR2: signal.SIG_IGN}),
    ):
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR2)
        raise KeyError
    assert seen == [signal.SIGUSR1]
    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGUSR2)) == before
