"""Where a repository's ledger lives: `.swarm/ledger.sqlite`, in a folder that git ignores by itself."""

from __future__ import annotations

from pathlib import Path

from swarm.errors import UsageError
from swarm.ledger.database import Ledger, founded

IGNORE_ITSELF = "*\n"  # .swarm/.gitignore


def ledger_path(root: Path) -> Path:
    return root / ".swarm" / "ledger.sqlite"


def make_home(folder: Path) -> None:
    """The folder .swarm, which git ignores by itself."""
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(IGNORE_ITSELF)


def open_ledger(root: Path) -> Ledger:
    """The repository's ledger, for reading; UsageError where no swarm ever ran here."""
    path = ledger_path(root)
    if not founded(path):
        raise UsageError(f"no swarm has run in {root} yet: start one with `python -m swarm launch`")
    return Ledger(path)
