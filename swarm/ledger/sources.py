"""The code that was ever tried: every source, stored once under its sha."""

from __future__ import annotations

from swarm.ledger.database import Ledger
from swarm.records import Source


def store_source(ledger: Ledger, source: Source) -> str:
    sha = source.sha
    for path, content in source.files.items():
        ledger.execute("INSERT OR IGNORE INTO sources (sha, path, content) VALUES (?, ?, ?)", sha, path, content)
    return sha


def load_source(ledger: Ledger, sha: str) -> Source:
    """The stored source; KeyError where there is none."""
    rows = ledger.rows("SELECT path, content FROM sources WHERE sha = ?", sha)
    if not rows:
        raise KeyError(sha)
    return Source({row["path"]: row["content"] for row in rows})
