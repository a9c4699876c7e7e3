"""Where a repository's swarms can be seen in a browser: `.swarm/serve.json`, there while a server runs."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from swarm import foreign
from swarm.ledger.home import PRIVATE_FOLDER


@contextlib.contextmanager
def announced(root: Path, url: str) -> Iterator[None]:
    """While this lasts, others on this machine know that the swarms of `root` are served at `url`."""
    file = _file(root)
    file.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    mine = {"url": url, "pid": os.getpid(), "began": psutil.Process().create_time()}
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.write_text(json.dumps(mine), encoding="utf-8")
    fresh.chmod(0o600)
    fresh.replace(file)
    try:
        yield
    finally:
        if _read(root).get("pid") == os.getpid():
            file.unlink(missing_ok=True)


def served_at(root: Path) -> str:
    """The address of the server that runs now; "" where none does. It holds no token."""
    found = _read(root)
    pid, url = found.get("pid"), found.get("url")
    if not isinstance(pid, int) or not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return ""
    try:
        return url if psutil.Process(pid).create_time() == found.get("began") else ""
    except (psutil.Error, ValueError, OverflowError):
        return ""


def _read(root: Path) -> dict[str, object]:
    try:
        return dict(foreign.parse_object(_file(root).read_bytes()))
    except OSError:
        return {}


def _file(root: Path) -> Path:
    return root / ".swarm" / "serve.json"
