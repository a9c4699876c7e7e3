"""A capsule: one folder that holds an experiment and what it should give, for whoever runs it again elsewhere.

capsule.json      what was measured, on what, and what is expected of fresh runs
change.patch      the change against the base commit, for people and `git am`
files/            the changed files as they were run
constraints.txt   the packages of the machine that measured
verify.sh         checks the base commit out and runs `swarm verify`
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import importlib.metadata
import io
import json
import lzma
import math
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from swarm import foreign
from swarm.errors import UsageError
from swarm.named_file import read_named

FORMAT = 1
SUMMARY = "capsule.json"
LARGEST = 20_000_000  # bytes of one file of a capsule
MOST = 1_000  # files
UNPACKED = 2 * LARGEST  # bytes of a capsule's tar: beside its files, what stands above each of them
SEEDS = 60_000_000  # of the first run that checks it: no run of a swarm ever has such a seed

SCRIPT = """\
#!/bin/sh
# Runs this capsule again: sh verify.sh REPOSITORY (a clone that has the base commit; see README of autoresearch-swarm)
set -eu
capsule=$(cd "$(dirname "$0")" && pwd)
[ -d "$capsule/checkout" ] || git clone --quiet "$1" "$capsule/checkout"
cd "$capsule/checkout"
git checkout --quiet --detach {base}
cd "{below}"
exec python -m swarm verify "$capsule" --seeds {seeds}
"""


@dataclass(frozen=True, slots=True)
class Capsule:
    """What capsule.json says. Numbers are in the metric's own units and direction; `gain` is better above 0. The
    interval is that of the mean of `seeds` fresh runs, in 95 of 100 cases."""

    format: int
    tag: str
    experiment: str
    title: str
    metric: str
    direction: str
    base_commit: str
    budget: float
    seeds: int
    mean: float
    low: float
    high: float
    runs: int  # that the mean is of
    fresh: bool  # whether nobody selected the experiment by these runs
    baseline: float | None
    gain: float | None
    key: Mapping[str, Any]  # the comparability key, data, device and budget among it
    files: Mapping[str, str]  # path below the project, and the SHA-256 of its content
    below: str = "."  # the project's folder in its repository


def expected(mean: float, sigma: float, runs: int, seeds: int, freedom: float) -> tuple[float, float]:
    """The 95% interval of the mean of so many fresh runs, where `mean` is of `runs`; noise known to that freedom."""
    from swarm.judge.confirm import around

    return around(mean, sigma * math.sqrt(1 / runs + 1 / seeds), freedom)


def write_capsule(place: Path, capsule: Capsule, files: Mapping[str, bytes], patch: str) -> None:
    """Writes the folder, or the tar where `place` is called so. UsageError where something is there already."""
    if place.exists():
        raise UsageError(f"{place} is there already: name another with --output")
    if place.name.endswith((".tar", ".tar.gz", ".tgz")):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / place.name.split(".tar")[0].removesuffix(".tgz")
            _write(folder, capsule, files, patch)
            with tarfile.open(place, "w" if place.suffix == ".tar" else "w:gz") as tar:
                tar.add(folder, folder.name)
        return
    _write(place, capsule, files, patch)


def _write(folder: Path, capsule: Capsule, files: Mapping[str, bytes], patch: str) -> None:
    folder.mkdir(parents=True)
    (folder / SUMMARY).write_text(json.dumps(asdict(capsule), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "change.patch").write_text(patch, encoding="utf-8")
    (folder / "constraints.txt").write_text("\n".join(_installed()) + "\n", encoding="utf-8")
    script = SCRIPT.format(base=capsule.base_commit, below=capsule.below, seeds=capsule.seeds)
    (folder / "verify.sh").write_text(script, encoding="utf-8")
    for path, content in files.items():
        target = folder / "files" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _installed() -> list[str]:
    """This Python's packages, by name and version alone: an address could be this machine's own."""
    return sorted({f"{found.name}=={found.version}" for found in importlib.metadata.distributions() if found.name})


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- reading: a capsule is somebody else's --------------------------------------------------------------------------


# By the first bytes of a compressed file, what reads it.
_COMPRESSED: Mapping[bytes, Callable[[io.BytesIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x5d\0\0": lzma.LZMAFile,
}
# What reading and unpacking raise for a file that is cut or damaged, and for numbers in it that nobody meant.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, ArithmeticError, LookupError, RecursionError, MemoryError),
    *(tarfile.TarError, lzma.LZMAError, zlib.error),
)


class _TooLarge(Exception):
    """Nobody wrote a capsule of that size."""


@contextmanager
def opened(place: Path) -> Iterator[Path]:
    """The capsule's folder; of a tar its content, in a temporary one. UsageError where it is neither."""
    if place.is_dir():
        yield place
        return
    packed = read_named(place, UNPACKED)
    with tempfile.TemporaryDirectory() as temporary:
        try:
            with tarfile.open(fileobj=io.BytesIO(_unpacked(packed)), mode="r:") as tar:
                tar.extractall(temporary, _members(tar), filter="data")
        except _TooLarge as error:
            raise UsageError(f"{place} is larger than a capsule may be") from error
        except _UNREADABLE as error:
            raise UsageError(f"{place} is no capsule: a folder or a tar that `swarm capsule` wrote") from error
        found = next(Path(temporary).glob(f"*/{SUMMARY}"), Path(temporary) / SUMMARY)
        yield found.parent


def _unpacked(packed: bytes) -> bytes:
    """The tar in what may be compressed: no more of it than it may be, as a few bytes can stand for gigabytes."""
    file = io.BytesIO(packed)
    reader = next((opened for start, opened in _COMPRESSED.items() if packed.startswith(start)), None)
    tar = (reader(file) if reader else file).read(UNPACKED + 1)
    if len(tar) > UNPACKED:
        raise _TooLarge
    return tar


def _members(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """What is in it. Looked at one by one: a size below zero leads back to where the reader comes from."""
    members: list[tarfile.TarInfo] = []
    for member in tar:
        members.append(member)
        if member.size < 0:
            raise ValueError("a size below zero")
        if len(members) > MOST or sum(member.size for member in members) > LARGEST:
            raise _TooLarge
    return members


def read_capsule(folder: Path) -> tuple[Capsule, dict[str, bytes]]:
    """What it says, and its files. UsageError where it is malformed, or was changed since it was written."""
    record = foreign.parse_object(read_named(folder / SUMMARY, LARGEST, f"{folder.name}/{SUMMARY}"))
    if record.get("format") != FORMAT:
        shown = str(record.get("format"))[:20]
        raise UsageError(f"{folder.name} is no capsule that this version reads: its format is {shown}")
    try:
        capsule = msgspec.convert(record, Capsule)
    except (msgspec.ValidationError, OverflowError) as error:
        raise UsageError(f"{folder.name}/{SUMMARY} is malformed: {str(error)[:200]}") from error
    numbers = (capsule.mean, capsule.low, capsule.high, capsule.budget)
    if not all(map(math.isfinite, numbers)) or capsule.budget <= 0 or not 2 <= capsule.seeds <= MOST:
        raise UsageError(f"{folder.name}/{SUMMARY} is malformed: its numbers make no sense")
    return capsule, {path: _content(folder, path, known) for path, known in capsule.files.items()}


def _content(folder: Path, path: str, known: str) -> bytes:
    parts = PurePosixPath(path)
    places = [folder / "files" / Path(*parts.parts[: depth + 1]) for depth in range(len(parts.parts))]
    if parts.is_absolute() or ".." in parts.parts or not places or any(place.is_symlink() for place in places):
        raise UsageError(f"{folder.name} names {path!r:.80}, which is no file of a project")
    content = read_named(places[-1], LARGEST, f"{folder.name}/files/{path}")
    if digest(content) != known:
        raise UsageError(f"{folder.name}/files/{path} is not what the capsule was written with")
    return content
