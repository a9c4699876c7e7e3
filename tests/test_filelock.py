"""A lock between processes, and places that have none."""

from __future__ import annotations

import contextlib
import errno
import fcntl
from pathlib import Path

import pytest

from swarm import filelock
from swarm.errors import UsageError
from swarm.execution.machine.lock import HostLock
from swarm.launch.trial_store import alone
from swarm.ledger.database import Ledger, locked


def test_one_at_a_time(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open("w") as other:
        assert filelock.take(one.fileno(), "lock") and not filelock.take(other.fileno(), "lock")
        assert not filelock.take(other.fileno(), "lock", filelock.SHARED)
    with (tmp_path / "lock").open("w") as other:
        assert filelock.take(other.fileno(), "lock")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_place_without_locks_is_told_with_its_remedy(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(number, "No locks available")

    Ledger(tmp_path / "ledger.sqlite", write=True).close()
    monkeypatch.setattr(fcntl, "flock", refuses)
    for attempt in (
        lambda: Ledger(tmp_path / "ledger.sqlite", write=True),
        lambda: locked(tmp_path / "ledger.sqlite"),
        lambda: HostLock(tmp_path / "locks" / "gpu.lock").take("me"),
        lambda: contextlib.ExitStack().enter_context(alone(tmp_path)),
    ):
        with pytest.raises(UsageError, match=r"cannot be locked \(No locks available\): .* a local disk"):
            attempt()
