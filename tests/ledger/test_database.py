"""The ledger file: who may open it, what a transaction promises, and that whatever is refused is left as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.ledger import database
from swarm.ledger.database import Ledger, founded, locked
from swarm.ledger.home import make_home
from swarm.ledger.schema import OLDEST, VERSION

NOTE = {"tag": "apr5", "at": 1.0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def notes(ledger: Ledger) -> list[str]:
    return [row["text"] for row in ledger.rows("SELECT text FROM notes ORDER BY id")]


def refused(path: Path, write: bool, *words: str) -> None:
    """Opening says what is wrong in one line, and changes nothing."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UsageError) as told:
        Ledger(path, write=write)
    assert all(word in str(told.value) for word in words), told.value
    assert "\n" not in str(told.value)
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("write", [True, False])
def test_a_damaged_a_foreign_and_a_newer_file_are_refused(path: Path, write: bool) -> None:
    path.write_bytes(b"this is no database at all, " * 100)
    refused(path, write, "not a ledger", "move it away")

    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE books (title TEXT)")
    refused(path, write, "another program", "move it away")

    path.unlink()
    Ledger(path, write=True).close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.close()
    refused(path, write, "newer version", "update swarm")
    with sqlite3.connect(path) as older:
        older.execute(f"PRAGMA user_version = {OLDEST - 1}")
    older.close()
    refused(path, write, "older version", "move it away")


@pytest.mark.parametrize("page", ["the schema", "a table"])
def test_a_ledger_whose_pages_are_torn_is_refused(path: Path, page: str) -> None:
    ledger = Ledger(path, write=True)
    start = (ledger.value("SELECT rootpage FROM sqlite_master WHERE name = 'trunk'") - 1) * 4096
    ledger.close()
    torn = bytearray(path.read_bytes())
    start = 100 if page == "the schema" else start
    torn[start : start + 100] = b"\xff" * 100
    path.write_bytes(torn)
    refused(path, True, "move it away to start anew")


def test_a_folder_that_cannot_be_written_or_read_is_told(path: Path) -> None:
    refused(path / "missing" / "ledger.sqlite", True, "cannot be written")
    path.mkdir()
    refused(path, True, "cannot be opened")
    refused(path, False, "cannot be opened")
    refused(path.with_name("missing.sqlite"), False, "cannot be opened")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_told(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        refused(path, True, "cannot be written")
    finally:
        path.parent.chmod(0o700)


def test_an_empty_file_is_founded_and_not_mistaken_for_a_ledger(path: Path) -> None:
    path.touch()
    assert not founded(path)
    Ledger(path, write=True).close()
    assert founded(path)


def test_who_reads_before_the_first_writer_is_done_hears_that_there_is_nothing_yet(path: Path) -> None:
    path.touch()
    with pytest.raises(UsageError, match="holds no swarm yet"):
        Ledger(path)
    assert path.stat().st_size == 0


def test_only_one_process_writes(path: Path) -> None:
    first = Ledger(path, write=True)
    assert locked(path)
    with pytest.raises(UsageError, match="already running"):
        Ledger(path, write=True)
    code = (
        f"from pathlib import Path; from swarm.ledger.database import Ledger; Ledger(Path({str(path)!r}), write=True)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert other.returncode == 1 and "already running" in other.stderr
    first.close()
    assert not locked(path)
    Ledger(path, write=True).close()


def test_a_writer_that_is_killed_leaves_no_lock_and_only_what_it_committed(path: Path) -> None:
    code = f"""
import os, time
from pathlib import Path
from swarm.ledger.database import Ledger
ledger = Ledger(Path({str(path)!r}), write=True)
ledger.insert("notes", tag="apr5", at=1.0, text="committed")
with ledger.transaction():
    ledger.insert("notes", tag="apr5", at=1.0, text="half done")
    print("ready", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        assert writer.stdout and writer.stdout.readline()
        writer.kill()
    ledger = Ledger(path, write=True)
    assert notes(ledger) == ["committed"]
    ledger.close()


def test_looking_whether_it_is_locked_leaves_nothing_and_never_keeps_a_writer_out(path: Path) -> None:
    assert not locked(path)
    assert not list(path.parent.iterdir())
    Ledger(path, write=True).close()
    with path.with_suffix(".lock").open() as another:
        fcntl.flock(another, fcntl.LOCK_SH)
        assert not locked(path), "who looks is not taken for a writer"
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            locked(path)

    watchers = [threading.Thread(target=look) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(30):
            Ledger(path, write=True).close()
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    ledger = Ledger(path, write=True)
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        ledger.insert("notes", **NOTE, text="first")
        with ledger.transaction():
            ledger.insert("notes", **NOTE, text="second")
        1 / 0  # noqa: B018
    assert notes(ledger) == []
    with ledger.transaction():
        ledger.insert("notes", **NOTE, text="third")
    ledger.close()
    assert notes(Ledger(path)) == ["third"]


def test_a_full_disk_refuses_and_leaves_no_open_transaction(path: Path) -> None:
    ledger = Ledger(path, write=True)
    pages = ledger.value("PRAGMA page_count")
    ledger.value(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(sqlite3.OperationalError, match="full"), ledger.transaction():
        ledger.insert("notes", **NOTE, text="small")
        ledger.insert("notes", **NOTE, text="x" * 100_000)
    assert notes(ledger) == []
    with ledger.transaction():
        ledger.insert("notes", **NOTE, text="fits")
    ledger.close()
    assert notes(Ledger(path)) == ["fits"]


def test_a_commit_that_fails_is_rolled_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_journal_mode", lambda path: "TRUNCATE")  # as over a network: readers block commits
    ledger = Ledger(path, write=True)
    ledger.value("PRAGMA busy_timeout = 50")
    reader = Ledger(path)
    with reader.reading():
        assert notes(reader) == []
        with pytest.raises(sqlite3.OperationalError, match="locked"), ledger.transaction():
            ledger.insert("notes", **NOTE, text="in vain")
    with ledger.transaction():
        ledger.insert("notes", **NOTE, text="later")
    assert notes(reader) == ["later"]


def test_readers_see_one_state_while_another_process_writes(path: Path) -> None:
    Ledger(path, write=True).close()
    code = f"""
from pathlib import Path
from swarm.ledger.database import Ledger
ledger = Ledger(Path({str(path)!r}), write=True)
print("ready", flush=True)
for number in range(200):
    with ledger.transaction():
        for twin in range(2):
            ledger.insert("notes", tag="apr5", at=1.0, text=str(number))
"""
    reader = Ledger(path)
    seen = set()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        assert writer.stdout and writer.stdout.readline()
        while writer.poll() is None:
            with reader.reading():
                first = reader.value("SELECT count(*) FROM notes")
                time.sleep(0.002)
                assert reader.value("SELECT count(*) FROM notes") == first
            assert first % 2 == 0
            seen.add(first)
    assert reader.value("SELECT count(*) FROM notes") == 400
    assert len(seen) > 3
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.insert("notes", **NOTE, text="no")


def test_the_version_changes_with_the_content(path: Path) -> None:
    ledger, reader = Ledger(path, write=True), Ledger(path)
    own, other = ledger.version(), reader.version()
    assert (own, other) == (ledger.version(), reader.version())
    ledger.insert("notes", **NOTE, text="new")
    assert ledger.version() != own
    assert reader.version() != other


def test_in_memory_and_missing_rows() -> None:
    ledger = Ledger(None)
    assert ledger.row("SELECT * FROM notes") is None
    assert ledger.value("SELECT text FROM notes") is None
    with pytest.raises(KeyError):
        ledger.one("SELECT * FROM notes WHERE id = ?", 7)


def test_what_must_not_be_is_impossible_in_the_schema_itself(path: Path) -> None:
    """The partial unique indexes hold whatever the rules above them do."""
    ledger = Ledger(path, write=True)
    idea = {"tag": "t", "agent": "gpu0", "owner": "gpu0", "key": "k", "intent": "x=1", "title": "", "rationale": ""}
    idea |= {"category": "", "knobs": "{}", "parent": "p", "position": 0, "created": 0.0}
    ledger.insert("experiments", id="a", sequence=1, state="testing", **idea)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.insert("experiments", id="b", sequence=2, state="claimed", **idea)
    ledger.insert("experiments", id="c", sequence=3, state="judged", **idea)
    run = {"tag": "t", "experiment": "a", "purpose": "first", "seed": 1, "source": "s", "parent": "p", "fence": 1}
    run |= {"started": 0.0}
    ledger.insert("runs", id="a.1", attempt=1, agent="gpu0", state="lost", **run)
    ledger.insert("runs", id="a.1", attempt=2, agent="gpu0", state="running", **run)
    for agent, name, attempt in (("gpu1", "a.1", 3), ("gpu0", "a.2", 1)):
        with pytest.raises(sqlite3.IntegrityError):
            ledger.insert("runs", id=name, attempt=attempt, agent=agent, state="running", **run)


FULL = """
import resource, sqlite3, sys
from pathlib import Path
from swarm.ledger.database import Ledger
from swarm.errors import UsageError

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

path = Path(sys.argv[1])
limit(5000)
try:
    Ledger(path, write=True)
    print("opened")
except UsageError as error:
    print("refused:", error)
limit(resource.RLIM_INFINITY)
ledger = Ledger(path, write=True)
ledger.insert("notes", tag="apr5", at=1.0, text="before")
limit(path.with_name(path.name + "-wal").stat().st_size + 20_000)
try:
    with ledger.transaction():
        ledger.insert("notes", tag="apr5", at=1.0, text="half")
        ledger.insert("notes", tag="apr5", at=1.0, text="x" * 1_000_000)
    print("written")
except sqlite3.OperationalError as error:
    print("failed:", error)
limit(resource.RLIM_INFINITY)
ledger.insert("notes", tag="apr5", at=1.0, text="after")
print([row["text"] for row in ledger.rows("SELECT text FROM notes ORDER BY id")])
ledger.close()
"""


def test_files_that_cannot_grow_leave_no_half_written_state(path: Path) -> None:
    """As on a full disk, for real: at the founding, in mid-night, and then there is room again."""
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    founded_, failed, kept = done.stdout.splitlines()
    assert founded_.startswith("refused:") and "the disk" in founded_
    assert failed.startswith("failed:")
    assert kept == "['before', 'after']"
    reader = Ledger(path)
    assert notes(reader) == ["before", "after"] and reader.value("PRAGMA integrity_check") == "ok"


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root can become somebody else")
def test_a_folder_of_somebody_else_is_told_and_left_as_it_was() -> None:
    """The same as for an ordinary user, in a process that gave up its rights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        Ledger(path, write=True).close()
        before = path.read_bytes()
        Path(folder).chmod(0o555)
        code = f"""
import os
from pathlib import Path
from swarm.ledger.database import Ledger
from swarm.errors import UsageError
os.setgid(65534), os.setuid(65534)
try:
    Ledger(Path({str(path)!r}), write=True)
except UsageError as error:
    print(error)
"""
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert "cannot be written" in told and told.count("\n") == 1
        assert path.read_bytes() == before


def test_what_was_kept_at_hand_is_forgotten_with_what_is_taken_back(tmp_path: Path) -> None:
    """Alone, and as one of a group, of which the others stay."""
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite", write=True)) as ledger:
        for around in (contextlib.nullcontext, ledger.group):
            ledger.memory["answer"] = 42
            with around(), contextlib.suppress(ZeroDivisionError), ledger.transaction():
                raise ZeroDivisionError
            assert not ledger.memory


def test_the_ledger_and_its_folder_are_their_users_alone(tmp_path):
    home = tmp_path / ".swarm"
    home.mkdir(mode=0o755)  # as an earlier version made them
    file = home / "ledger.sqlite"
    file.touch(mode=0o644)
    make_home(home)
    with contextlib.closing(Ledger(file, write=True)) as ledger:
        ledger.insert("notes", **NOTE, text="first")
        modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir() if path.name.startswith("ledger.sq")}
        assert len(modes) > 1 and set(modes.values()) == {0o600}, "what SQLite keeps beside it holds the same"
    assert home.stat().st_mode & 0o777 == 0o700
    with contextlib.closing(Ledger(file)):
        assert file.stat().st_mode & 0o777 == 0o600
