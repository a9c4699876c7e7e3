"""Notifications over loopback HTTP and refs to real repositories, while servers fail, hang and disappear."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from swarm.board.notifications import STREAK, Notification, NotificationFeed
from swarm.coordinator.notifier import Notifier, linked
from swarm.coordinator.webhook import request
from swarm.errors import UsageError
from swarm.lab.simulation.project import make_project
from swarm.launch.plan import make_plan
from swarm.ledger.database import Ledger
from swarm.ledger.home import make_home
from swarm.ledger.served import announced
from swarm.ledger.swarms import found
from swarm.ledger.transitions import add_baseline
from swarm.project.settings import Config, check_url
from swarm.records import Source

NOTIFICATION = Notification(
    "apr5", "champion", "wider: gain 0.01 <!channel> → @everyone", 12.0, "apr5-gpu0-0001", "val_bpb", 0.99
)


class Server(ThreadingHTTPServer):
    """Takes every POST; answers with `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def ledger(root: Path) -> Iterator[Ledger]:
    """The ledger of a swarm that has just begun."""
    make_home(root / ".swarm")
    ledger = Ledger(root / ".swarm" / "ledger.sqlite", write=True)
    columns = {
        "tag": "apr5", "base_commit": "0" * 40, "key": "", "device": "sim: x", "metric": "val_bpb", "budget": 1.0,
        "direction": "lower", "policy": "race", "researcher": "sweep", "settings": "{}",
    }  # fmt: skip
    found(ledger, Source({"train.py": b"A = 1"}), {"gpu0": ("x", "")}, "f", 1.0, **columns)
    yield ledger
    ledger.close()


def happen(ledger: Ledger, kind: str, text: str, experiment: str | None = None) -> None:
    ledger.insert("events", tag="apr5", at=2.0, agent="swarm", kind=kind, text=text, experiment=experiment)


def crash(ledger: Ledger, count: int, status: str = "crash") -> None:
    for _ in range(count):
        order = 1 + (ledger.value("SELECT max(verdict) FROM experiments") or 0)
        add_baseline(ledger, "apr5", f"x{order}", "", "", 1.0)
        ledger.execute(
            "UPDATE experiments SET verdict = ?, status = ?, reason = 'boom' WHERE agent = ?",
            order,
            status,
            f"x{order}",
        )


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_news_and_only_once(ledger: Ledger) -> None:
    happen(ledger, "champion", "of an earlier life")
    room = NotificationFeed(ledger, "apr5")
    assert room.look() == []
    happen(ledger, "champion", "gain 0.01", "apr5-gpu0-0000")
    happen(ledger, "discard", "no news")
    crash(ledger, STREAK - 1)
    assert [(news.kind, news.text) for news in room.look()] == [("champion", "baseline: gain 0.01")]
    crash(ledger, 1)
    found = [(news.kind, news.text) for news in room.look()]
    assert found == [("crashes", "5 experiments in a row crashed, the last with: boom")]
    crash(ledger, 1)
    assert room.look() == []
    crash(ledger, 1, "discard")
    crash(ledger, STREAK)
    assert room.look() == []  # the discard went by between two looks
    ledger.execute("UPDATE swarms SET max_experiments = 0")
    assert [news.text for news in room.look()] == ["0 experiments done: only the closing runs are left"]
    happen(ledger, "finished", "0 experiments done")
    assert [news.kind for news in room.look()] == ["finished"]
    assert room.look() == []


def test_each_service_gets_its_form() -> None:
    ntfy = request("https://ntfy.sh/topic", NOTIFICATION)
    assert ntfy.get_header("Title") == "swarm apr5: champion" and ntfy.data == NOTIFICATION.text.encode()
    own = request("ntfy+http://localhost:1/topic", Notification("t", "failed", "x", 0.0))
    assert (own.full_url, own.get_header("Priority")) == ("http://localhost:1/topic", "high")
    slack = json.loads(request("https://hooks.slack.com/services/T/B/x", NOTIFICATION).data or b"")
    assert "&lt;!channel&gt;" in slack["text"] and set(slack) == {"text"}
    discord = json.loads(request("https://discord.com/api/webhooks/1/x", NOTIFICATION).data or b"")
    assert discord["allowed_mentions"] == {"parse": []} and "@everyone" in discord["content"]
    plain = json.loads(request("https://example.org/hook", NOTIFICATION).data or b"")
    assert (plain["kind"], plain["value"], plain["experiment"], plain["tag"]) == (
        "champion",
        0.99,
        "apr5-gpu0-0001",
        "apr5",
    )


@pytest.mark.parametrize("url", ["", "ntfy.sh/topic", "ftp://x/y", "http://"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UsageError, match="--notify: give a URL"):
        check_url(url)


def test_news_arrive_and_the_last_ones_too(root: Path, ledger: Ledger, server: Server) -> None:
    warned: list[str] = []
    herald = Notifier(root, ledger.path or root, "apr5", f"{server.url}/hook", None, warned.append)
    happen(ledger, "champion", "gain 0.01")
    wait_for(lambda: server.got)
    happen(ledger, "finished", "done")
    herald.close()
    assert [json.loads(body)["kind"] for _, _, body in server.got] == ["champion", "finished"]
    assert not warned


def test_a_ledger_that_cannot_be_read_for_a_while_ends_no_notifications(
    root: Path, ledger: Ledger, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    look = NotificationFeed.look

    def fails_twice(feed: NotificationFeed) -> list[Notification]:
        if len(failed) < 2:
            failed.append(1)
            raise sqlite3.OperationalError("database is locked")
        return look(feed)

    failed: list[int] = []
    monkeypatch.setattr(NotificationFeed, "look", fails_twice)
    herald = Notifier(root, ledger.path or root, "apr5", f"{server.url}/hook", None, warned.append)
    happen(ledger, "champion", "gain 0.01")
    wait_for(lambda: server.got)
    herald.close()
    told = "notifications: database is locked; the swarm goes on and tries again"
    assert warned == [told, "notifications: works again"]


def test_an_experiment_whose_commit_was_replaced_is_pushed_again(root: Path, ledger: Ledger, tmp_path: Path) -> None:
    bare, warned = tmp_path / "bare.git", []
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(root, "remote", "add", "backup", str(bare))
    name = "refs/experiments/apr5-gpu0-0001"
    commits = [git(root, "commit-tree", "HEAD^{tree}", "-m", text) for text in ("discard", "keep")]
    herald = Notifier(root, ledger.path or root, "apr5", None, "backup", warned.append)
    for commit in commits:  # neither is the other's parent, as after `accept`
        git(root, "update-ref", name, commit)
        wait_for(lambda commit=commit: git(bare, "for-each-ref", "--format=%(objectname)", name) == commit)
    herald.close()
    assert not warned


def test_a_server_that_fails_is_told_once_and_stops_nothing(root: Path, ledger: Ledger, server: Server) -> None:
    server.status = 500
    warned: list[str] = []
    herald = Notifier(root, ledger.path or root, "apr5", f"{server.url}/secret", None, warned.append)
    happen(ledger, "champion", "one")
    happen(ledger, "champion", "two")
    herald.close()
    assert warned == ["a notification to 127.0.0.1 failed: HTTP Error 500: Internal Server Error"]
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    herald = Notifier(root, ledger.path or root, "apr5", f"http://127.0.0.1:{port}/", None, warned.append)
    happen(ledger, "finished", "done")
    herald.close()
    assert len(warned) == 2 and "refused" in warned[1]


def test_refs_are_pushed_as_they_come_and_again_after_a_failure(
    root: Path, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.coordinator.notifier.PAUSE", 0.5)
    bare, warned = tmp_path / "bare.git", []
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(root, "remote", "add", "backup", str(bare))
    head = git(root, "rev-parse", "HEAD")
    mine = ["refs/heads/autoresearch/apr5", "refs/heads/autoresearch/apr5-gpu0", "refs/experiments/apr5-gpu0-0001"]
    git(root, "update-ref", mine[0], head)
    git(root, "update-ref", "refs/heads/autoresearch/apr5-other", head)

    def there() -> list[str]:
        return git(bare, "for-each-ref", "--format=%(refname)").split()

    herald = Notifier(root, ledger.path or root, "apr5", None, "backup", warned.append)
    wait_for(lambda: there() == mine[:1])
    shutil.move(bare, tmp_path / "away.git")
    git(root, "update-ref", mine[1], head)
    wait_for(lambda: warned)
    shutil.move(tmp_path / "away.git", bare)
    git(root, "update-ref", mine[2], head)
    herald.close()
    assert there() == sorted(mine) and len(warned) == 1 and "pushing to backup failed" in warned[0]
    assert git(root, "status", "--porcelain") == ""


def test_mistyped_targets_are_refused_before_anything_starts(root: Path) -> None:
    for settings, error in ({"push": "orgin"}, "no such git remote"), ({"notify": "ntfy.sh/x"}, "give a URL"):
        with pytest.raises(UsageError, match=error):
            make_plan(root, Config(device="sim", agents=1, **settings))
    assert not (root / ".swarm").exists()


@pytest.mark.parametrize(
    "url", ["https://ntfy.sh/x", "https://hooks.slack.com/services/x", "https://d.com/api/webhooks/1", "https://x.com"]
)
def test_a_message_carries_the_link_to_its_experiment_while_a_server_shows_it(root: Path, url: str) -> None:
    assert linked(root, NOTIFICATION) is NOTIFICATION
    link = "http://127.0.0.1:8777/#gpu0-0001"
    with announced(root, "http://127.0.0.1:8777/"):
        sent = request(url, linked(root, NOTIFICATION))
        told = f"{sent.headers} {(sent.data or b'').decode()}"  # type: ignore[union-attr]
        assert link in told and "token" not in told
    assert link not in str(request(url, linked(root, NOTIFICATION)).data)
