"""Finds what is researched in a repository in autoresearch's shape: from its code, which is read and never run."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from swarm.errors import UsageError

TRAIN, PREPARE, PROGRAM = "train.py", "prepare.py", "program.md"
BUDGETS = ("TIME_BUDGET", "TIME_BUDGET_SECONDS")
USUAL = "val_bpb"
BY_NAME = "by the metric's name"

_LOWER = {
    *("bpb", "bpc", "loss", "nll", "ppl", "perplexity", "error", "err", "mse", "rmse", "mae", "wer", "cer", "fid"),
    *("seconds", "time", "latency", "ms", "cost"),
}
_HIGHER = {
    *("acc", "accuracy", "auc", "score", "reward", "bleu", "rouge", "iou", "map", "psnr", "ssim", "r2"),
    *("throughput", "recall", "precision", "return", "sharpe", "winrate"),
}
_FRAME = {"training", "train", "total", "startup", "peak", "num", "step", "epoch", "budget", "lr", "elapsed"}
_HELD_OUT = {"val", "valid", "validation", "test", "eval", "dev"}
_PRINTED = re.compile(r"^[ \t]*(?:METRIC[ \t]+)?([A-Za-z_][\w./-]*)[ \t]*[:=]", re.MULTILINE)
_GREPPED = re.compile(r"grep[^\n]*?\^([A-Za-z_]\w*):")


class Found(NamedTuple):
    """A key's value and where in the repository it was found."""

    value: Any
    origin: str


def detect(root: Path, given: Mapping[str, Any]) -> dict[str, Found]:
    """The keys of a Project that are not `given`, as far as the code at `root` shows them; few without a train.py.

    UsageError, with the remedy, where a single thing is lacking that a swarm cannot do without.
    """
    editable = tuple(given.get("editable", (TRAIN,)))
    found: dict[str, Found] = {}
    if direction := direction_of(str(given.get("metric", ""))):
        found["direction"] = Found(direction, BY_NAME)
    if not all((root / path).is_file() for path in editable):
        return {key: value for key, value in found.items() if key not in given}
    found["editable"] = Found(editable, "it is there")
    fixed = _fixed(root, editable)
    if fixed:
        found["fixed"] = Found(fixed, f"what {_named(editable)} uses")
    program = next((str(place / PROGRAM) for place in _places(editable) if (root / place / PROGRAM).is_file()), PROGRAM)
    if program != PROGRAM:
        found["program"] = Found(program, f"beside {_named(editable)}")
    if budget := _budget(root, (*fixed, *editable)):
        found["budget"] = budget
    if "metric" not in given and (
        metric := _metric(
            root,
            (path for path in (*editable, *fixed) if path.endswith(".py")),
            str(given.get("program", program)),
        )
    ):
        found |= {"metric": metric, "direction": Found(direction_of(metric.value), BY_NAME)}
    elif not given.keys() & {"metric", "command"}:
        printed = [name for path in editable for name in _printed(_read(root / path)) if not _words(name) & _FRAME]
        names = f" (it prints {', '.join(dict.fromkeys(printed[:4]))})" if printed else ""
        raise UsageError(
            f"{_named(editable)} prints no metric that is known: no `{USUAL}:`, no accuracy, no loss{names};"
            ' say metric = "NAME" and direction = "lower" or "higher" in a swarm.toml'
        )
    if "command" not in given and len(editable) == 1 and PurePosixPath(editable[0]).name == TRAIN:
        found["command"] = _command(root, editable[0])
    return {key: value for key, value in found.items() if key not in given}


def direction_of(metric: str) -> str | None:
    """Whether "lower" or "higher" is better, by the metric's name; None where the name does not tell."""
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    if words & _HIGHER or any(re.fullmatch(r"f\d+", word) for word in words):
        return "higher"
    return "lower" if words & _LOWER else None


# -- one key each --------------------------------------------------------------------------------------------------


def _command(root: Path, train: str) -> Found:
    """The environment beside `train` where there is one, or the repository's; else the running interpreter's."""
    places = [root / place for place in _places((train,))]
    for python in (place / ".venv" / "bin" / "python" for place in places):
        if python.exists():
            return Found((str(python), train), "the repository's own .venv")
    for place in places:
        if (place / "uv.lock").is_file():
            lacking = "" if shutil.which("uv") else " (uv is not installed here: `python -m pip install uv`)"
            raise UsageError(
                f"{place} is run with uv and has no environment yet: run `uv sync` there first{lacking},"
                f' or say command = ["{{python}}", "{train}"] in a swarm.toml to use this Python'
            )
    return Found(("{python}", train), "this Python; there is no .venv and no uv.lock")


def _fixed(root: Path, editable: tuple[str, ...]) -> tuple[str, ...]:
    """prepare.py, and the local modules that it and the editable files import: from beside these, or from the root."""
    places = _places(editable)
    prepare = PREPARE.removesuffix(".py")
    found = dict.fromkeys(path for path in _modules(root, places, prepare) if path.endswith(".py"))
    queue = [*editable, *found]
    while queue:
        for name in _imports(_read(root / queue.pop())):
            path = next(_modules(root, places, name), None)
            if path and path not in (*editable, *found) and not any(file.startswith(f"{path}/") for file in editable):
                found[path] = None
                queue.append(path)
    return tuple(found)


def _places(editable: tuple[str, ...]) -> tuple[PurePosixPath, ...]:
    """The folders that a repository's own files are looked for in."""
    return tuple(dict.fromkeys((*(PurePosixPath(path).parent for path in editable), PurePosixPath())))


def _modules(root: Path, places: Iterable[PurePosixPath], name: str) -> Iterator[str]:
    """Where in the repository an import of `name` may lead: to a file, or to the folder of a package."""
    for place in places:
        if (root / place / f"{name}.py").is_file():
            yield str(place / f"{name}.py")
        if _is_package(root / place / name):
            yield str(place / name)


def _is_package(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.py"))


def _imports(text: str) -> Iterator[str]:
    """The first names of all imported modules."""
    for node in ast.walk(tree_of(text)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str() as module, level=0):
                yield module.partition(".")[0]


def _budget(root: Path, paths: Iterable[str]) -> Found | None:
    for path in paths:
        for name, value in assigned_budgets(_read(root / path) if path.endswith(".py") else ""):
            number = _number(value)
            if number:
                return Found(number, f"{name} in {path}")
    return None


def assigned_budgets(text: str) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of the assignments at the top of a Python file that say how long a training takes."""
    for node in tree_of(text).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in BUDGETS:
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name in BUDGETS:
                yield name, value


def _number(node: ast.expr) -> float | None:
    """The value of `300`, of `5 * 60`, and of the default in `float(os.environ.get("TIME_BUDGET", 300))`."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Constant(value=str() as text) if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            one, other = _number(left), _number(right)
            return one * other if one and other else None
        case ast.Call(args=[*_, last]):
            return _number(last)
        case ast.BoolOp(values=[*_, last]):
            return _number(last)
    return None


def _metric(root: Path, code: Iterable[str], program: str) -> Found | None:
    """The usual name wherever it is printed, or else the first printed name whose direction is known.

    What `program` tells people to look for in a log is printed too.
    """
    named = [(name, path) for path in code for name in _printed(_read(root / path))]
    named += [(name, program) for name in _GREPPED.findall(_read(root / program))]
    for name, path in named:
        if name == USUAL:
            return Found(name, f"printed by {path}")
    known = [(name, path) for name, path in named if direction_of(name) and not _words(name) & _FRAME]
    known.sort(key=lambda item: not _words(item[0]) & _HELD_OUT)  # stable: held-out metrics first, as printed
    return Found(known[0][0], f"printed by {known[0][1]}") if known else None


def _words(name: str) -> set[str]:
    return set(name.lower().split("_"))


def _printed(text: str) -> list[str]:
    """The names in what a file prints as `name: ...` or `name=...`; those of its summary block first."""
    calls = [node for node in ast.walk(tree_of(text)) if isinstance(node, ast.Call)]
    prints = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print" and call.args]
    texts = [_literal(call.args[0]) for call in sorted(prints, key=lambda call: (call.lineno, call.col_offset))]
    block = next((place for place, text in enumerate(texts) if text.strip().startswith("---")), 0)
    return [name for text in (*texts[block:], *texts[:block]) for name in _PRINTED.findall(text)]


def _literal(node: ast.expr) -> str:
    """The text of a string, with a blank for each value in it."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_literal(part) or " " for part in parts)
    return ""


# -- reading -------------------------------------------------------------------------------------------------------


def tree_of(text: str) -> ast.Module:
    """The syntax tree; an empty one for what does not parse: that is refused elsewhere, with its line."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _read(path: Path) -> str:
    return path.read_text("utf-8-sig", errors="replace") if path.is_file() else ""


def _named(paths: tuple[str, ...]) -> str:
    return ", ".join(paths)
