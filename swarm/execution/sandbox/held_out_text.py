"""Where held-out text stands on this machine beside the held-out data: its own files, and copies of a library's.

prepare.py writes down, beside the tokens of a split, the files that its text was read from: `val.sources.json`. Where
they are of a library, such as Python's own, other installations hold them too, in other versions, compiled, packed.
What is found here, a sandbox closes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.execution.spec import write_whole

SOURCES = ".sources.json"  # how the lists end
COPIES = "val.copies.json"  # what was found of a library on this machine, beside its list and as closed as that
DAY = 86_400.0  # seconds for which that holds: somebody may install another Python
SYSTEM = ("/usr", "/opt", "/snap", "/nix")  # where programs are installed, beside what the sandbox opens
PRUNED = frozenset((".git", "node_modules", "locale", "man", "icons", "fonts", "zoneinfo", "terminfo", "include"))
SKETCH, ALIKE = 64, 0.35  # as prepare.py tells near-duplicates: lines compared, and the share that is the same
WHOLE = 500  # files of one folder, above which the folder itself is closed
LIBRARY = 3  # compiled modules by name that make a folder a library's, where their sources are gone
LARGEST = 2**22  # bytes of a file that is looked into
PYTHON = frozenset(("os.py", "io.py", "abc.py"))  # what shows that a folder is a Python's library
PYTHON_2 = {  # how modules of today's packages were called there: half of their lines still stand in them
    "tkinter": "tkinter tkdnd tkconstants tkmessagebox tkfiledialog tksimpledialog tkcolorchooser tkcommondialog tkfont"
    " scrolledtext simpledialog dialog filedialog canvas fixtk tix ttk turtle",
    "xmlrpc": "xmlrpclib simplexmlrpcserver docxmlrpcserver",
}

_PACKED = re.compile(  # an installation of Python as one file
    r"(?:c|lib|idle-)?python-?[23][\w.+~-]*\.(?:zip|conda|deb|rpm|tgz|tbz2?|txz|tar(?:\.\w+)?)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Known:
    """A file that held-out text was read from: its path below the root, its size and hash, its sketched lines."""

    path: str
    size: int
    sha256: str
    lines: frozenset[int]

    @property
    def module(self) -> str:
        """The name it is imported by, without its packages: `ttk`, and `tkinter` of tkinter/__init__.py."""
        path = Path(self.path)
        return (path.parent.name if path.stem == "__init__" else path.stem).lower()


@dataclass(frozen=True, slots=True)
class Origin:
    """What one list says: files below `root`, of a `library` or not."""

    root: Path
    library: bool
    files: tuple[Known, ...]

    def own(self, opened: Sequence[Path]) -> tuple[Path, ...]:
        """Its files as they were read; where they are many, the one folder they are in, unless something `opened` lies
        in that."""
        if len(self.files) <= WHOLE:
            return tuple(path for file in self.files if (path := self.root / file.path).exists())
        return () if any(path.is_relative_to(self.root) for path in opened) else (self.root,)


def lists(held_out: Iterable[Path]) -> tuple[Path, ...]:
    """Of held-out files, those that list sources; only those of the corpus that runs use, where it is named."""
    found = tuple(path for path in held_out if path.name.endswith(SOURCES))
    used = os.environ.get("AUTORESEARCH_CORPUS") or ""
    return tuple(path for path in found if path.parent.name == used) or found


def read(path: Path) -> Origin:
    """What a list says. OSError, ValueError, KeyError or TypeError where it is none."""
    stored = json.loads(path.read_bytes())
    files = (
        Known(str(file["path"]), int(file["bytes"]), str(file["sha256"]), frozenset(file["lines"]))
        for file in stored["files"]
    )
    return Origin(Path(stored["root"]), bool(stored["library"]), tuple(files))


def closed_sources(held_out: Iterable[Path], opened: Sequence[Path], own: Sequence[Path] = ()) -> tuple[Path, ...]:
    """The files and folders that a sandbox must close, as it leaves `opened` readable, and a run's `own` folders, and
    where programs are installed; none where the lists cannot be read (swarm/launch/demonstration.py says so then).

    A folder is closed as a whole where it is a package of which any file is held out.
    """
    try:
        origins = tuple(map(read, lists(held_out)))
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    found = {path for origin in origins for path in origin.own((*opened, *own))}
    known = tuple(file for origin in origins if origin.library for file in origin.files)
    if known:
        roots = _outermost((*map(Path, SYSTEM), *opened, *(origin.root for origin in origins if origin.library)))
        found |= _remembered(lists(held_out)[0], known, roots)
        # Small, and other ones in every run: not worth remembering.
        found |= copies(known, _outermost(place for place in own if not any(map(place.is_relative_to, roots))))
    packages = {file.path.split("/")[0] for file in known if "/" in file.path}
    return tuple(sorted(set(_whole_packages(found, packages))))


def _remembered(source: Path, known: tuple[Known, ...], roots: tuple[Path, ...]) -> frozenset[Path]:
    """The copies in `roots`, looked for once a day in each on each machine, as that takes seconds."""
    asked = hashlib.sha256(repr((known, os.uname().nodename, PYTHON_2)).encode()).hexdigest()
    stored = _stored(source.parent / COPIES, asked)
    missing = [root for root in roots if str(root) not in stored]
    for root in missing:
        stored[str(root)] = {"at": time.time(), "paths": sorted(map(str, copies(known, (root,))))}
    if missing:
        with contextlib.suppress(OSError):  # a cache that is not ours to write: they are looked for again
            write_whole(source.parent / COPIES, {"asked": asked, "roots": stored})
    return frozenset(Path(path) for root in roots for path in stored[str(root)]["paths"])


def _stored(cache: Path, asked: str) -> dict[str, Any]:
    """By folder what was found in it, and when, of all that still holds; empty where that cannot be read."""
    try:
        stored = json.loads(cache.read_bytes())
        now, roots = time.time(), stored["roots"] if stored["asked"] == asked else {}
        return {
            root: {"at": found["at"], "paths": list(map(str, found["paths"]))}
            for root, found in roots.items()
            if 0 <= now - found["at"] < DAY
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def copies(known: tuple[Known, ...], roots: tuple[Path, ...]) -> frozenset[Path]:
    """Files in `roots` that are one of `known`, by content or as another version of it, compiled or packed. Reads all
    folders below: a second or so for each hundred thousand files."""
    names = defaultdict(list)
    for file in known:
        names[file.module].append(file)
    sizes: dict[int, set[str]] = defaultdict(set)
    for file in known:
        sizes[file.size].add(file.sha256)
    found: set[str] = set()
    python = _python_names(known)
    for folder, files in _folders(roots):
        compiled = []
        if files.keys() >= PYTHON or Path(folder).name == "lib-tk":  # of another release, in which much was changed
            found |= {entry.path for name, entry in files.items() if name.split(".")[0].lower() in python}
            found |= {
                str(path)
                for name in files
                for path in _compiled(Path(folder), name.split(".")[0])
                if name.split(".")[0].lower() in python
            }
        for name, entry in files.items():
            stem, _, ending = name.rpartition(".")
            if ending == "py":
                alike = names.get(stem.lower(), ())
                if _is_copy(entry, sizes) or any(_is_version(entry, file) for file in alike):
                    found |= {entry.path, *map(str, _compiled(Path(folder), stem))}
            elif ending in ("pyc", "pyo"):
                compiled += [entry.path] if name.split(".")[0].lower() in names else []
            elif _PACKED.fullmatch(name):
                found.add(entry.path)
        if compiled:
            found |= _orphans(compiled)
    return frozenset(map(Path, found))


def _python_names(known: Iterable[Known]) -> frozenset[str]:
    """The modules of a Python's library that are held out as they are called in the library itself, by whatever
    release."""
    names = {Path(file.path).stem.lower() for file in known if "/" not in file.path}
    packages = {file.path.split("/")[0] for file in known if "/" in file.path}
    return frozenset(names.union(*(PYTHON_2[name].split() for name in packages & PYTHON_2.keys())))


def _folders(roots: Iterable[Path]) -> Iterator[tuple[str, dict[str, os.DirEntry[str]]]]:
    """All folders below `roots`, each with its plain files by name. Links are not followed: what they lead to lies in a
    root, or is closed."""
    waiting = [str(root) for root in roots]
    while waiting:
        folder = waiting.pop()
        files: dict[str, os.DirEntry[str]] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in PRUNED:
                            waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        files[entry.name] = entry
        except OSError:  # closed to this user anyway, or gone
            continue
        yield folder, files


def _is_copy(entry: os.DirEntry[str], sizes: Mapping[int, set[str]]) -> bool:
    try:
        size = entry.stat(follow_symlinks=False).st_size
        return size in sizes and hashlib.sha256(Path(entry.path).read_bytes()).hexdigest() in sizes[size]
    except OSError:
        return False


def _is_version(entry: os.DirEntry[str], file: Known) -> bool:
    """Whether two files share so many of their lines that one tells what stands in the other."""
    try:
        size = entry.stat(follow_symlinks=False).st_size
        if not file.size / 4 <= size <= min(4 * file.size, LARGEST):
            return False
        own = sketch(Path(entry.path).read_bytes())
    except OSError:
        return False
    smallest = sorted(own | file.lines)[:SKETCH]
    return bool(smallest) and sum(line in own and line in file.lines for line in smallest) >= ALIKE * len(smallest)


def sketch(content: bytes) -> frozenset[int]:
    """The smallest line hashes of a text, as prepare.py takes them."""
    lines = {b" ".join(line.split()) for line in content.decode(errors="replace").lower().encode().splitlines()}
    return frozenset(sorted({zlib.crc32(line) for line in lines if line})[:SKETCH])


def _compiled(folder: Path, stem: str) -> Iterator[Path]:
    """What Python compiled a source to: it holds every docstring and constant."""
    yield from (folder / "__pycache__").glob(f"{stem}.*.pyc")
    yield from (path for path in (folder / f"{stem}.pyc", folder / f"{stem}.pyo") if path.exists())


def _orphans(compiled: Iterable[str]) -> set[str]:
    """Of compiled modules with known names, those of a library that is installed without its sources."""
    lonely: dict[str, set[str]] = defaultdict(set)
    for path in map(Path, compiled):
        home = path.parent.parent if path.parent.name == "__pycache__" else path.parent
        stem = path.name.split(".")[0]
        if not (home / f"{stem}.py").exists():
            lonely[stem].add(str(path))
    return set().union(*lonely.values()) if len(lonely) >= LIBRARY else set()


def _whole_packages(found: Iterable[Path], packages: set[str]) -> Iterator[Path]:
    for path in found:
        package = next((folder for folder in path.parents if folder.name in packages), None)
        yield package if package and (package / "__init__.py").is_file() else path


def _outermost(folders: Iterable[Path]) -> tuple[Path, ...]:
    places = sorted({folder.resolve() for folder in folders if folder.is_dir()})
    return tuple(
        place for place in places if not any(place != other and place.is_relative_to(other) for other in places)
    )
