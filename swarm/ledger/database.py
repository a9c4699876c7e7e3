"""The ledger: one SQLite file per repository, the truth of which git, results.tsv and all views are projections.

One process writes (it holds `ledger.lock`), any number read. Every change is one transaction. Whatever is not known
is NULL. The file is opened only if it is ours and of a version we know; nothing is ever migrated silently.
"""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any

import psutil

from swarm.errors import UsageError

APPLICATION_ID = 0x41525357  # "ARSW"
VERSION = 5
STATEMENTS = 512  # kept compiled: the board has more of them than sqlite3 keeps by itself
LOCK_WAIT = 1.0  # seconds a writer waits for the file lock: whoever looks whether it is held holds it for a moment
NETWORK_FILESYSTEMS = ("nfs", "cifs", "smb", "afs", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p")

# How a transaction begins, is kept and is undone: by itself, and as one of a group.
_ALONE = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
_GROUPED = ("SAVEPOINT one", "RELEASE one", "ROLLBACK TO one")

SCHEMA = """
CREATE TABLE swarms (
    tag TEXT PRIMARY KEY, started REAL NOT NULL, ended REAL, status TEXT NOT NULL, stop TEXT NOT NULL DEFAULT '',
    base_commit TEXT NOT NULL, base_source TEXT NOT NULL, from_tag TEXT, key TEXT NOT NULL, device TEXT NOT NULL,
    metric TEXT NOT NULL, direction TEXT NOT NULL, policy TEXT NOT NULL, researcher TEXT NOT NULL,
    budget REAL NOT NULL, deadline REAL, max_experiments INTEGER, max_usd REAL, max_tokens INTEGER,
    sigma_prior REAL, sigma REAL, reason TEXT NOT NULL DEFAULT '', settings TEXT NOT NULL,
    measured INTEGER NOT NULL DEFAULT 0, measured_seconds REAL NOT NULL DEFAULT 0,
    closing INTEGER NOT NULL DEFAULT 0);
CREATE TABLE agents (
    tag TEXT NOT NULL, agent TEXT NOT NULL, device TEXT NOT NULL, category TEXT NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0, position INTEGER NOT NULL DEFAULT 0, joined REAL, seconds REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (tag, agent));
CREATE TABLE sources (
    sha TEXT NOT NULL, path TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (sha, path)) WITHOUT ROWID;
CREATE TABLE trunk (
    tag TEXT NOT NULL, position INTEGER NOT NULL, source TEXT NOT NULL, experiment TEXT, at REAL NOT NULL,
    PRIMARY KEY (tag, position)) WITHOUT ROWID;
CREATE TABLE experiments (
    id TEXT PRIMARY KEY, tag TEXT NOT NULL, agent TEXT NOT NULL, owner TEXT NOT NULL, sequence INTEGER NOT NULL,
    baseline INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL, key TEXT NOT NULL, intent TEXT NOT NULL,
    title TEXT NOT NULL, rationale TEXT NOT NULL, category TEXT NOT NULL, knobs TEXT NOT NULL,
    parent TEXT NOT NULL, position INTEGER NOT NULL, source TEXT, added_size INTEGER NOT NULL DEFAULT 0,
    again TEXT NOT NULL DEFAULT '', diff TEXT NOT NULL DEFAULT '',
    refresh INTEGER NOT NULL DEFAULT 0, repairs INTEGER NOT NULL DEFAULT 0,
    status TEXT, rung TEXT NOT NULL DEFAULT 'seen', gain REAL, se REAL, n INTEGER NOT NULL DEFAULT 0,
    failure TEXT, reason TEXT NOT NULL DEFAULT '', created REAL NOT NULL, started REAL, judged REAL, verdict INTEGER,
    commit_sha TEXT, restores TEXT, quarantine TEXT NOT NULL DEFAULT '', UNIQUE (tag, agent, sequence));
CREATE UNIQUE INDEX one_live_claim ON experiments (intent, key)
    WHERE baseline = 0 AND state IN ('claimed', 'drafted', 'testing');
CREATE INDEX experiments_by_state ON experiments (tag, state, owner, baseline);
CREATE INDEX experiments_by_intent ON experiments (intent, key);
CREATE INDEX experiments_by_verdict ON experiments (judged, id, rung) WHERE state = 'judged' AND baseline = 0;
CREATE INDEX experiments_by_outcome ON experiments (category, status) WHERE state = 'judged' AND baseline = 0;
CREATE INDEX changes_by_age ON experiments (key, created, id, source) WHERE state != 'abandoned' AND diff != '';
CREATE INDEX experiments_kept ON experiments (judged, id, rung)
    WHERE state = 'judged' AND baseline = 0 AND status = 'keep';
CREATE INDEX experiments_flagged ON experiments (source) WHERE status = 'keep' AND rung IN ('invalid', 'tainted');
CREATE INDEX experiments_crowned ON experiments (tag) WHERE rung = 'champion';
CREATE UNIQUE INDEX verdicts_in_order ON experiments (tag, verdict) WHERE verdict IS NOT NULL;
CREATE TABLE fingerprints (
    fingerprint TEXT NOT NULL, key TEXT NOT NULL, experiment TEXT NOT NULL,
    PRIMARY KEY (fingerprint, key)) WITHOUT ROWID;
CREATE TABLE changes (
    change TEXT NOT NULL, key TEXT NOT NULL, experiment TEXT NOT NULL,
    PRIMARY KEY (change, key, experiment)) WITHOUT ROWID;
CREATE INDEX changes_by_experiment ON changes (experiment);
CREATE TABLE runs (
    id TEXT NOT NULL, attempt INTEGER NOT NULL, tag TEXT NOT NULL, experiment TEXT NOT NULL, agent TEXT NOT NULL,
    purpose TEXT NOT NULL, seed INTEGER NOT NULL, source TEXT NOT NULL, parent TEXT NOT NULL, state TEXT NOT NULL,
    fence INTEGER NOT NULL, started REAL NOT NULL, seconds REAL, training_seconds REAL,
    value REAL, steps REAL, audited INTEGER, sandboxed INTEGER, peak_vram_mb REAL, failure TEXT, result TEXT, late TEXT,
    confirmation INTEGER,
    PRIMARY KEY (id, attempt)) WITHOUT ROWID;
CREATE UNIQUE INDEX one_run_per_agent ON runs (tag, agent) WHERE state = 'running';
CREATE UNIQUE INDEX one_result_per_run ON runs (id) WHERE state IN ('running', 'measured', 'crashed');
CREATE INDEX runs_by_source ON runs (tag, source, state, seed);
CREATE INDEX runs_by_experiment ON runs (experiment);
CREATE INDEX runs_by_state ON runs (tag, state, purpose, seconds);
CREATE INDEX runs_by_start ON runs (tag, started) WHERE state = 'measured';
CREATE INDEX runs_by_confirmation ON runs (confirmation) WHERE confirmation IS NOT NULL;
CREATE TABLE confirmations (
    id INTEGER PRIMARY KEY, tag TEXT NOT NULL, experiment TEXT NOT NULL, source TEXT NOT NULL,
    rival_experiment TEXT NOT NULL, rival TEXT NOT NULL, asked TEXT NOT NULL, wanted INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'open', gain REAL, low REAL, high REAL, p REAL, n INTEGER, m INTEGER,
    began REAL NOT NULL, ended REAL);
CREATE INDEX confirmations_by_tag ON confirmations (tag, state);
CREATE TABLE answers (request TEXT PRIMARY KEY, at REAL NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX answers_by_age ON answers (at);
CREATE TABLE payments (
    id INTEGER PRIMARY KEY, tag TEXT NOT NULL, agent TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL,
    state TEXT NOT NULL, usd REAL NOT NULL, prompt INTEGER NOT NULL, cached INTEGER NOT NULL DEFAULT 0,
    output INTEGER NOT NULL DEFAULT 0);
CREATE INDEX payments_by_tag ON payments (tag, agent);
CREATE TABLE notes (id INTEGER PRIMARY KEY, tag TEXT NOT NULL, at REAL NOT NULL, text TEXT NOT NULL);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, tag TEXT NOT NULL, at REAL NOT NULL, agent TEXT NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL, experiment TEXT);
CREATE INDEX events_by_tag ON events (tag, id);
-- What the board asks for at every step stands in the swarm's row: counting it anew takes longer with every run.
CREATE TRIGGER measured_at_once AFTER INSERT ON runs WHEN new.state = 'measured' BEGIN
    UPDATE swarms SET measured = measured + 1, measured_seconds = measured_seconds + coalesce(new.seconds, 0),
        closing = closing + (new.purpose = 'closing') WHERE tag = new.tag;
END;
CREATE TRIGGER measured_at_last AFTER UPDATE OF state ON runs WHEN new.state = 'measured' AND old.state != 'measured'
BEGIN
    UPDATE swarms SET measured = measured + 1, measured_seconds = measured_seconds + coalesce(new.seconds, 0),
        closing = closing + (new.purpose = 'closing') WHERE tag = new.tag;
END;
"""


class Ledger:
    """A connection to the ledger file. `write=True` takes the file lock and creates what is missing."""

    def __init__(self, path: Path | None, *, write: bool = False):
        """`path` None is a private ledger in memory.

        UsageError, and nothing changed, where the file is damaged, foreign, newer, in use, or out of reach.
        """
        self.path = path
        self.memory: dict[str, Any] = {}  # what readers keep at hand; forgotten where a change is taken back
        self._inside = False  # a transaction
        with ExitStack() as opened:
            if write and path:
                opened.enter_context(_lock(path))
            try:
                self._db = opened.enter_context(closing(_connect(path, write)))
                self._db.row_factory = sqlite3.Row
                self._open(write or path is None)
            except sqlite3.OperationalError as error:
                raise UsageError(
                    f"{path} cannot be opened ({error}): see to the permissions of its folder and to the disk"
                ) from error
            except sqlite3.DatabaseError as error:
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
        if tables and version < VERSION:
            raise UsageError(f"{self.path} was written by an older version of swarm: move it away to start anew")
        if not write:
            return
        if self.value("PRAGMA quick_check(1)") != "ok":
            raise UsageError(f"{self.path} is damaged: move it away to start anew")
        if not tables:  # before anything else is written: the file is empty, or a ledger
            self._db.executescript(
                f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
            )
        if self.path:
            self._db.execute(f"PRAGMA journal_mode = {_journal_mode(self.path)}")
            self._db.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        self._opened.close()

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
            yield
            self._db.execute(keep)
        except BaseException:
            self.memory.clear()
            if self._db.in_transaction:  # a full disk makes SQLite roll back by itself
                self._db.execute(undo)
                if words is _GROUPED:
                    self._db.execute(keep)
            raise

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several reads of one consistent state."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def version(self) -> tuple[int, int]:
        """Differs from an earlier one if anything was changed since, by this connection or any other."""
        return self.value("PRAGMA data_version"), self._db.total_changes

    def execute(self, sql: str, *values: object) -> int:
        """Runs one statement; gives the number of rows it changed."""
        return self._db.execute(sql, values).rowcount

    def insert(self, table: str, **row: object) -> None:
        names = ", ".join(row)
        self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        return self._db.execute(sql, values).fetchone()

    def one(self, sql: str, *values: object) -> sqlite3.Row:
        """The row that must be there; KeyError where it is not."""
        row = self.row(sql, *values)
        if row is None:
            raise KeyError(values)
        return row

    def value(self, sql: str, *values: object) -> Any:
        """The first column of the first row; None where there is no row."""
        row = self._db.execute(sql, values).fetchone()
        return row[0] if row else None


def founded(path: Path) -> bool:
    """Whether there is a ledger at `path`; an empty file, left by a launch that was killed at once, is none."""
    return path.is_file() and path.stat().st_size > 0


def locked(path: Path) -> bool:
    """Whether some process writes to the ledger at `path` now. Leaves no file behind."""
    try:
        file = path.with_suffix(".lock").open()
    except OSError:
        return False
    with file:
        return not _take(file, fcntl.LOCK_SH)


def _lock(path: Path) -> IO[str]:
    """An exclusive lock beside the file, held as long as the returned file object is open."""
    try:
        file = path.with_suffix(".lock").open("a")
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be written ({error.strerror}): the ledger lives there") from error
    patience = time.monotonic() + LOCK_WAIT
    while not _take(file, fcntl.LOCK_EX):
        if time.monotonic() > patience:
            file.close()
            raise UsageError(
                "a swarm is already running on this repository: see it with `python -m swarm watch`,"
                " end it with `python -m swarm stop`"
            )
        time.sleep(0.01)
    return file


def _take(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _connect(path: Path | None, write: bool) -> sqlite3.Connection:
    if path is None:
        return sqlite3.connect(":memory:", isolation_level=None, cached_statements=STATEMENTS)
    mode = "rwc" if write else "ro"
    address = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=30, cached_statements=STATEMENTS)


def _journal_mode(path: Path) -> str:
    """WAL keeps readers and the writer out of each other's way; over a network file system it loses data."""
    mounts = [p for p in psutil.disk_partitions(all=True) if path.absolute().is_relative_to(p.mountpoint)]
    kind = max(mounts, key=lambda p: len(p.mountpoint)).fstype if mounts else ""
    return "TRUNCATE" if kind.startswith(NETWORK_FILESYSTEMS) else "WAL"
