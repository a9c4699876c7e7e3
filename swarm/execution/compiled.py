"""What tools compile and keep, for the next run on a slot: of the untouched code alone.

A run gets a folder of its own, with a copy of what runs of the untouched code left on this slot, or on another one of
this machine, and its folder is thrown away with the next run's. Whatever else a run writes there, its weights, what it
knows of held-out text, code for others to load, no other run finds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

from swarm.execution.machine.removal import remove
from swarm.execution.sandbox.landlock import TEMPORARY

GROUPS = "__grp__*.json"  # in which Triton names, by their paths, the files that belong to one kernel
LARGEST = 2**32  # bytes that are worth a copy for each run


class CompiledCode:
    """The folders of compiled code on one slot, below `folder`: live/ of the run at hand, kept/ of the untouched code.

    A step's live folder has the same path in all runs: what compilers keep names paths.
    """

    def __init__(self, folder: Path) -> None:
        self.live, self._kept = folder / "live", folder / "kept"

    def clear(self) -> None:
        """Throws away what the last run left."""
        remove(self.live)

    def fresh(self, step: str) -> Path:
        """An own folder for a step of the run that begins: what the untouched code left there, and nothing else. Where
        it has not run on this slot, what it left on another one: eight slots compile the same code once."""
        live = self.live / step
        remove(live)
        for kept in (self._kept / step, *self._on_other_slots(step)):
            try:
                copy(kept, live)
            except OSError:  # not there, or replaced by a newer one just now
                remove(live)
                continue
            _name_paths(live, kept.parents[1] / "live" / step)
            break
        live.mkdir(parents=True, exist_ok=True)
        return live

    def _on_other_slots(self, step: str) -> list[Path]:
        own = self._kept.parent
        return sorted(path for path in own.parent.parent.glob(f"*/{own.name}/kept/{step}") if own not in path.parents)

    def keep(self) -> None:
        """Keep what the run that ended last left: it was one of the untouched code."""
        for live in self.live.iterdir() if self.live.is_dir() else ():
            remove(live / TEMPORARY)
            draft, kept = self._kept / f".{live.name}", self._kept / live.name
            remove(draft)
            if _size(live) <= LARGEST:
                copy(live, draft)
                remove(kept)
                draft.rename(kept)


def copy(source: Path, target: Path) -> None:
    """Copies a folder's plain files, folders and links. Where the file system can, contents are shared until written
    to, never the files themselves: who owns a file may write to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target, symlinks=True, ignore=_special, copy_function=_copied)


def _name_paths(live: Path, before: Path) -> None:
    """Lets what compilers keep name `live` instead of the folder `before`, where it was made."""
    if live != before:
        for group in live.rglob(GROUPS):
            if group.is_file() and not group.is_symlink():
                group.write_text(group.read_text().replace(f"{before}{os.sep}", f"{live}{os.sep}"))


def _copied(source: str, target: str) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError), Path(source).open("rb") as old, Path(target).open("wb") as new:
            left = os.fstat(old.fileno()).st_size
            while left > 0 and (done := os.copy_file_range(old.fileno(), new.fileno(), left)):
                left -= done
            if left == 0:
                shutil.copystat(source, target)
                return
    shutil.copy2(source, target)


def _special(folder: str, names: list[str]) -> set[str]:
    plain = (Path.is_symlink, Path.is_dir, Path.is_file)
    return {name for name in names if not any(is_a(Path(folder, name)) for is_a in plain)}


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
