"""The files of a repository that a command runs: those that it names, and what they import or run in turn."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from swarm.foreign_python import tree_of
from swarm.project.reading import LONGEST_NAME, inside, text_of

_CODE = re.compile(
    r"\.(?:py|sh|bash|[mc]?[jt]s|[jt]sx|rs|go|c|cc|cpp|cu|h|hpp|jl|[rR]|rb|pl|lua|java|exs?|php|sql|zig|swift|kt|cs)$"
)
_GUESSED = ("", ".js", ".mjs", ".ts", ".tsx", "/index.js", "/index.ts")  # what an import in JavaScript may leave out
_WORD = re.compile(r"[\w@./+-]+")
_MODULE = re.compile(r"(?:-m|import_module\()\s*[\"']?([A-Za-z_][\w.]*)")
_RECIPES = {  # what such a command reads, beside the files that it names
    "make": ("Makefile", "makefile", "GNUmakefile"),
    "just": ("justfile", "Justfile", ".justfile"),
    **dict.fromkeys(("npm", "pnpm", "yarn", "bun"), ("package.json",)),
}
_MOST = 500  # files; more are no evaluator


def is_code(path: str) -> bool:
    return bool(_CODE.search(path))


def named_by(root: Path, argv: Iterable[str]) -> list[str]:
    """The files of the repository that a command line names, scripts and modules of Python alike."""
    text = " ".join(argv)
    words = text.split()
    recipes = [name for tool, names in _RECIPES.items() if tool in words[:3] for name in names]
    modules = [_module(root, [PurePosixPath()], name) for name in _MODULE.findall(text)]
    found = [*_existing(root, PurePosixPath(), _WORD.findall(text)), *recipes, *(path for path in modules if path)]
    return list(dict.fromkeys(path for path in found if (root / path).is_file()))


def closure(root: Path, paths: Iterable[str], without: Iterable[str] = ()) -> list[str]:
    """The files themselves and what they import or name, again and again; `without` are never part of it, but what
    they import is."""
    first, left_out = list(paths), set(without)
    places = list(dict.fromkeys(PurePosixPath(path).parent for path in [*first, *left_out]))
    seen = dict.fromkeys([*first, *left_out])
    queue = list(seen)
    while queue and len(seen) < _MOST:
        path = queue.pop(0)
        for other in _used_by(root, path, places):
            if other not in seen:
                seen[other] = None
                queue.append(other)
    return [path for path in seen if path not in left_out]


def _used_by(root: Path, path: str, places: list[PurePosixPath]) -> Iterator[str]:
    text, folder = text_of(root / path), PurePosixPath(path).parent
    if path.endswith(".py"):
        yield from imported(root, path, text, places)
        return
    for name in _MODULE.findall(text):
        if found := _module(root, [*places, PurePosixPath()], name):
            yield found
    yield from (found for found in _existing(root, folder, _WORD.findall(text)) if _CODE.search(found))


def _existing(root: Path, folder: PurePosixPath, words: Iterable[str]) -> Iterator[str]:
    """Those of the words that name a file of the repository, from its root or from `folder`."""
    for word in dict.fromkeys(words):
        if not re.search(r"[A-Za-z]", word) or not ("." in word or "/" in word or len(word) > 6):
            continue
        if len(word.encode()) > LONGEST_NAME:
            continue
        for place in dict.fromkeys((PurePosixPath(), folder)):
            endings = _GUESSED if word.startswith(".") and folder == place else ("",)
            for path in (root.joinpath(place, word + ending) for ending in endings):
                if path.is_file() and (found := inside(root, path)):  # few words are files: that is looked at first
                    yield found


# -- Python --------------------------------------------------------------------------------------------------------


def imported(root: Path, path: str, text: str, places: Iterable[PurePosixPath]) -> Iterator[str]:
    """The files of the repository that a Python file imports: packages, relative imports and `src` layouts too."""
    folder = PurePosixPath(path).parent
    bases = [*dict.fromkeys((*places, folder, PurePosixPath(), PurePosixPath("src")))]
    for level, module, names in _imports(text):
        if level:
            base = folder
            for _ in range(level - 1):
                base = base.parent
            yield from _files(root, [base], module, names)
        else:
            yield from _files(root, bases, module, names)


def _imports(text: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """(dots, module, names) of every import."""
    for node in ast.walk(tree_of(text)):
        match node:
            case ast.Import(names=names):
                yield from ((0, alias.name, ()) for alias in names)
            case ast.ImportFrom(module=module, level=level, names=names):
                yield level, module or "", tuple(alias.name for alias in names)


def _files(root: Path, bases: list[PurePosixPath], module: str, names: tuple[str, ...]) -> Iterator[str]:
    parts = [part for part in module.split(".") if part]
    for base in bases:
        if parts and not ((root / base / parts[0]).is_dir() or (root / base / f"{parts[0]}.py").is_file()):
            continue
        found = [*_chain(root, base, parts)]
        found += [path for name in names for path in _chain(root, base, [*parts, name])]
        if found := [path for path in dict.fromkeys(found) if inside(root, root / path)]:
            yield from found
            return


def _chain(root: Path, base: PurePosixPath, parts: list[str]) -> Iterator[str]:
    """The file of a module, and the packages that it lies in."""
    for depth in range(len(parts) + 1):
        place = base.joinpath(*parts[:depth])
        if depth and (root / f"{place}.py").is_file():
            yield f"{place}.py"
        elif depth and (root / place / "__init__.py").is_file():
            yield str(place / "__init__.py")


def _module(root: Path, places: Iterable[PurePosixPath], name: str) -> str | None:
    """The file that `python -m NAME` runs."""
    for place in (*places, PurePosixPath("src")):
        path = place.joinpath(*name.split("."))
        for found in (f"{path}.py", str(path / "__main__.py")):
            if (root / found).is_file():
                return found
    return None
