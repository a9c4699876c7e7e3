"""The variables that make a copy of a repository behave as the user's own checkout does: its environment is active,
its paths lead into the copy, and its tools neither ask a network that is closed nor write where they may not."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from swarm.project.environment import own_environment
from swarm.project.reading import text_of

LISTS = (  # variables that hold lists of folders to find code in
    *("PYTHONPATH", "NODE_PATH", "JULIA_LOAD_PATH", "PERL5LIB", "RUBYLIB", "R_LIBS", "CPATH", "C_INCLUDE_PATH"),
    *("CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PKG_CONFIG_PATH", "PATH"),
)
_MAPPED = re.compile(r"'([\w.-]+)': (\[[^\]]*\]|'[^']*')")  # a name, and its place or places, as setuptools writes them
OFFLINE = {  # says to tools that there is no network, so that they use what they have and do not wait
    "UV_OFFLINE": "1",
    "CARGO_NET_OFFLINE": "true",
    "GOPROXY": "off",
    "JULIA_PKG_OFFLINE": "true",
    "npm_config_offline": "true",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "PIP_NO_INDEX": "1",
}


def adapted(variables: Mapping[str, str], checkout: Path | None, copy: Path) -> dict[str, str]:
    """The variables for a run in `copy`: those that a shell in the checkout would have, with paths of what git holds
    there turned into those of the copy."""
    if checkout is None:
        return dict(variables)
    found = {name: _moved(value, checkout, copy) if name in LISTS else value for name, value in variables.items()}
    own = own_environment(checkout, variables)
    if own:
        conda = (own / "conda-meta").exists()
        found["CONDA_PREFIX" if conda else "VIRTUAL_ENV"] = str(own)
        programs = str(own / "bin")
        others = [part for part in found.get("PATH", os.defpath).split(os.pathsep) if part != programs]
        found["PATH"] = os.pathsep.join((programs, *others))
        # uv would make another environment in the copy, or change this one: it is used as it is.
        found |= {"UV_NO_SYNC": "1", "UV_FROZEN": "1", "UV_PROJECT_ENVIRONMENT": str(own)}
    editable = list(_installed_editable(own or Path(sys.prefix), checkout, copy))
    if editable:
        first = found.get("PYTHONPATH", "")
        found["PYTHONPATH"] = os.pathsep.join(dict.fromkeys((*filter(None, first.split(os.pathsep)), *editable)))
    return found


def writable_caches(folder: Path) -> dict[str, str]:
    """Variables that move what tools write into `folder`, for a run that may write nowhere else."""
    names = {
        "UV_CACHE_DIR": "uv",
        "GOCACHE": "go",
        "MPLCONFIGDIR": "matplotlib",
        "NUMBA_CACHE_DIR": "numba",
        "npm_config_cache": "npm",
        "WANDB_DIR": "wandb",
        "WANDB_CACHE_DIR": "wandb",
        "IPYTHONDIR": "ipython",
        "CUDA_CACHE_PATH": "cuda",
    }
    julia = os.environ.get("JULIA_DEPOT_PATH") or str(Path.home() / ".julia")
    moved = {name: str(folder / below) for name, below in names.items()}
    return moved | {"JULIA_DEPOT_PATH": os.pathsep.join((str(folder / "julia"), julia, ""))}  # packages are read there


def _moved(value: str, checkout: Path, copy: Path) -> str:
    return os.pathsep.join(_counterpart(part, checkout, copy) for part in value.split(os.pathsep))


def _counterpart(text: str, checkout: Path, copy: Path) -> str:
    """A path of the checkout as the copy has it; as it is, where the copy only has a link to it, or nothing."""
    path = Path(os.path.realpath(text)) if text.startswith("/") else None
    top = Path(os.path.realpath(checkout))
    if not path or not path.is_relative_to(top):
        return text
    there = copy / path.relative_to(top)
    return str(there) if there.exists() and there.resolve().is_relative_to(copy.resolve()) else text


def _installed_editable(environment: Path, checkout: Path, copy: Path) -> Iterator[str]:
    """Folders of the copy for packages that the environment takes out of the checkout (`pip install -e`, `uv sync`):
    found first, they are the run's own code and not the user's."""
    for packages in sorted(environment.glob("lib/python*/site-packages")):
        for file in sorted((*packages.glob("*.pth"), *packages.glob("__editable__*finder.py"))):
            for folder in _roots_of_paths(file) if file.suffix == ".pth" else _roots_of_finder(file):
                there = _counterpart(folder, checkout, copy)
                if there != folder:
                    yield there


def _roots_of_paths(file: Path) -> list[str]:
    """The folders that a `.pth` file names, a line each."""
    return [line for line in text_of(file).splitlines() if line.startswith("/")]


def _roots_of_finder(file: Path) -> Iterator[str]:
    """The folders to import from that stand for what a finder of setuptools maps by name. The one of `a.b` at /x/a/b is
    /x: below /x/a, `b` would hide a module of that name that belongs to Python or to somebody else."""
    for name, places in _MAPPED.findall(text_of(file)):
        for place in re.findall(r"'([^']+)'", places):
            path = Path(place.removesuffix(".py"))
            parts = tuple(name.split("."))
            if path.parts[-len(parts) :] == parts:
                yield str(path.parents[len(parts) - 1])
