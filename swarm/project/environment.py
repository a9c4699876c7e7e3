"""The repository's own environment: where the interpreter and the packages are that its people run it with."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

FOLDERS = (".venv", "venv", "env", ".env", ".conda", ".pixi/envs/default")


def own_environment(root: Path, variables: Mapping[str, str] | None = None) -> Path | None:
    """The folder of the environment for the repository at `root`; None where it has none.

    One that is active in this shell comes before a folder of the repository, and both before what Poetry keeps
    elsewhere; not where it is the one that this program itself is installed in, which says nothing of the repository.
    """
    variables = os.environ if variables is None else variables
    active = [Path(variables[name]) for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if variables.get(name)]
    foreign = [path for path in active if not same(path, Path(sys.prefix)) and not _is_base(path)]
    candidates = [*foreign, *(root / name for name in FOLDERS), *_poetry(root)]
    return next((path for path in candidates if is_environment(path)), None)


def is_environment(path: Path) -> bool:
    """Whether a folder is an environment of virtualenv, uv, Conda or Pixi."""
    return any((path / mark).exists() for mark in ("pyvenv.cfg", "conda-meta"))


def interpreter(root: Path | None) -> str:
    """What runs the repository's Python: its own environment's interpreter, or else the one that runs this."""
    own = own_environment(root) if root else None
    python = own / "bin" / "python" if own else Path(sys.executable)
    return str(python) if python.exists() else sys.executable


def same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _is_base(path: Path) -> bool:
    """The base of Conda, which is active wherever nobody chose an environment."""
    return (path / "condabin").is_dir()


def _poetry(root: Path) -> Iterator[Path]:
    """Poetry names its environments after a hash of the folder."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(os.path.realpath(root).encode()).digest())[:8].decode()
    cache = Path(os.environ.get("POETRY_CACHE_DIR") or "~/.cache/pypoetry").expanduser()
    yield from sorted(cache.glob(f"virtualenvs/*-{digest}-py*"), reverse=True)
