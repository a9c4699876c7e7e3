"""Faults that cannot be injected from outside; this file is on the PYTHONPATH of the swarm under test.

Python runs this file at its start. SWARM_CHAOS names a folder. Its file `clock` holds by how many seconds the clock is
wrong; where there is a file `forget`, the next process that commits to a ledger takes it away and dies before it can
tell anybody.
"""

import contextlib
import os
import signal
import sqlite3
import time
from pathlib import Path

_folder = Path(os.environ.get("SWARM_CHAOS", "/nonexistent"))
_true_time, _true_connect = time.time, sqlite3.connect


def _wrong_time() -> float:
    with contextlib.suppress(OSError, ValueError):
        return _true_time() + float((_folder / "clock").read_text())
    return _true_time()


class _Forgetful(sqlite3.Connection):
    _changes = 0

    def execute(self, sql, *arguments):
        cursor = super().execute(sql, *arguments)
        if sql.startswith("BEGIN"):
            self._changes = self.total_changes
        if sql == "COMMIT" and self.total_changes > self._changes:  # a reader has nothing to forget
            with contextlib.suppress(OSError):
                (_folder / "forget").unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return cursor


if _folder.is_dir():
    time.time = _wrong_time
    sqlite3.connect = lambda *arguments, **options: _true_connect(*arguments, **{"factory": _Forgetful, **options})
