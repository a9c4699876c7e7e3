"""The ledger: one SQLite file per repository, the truth of which git, results.tsv and all views are projections.

One process writes (it holds `ledger.lock`), any number read. Every change is one transaction. Whatever is not known
is NULL. The file is opened only if it is ours and of a format we know; its next writer brings an earlier format up to
date.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from msgspec import Struct

from swarm.codec import decode
from swarm.errors import LedgerDamaged, OutOfReach, UsageError
from swarm.filelock import SHARED, take
from swarm.ledger.reads import Reads
from swarm.ledger.rows import read, select
from swarm.ledger.schema import APPLICATION_ID, OLDEST, TABLES, VERSION, migration

STATEMENTS = 512  # kept compiled: the board has more of them than sqlite3 keeps by itself
LOCK_WAIT = 1.0  # seconds a writer waits for the file lock: whoever looks whether it is held holds it for a moment
NETWORK_FILESYSTEMS = ("nfs", "cifs", "smb", "afs", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p")

LedgerFault = sqlite3.OperationalError  # what the disk does to a ledger: it is full, locked, or gone

R = TypeVar("R", bound=Struct)  # a kind of record (swarm/ledger/rows.py)

# How a transaction begins, is kept and is undone: by itself, and as one of a group.
_ALONE = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
_GROUPED = ("SAVEPOINT one", "RELEASE one", "ROLLBACK TO one")


class Ledger:
    """A connection to the ledger file. `write=True` takes the file lock and creates what is missing."""

    def __init__(self, path: Path | None, *, write: bool = False):
        """`path` None is a private ledger in memory.

        UsageError, and nothing changed, where the file is damaged, foreign, newer, in use, or out of reach.
        """
        self.path = path
        self.memory: dict[str, Any] = {}  # what readers keep at hand; forgotten where a change is taken back
        self._inside = False  # a transaction
        self._reads = Reads()
        self._state = 0  # of the file, as others changed it, when a transaction began last
        self._earlier: sqlite3.Connection | None = None  # the file itself, where a copy of it is read
        self._earlier_state = 0
        with ExitStack() as opened:
            if write and path:
                opened.enter_context(_lock(path))
            try:
                self._db = _connect(path, write)
                opened.callback(lambda: self._db.close())
                self._open(write or path is None)
            except LedgerFault as error:
                raise UsageError(
                    f"{path} cannot be opened ({error}): see to the permissions of its folder and to the disk"
                ) from error
            except (sqlite3.DatabaseError, LedgerDamaged, UnicodeDecodeError) as error:
                raise UsageError(
                    f"{path} is not a ledger that can be read ({error}): move it away to start anew"
                ) from error
            self._opened = opened.pop_all()

    def _open(self, write: bool) -> None:
        tables = self.value("SELECT count(*) FROM sqlite_master")
        identity = self.value("PRAGMA application_id")
        if tables and identity != APPLICATION_ID:
            raise UsageError(f"{self.path} is a database of another program: move it away to start anew")
        version = self.value("PRAGMA user_version")
        if version > VERSION:
            raise UsageError(f"{self.path} was written by a newer version of swarm (format {version}): update swarm")
        if tables and version < OLDEST:
            raise UsageError(f"{self.path} was written by an older version of swarm: move it away to start anew")
        if write and self.value("PRAGMA quick_check(1)") != "ok":
            raise UsageError(f"{self.path} is damaged: move it away to start anew")
        if tables and version < VERSION:
            if write:
                self._change_format(migration(version))
            else:
                self._read_a_copy()
        if not write:
            if not tables:  # its first writer is about to make them, or was killed before it did
                raise UsageError(f"{self.path} holds no swarm yet: start one with `python -m swarm launch`")
            return
        if not tables:  # before anything else is written: the file is empty, or a ledger
            self._change_format(f"{TABLES} PRAGMA application_id = {APPLICATION_ID};")
        if self.path:
            self._db.execute(f"PRAGMA journal_mode = {_journal_mode(self.path)}")
            self._db.execute("PRAGMA synchronous = FULL")

    def _change_format(self, statements: str) -> None:
        self._db.executescript(f"BEGIN; {statements} PRAGMA user_version = {VERSION}; COMMIT;")

    def _read_a_copy(self) -> None:
        """A reader changes no file: what it reads of an earlier format is a copy in memory, as fresh as the file."""
        if self._earlier is None:
            self._earlier = self._db
        self._earlier_state = self._earlier.execute("PRAGMA data_version").fetchone()[0]
        self._db = _connect(None, write=True)
        self._earlier.backup(self._db)
        self._change_format(migration(self.value("PRAGMA user_version")))

    def _renew_copy(self) -> None:
        """A swarm of an earlier version may be running, and write."""
        if self._earlier and self._earlier.execute("PRAGMA data_version").fetchone()[0] != self._earlier_state:
            self._db.close()
            self._read_a_copy()

    def close(self) -> None:
        self._opened.close()
        if self._earlier:
            self._earlier.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, serialised against every other writer. Inside another transaction it is part of that one.

        In a group it is taken back alone where it fails, and is on disk when the group is.
        """
        if self._inside:
            yield
            return
        self._inside = True
        try:
            with self._undone_by_errors(_GROUPED if self._db.in_transaction else _ALONE):
                yield
        finally:
            self._inside = False

    @contextmanager
    def group(self) -> Iterator[None]:
        """Many transactions that are written to the disk at once, at the end: before that, none of them is final."""
        with self._undone_by_errors(_ALONE):
            yield

    @contextmanager
    def _undone_by_errors(self, words: tuple[str, str, str]) -> Iterator[None]:
        begin, keep, undo = words
        self._db.execute(begin)
        try:
            self._see_others()
            yield
            self._db.execute(keep)
        except BaseException:
            self.memory.clear()
            self._reads.forget()
            if self._db.in_transaction:  # a full disk makes SQLite roll back by itself
                self._db.execute(undo)
                if words is _GROUPED:
                    self._db.execute(keep)
            raise

    def _see_others(self) -> None:
        """Nobody else should write; what was read before holds only if nobody did."""
        state = self._db.execute("PRAGMA data_version").fetchone()[0] if self.path else 0
        if state != self._state:
            self._state = state
            self._reads.forget()

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several reads of one consistent state."""
        if self._db.in_transaction:
            yield
            return
        self._renew_copy()
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def version(self) -> tuple[int, int]:
        """Differs from an earlier one if anything was changed since, by this connection or any other."""
        if self._earlier:
            return self._earlier_state, 0
        return self.value("PRAGMA data_version"), self._db.total_changes

    def execute(self, sql: str, *values: object) -> int:
        """Runs one statement; gives the number of rows it changed."""
        with self._whole():
            self._reads.written(sql)
            return self._db.execute(sql, values).rowcount

    def insert(self, table: str, **row: object) -> None:
        names = ", ".join(row)
        with self._whole():
            self._reads.written(table)
            self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return list(self._answer((list, sql, values), sql, lambda: tuple(self._db.execute(sql, values))))

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        return self._answer((sql, values), sql, lambda: self._db.execute(sql, values).fetchone())

    def one(self, sql: str, *values: object) -> sqlite3.Row:
        """The row that must be there; KeyError where it is not."""
        row = self.row(sql, *values)
        if row is None:
            raise KeyError(values)
        return row

    def records(self, kind: type[R], sql: str, *values: object) -> list[R]:
        """The rows as records of that kind. `sql` is what follows its columns, from FROM on: "WHERE ...", or, where
        several tables take part, "FROM ..." with the records' own table called `t`."""
        whole = select(kind, sql)
        found = self._answer(
            (list, kind, whole, values),
            whole,
            lambda: tuple(read(kind, row) for row in self._db.execute(whole, values)),
        )
        return list(found)

    def record(self, kind: type[R], sql: str, *values: object) -> R | None:
        """The first of the `records`; None where there is none."""
        whole = select(kind, sql)

        def ask() -> R | None:
            row = self._db.execute(whole, values).fetchone()
            return None if row is None else read(kind, row)

        return self._answer((kind, whole, values), whole, ask)

    def _answer(self, key: Hashable, sql: str, ask: Callable[[], Any]) -> Any:
        """What `ask` gives, or gave where nothing it depends on was changed since: within a transaction, or in memory,
        nobody else can have."""
        with self._whole():
            if self.path is None or self._inside:
                return self._reads.answer(key, sql, ask)
            return ask()

    def the_record(self, kind: type[R], sql: str, *values: object) -> R:
        """The first of the `records`, which must be there; KeyError where it is not."""
        found = self.record(kind, sql, *values)
        if found is None:
            raise KeyError(values)
        return found

    def value(self, sql: str, *values: object) -> Any:
        """The first column of the first row; None where there is no row."""
        row = self.row(sql, *values)
        return row[0] if row else None

    def decoded(self, text: str) -> Any:
        """The record that a column holds as text."""
        with self._whole():
            return decode(text)

    def _whole(self) -> _Whole:
        """LedgerDamaged for what no writer of ours wrote: pages, texts, words of states and JSON that are none."""
        return _Whole(self)


class _Whole:
    """The context of one read or write. A class, as it is entered at every statement: a generator takes as long as the
    statement itself."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(
            error, (sqlite3.DatabaseError, ValueError, KeyError, TypeError, RecursionError)
        ):
            return
        if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
            return
        code = getattr(error, "sqlite_errorcode", None)
        if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
            return  # the disk's doing: full, locked, gone; the other is a table or a column that is not there
        raise LedgerDamaged(self._ledger.path or "the ledger", error) from error


def founded(path: Path) -> bool:
    """Whether there is a ledger at `path`; an empty file, left by a launch that was killed at once, is none."""
    status = file_at(path)
    return status is not None and stat.S_ISREG(status.st_mode) and status.st_size > 0


def file_at(path: Path) -> os.stat_result | None:
    """What is at the place of a ledger; None where nothing is. Whoever wants to know asks here: OutOfReach where the
    system does not say, as in a folder of another user."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutOfReach(path.parent, error) from error


def locked(path: Path) -> bool:
    """Whether some process writes to the ledger at `path` now. Leaves no file behind."""
    try:
        file = _opened(path, "r")
    except OSError:
        return False
    with file:
        return not take(file.fileno(), file.name, SHARED)


def _opened(path: Path, mode: str) -> IO[str]:
    """The file beside a ledger that is locked; a pipe in its place, which nobody feeds, is not waited for."""
    return open(path.with_suffix(".lock"), mode, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK, 0o644))


def _lock(path: Path) -> IO[str]:
    """An exclusive lock beside the file, held as long as the returned file object is open."""
    try:
        file = _opened(path, "a")
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be written ({error.strerror}): the ledger lives there") from error
    patience = time.monotonic() + LOCK_WAIT
    while not _taken(file):
        if time.monotonic() > patience:
            file.close()
            raise UsageError(
                "a swarm is already running on this repository: see it with `python -m swarm watch`,"
                " end it with `python -m swarm stop`"
            )
        time.sleep(0.01)
    return file


def _taken(file: IO[str]) -> bool:
    try:
        return take(file.fileno(), file.name)
    except UsageError:
        file.close()
        raise


def _connect(path: Path | None, write: bool) -> sqlite3.Connection:
    if path and write:
        _keep_private(path)
    address = f"{path.absolute().as_uri()}?mode={'rwc' if write else 'ro'}" if path else ":memory:"
    database = sqlite3.connect(
        address, uri=path is not None, isolation_level=None, timeout=30, cached_statements=STATEMENTS
    )
    database.row_factory = sqlite3.Row
    return database


def _keep_private(path: Path) -> None:
    """The ledger is its user's alone, whatever it was; SQLite's own files beside it get the same mode."""
    with suppress(OSError):  # SQLite says better what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
        with suppress(OSError):  # not there, another user's, or a file system without modes
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def _journal_mode(path: Path) -> str:
    """WAL keeps readers and the writer out of each other's way; over a network file system it loses data."""
    import psutil  # slow to import, and only a writer asks

    mounts = [p for p in psutil.disk_partitions(all=True) if path.absolute().is_relative_to(p.mountpoint)]
    kind = max(mounts, key=lambda p: len(p.mountpoint)).fstype if mounts else ""
    return "TRUNCATE" if kind.startswith(NETWORK_FILESYSTEMS) else "WAL"
