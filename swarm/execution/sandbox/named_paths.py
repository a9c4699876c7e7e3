"""The paths that code names in string literals: what it may open. Python by its syntax, other languages by tokens."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from swarm.foreign_python import tree_of
from swarm.project.reading import LONGEST_NAME

LONGEST = 300  # characters of a path that is looked at
_DEEPEST = 50  # calls and slashes that one path is joined of
_QUOTED = re.compile(r"""["'`]([^"'`\n\\]{1,300})["'`]""")
_WORD = re.compile(r"(?<![\w./~-])(?:~|\.{1,2})?/?[\w.@+-]+(?:/[\w.@+-]+)*/?")
_WRITES = re.compile(r"save|dump|write|to_csv|to_parquet|to_json|to_pickle|mkdir|makedirs|rmtree|unlink|remove|touch")


def named_paths(text: str, python: bool) -> Iterator[str]:
    """What may be a path among the literals of a file, in their order; of Python not what is plainly written to."""
    if python:
        yield from _of_python(tree_of(text))
        return
    yield from (word for word in _QUOTED.findall(text) if _may_be_path(word))


def words(line: str) -> Iterator[str]:
    """What may be a path in a line of a log: what is quoted, and what has a slash or a dot."""
    quoted = _QUOTED.findall(line[:2000])[:20]
    yield from filter(_may_be_path, quoted)
    for word in _WORD.findall(line[:2000])[:40]:
        word = word.rstrip(".,:;")
        if ("/" in word or "." in word.strip(".")) and _may_be_path(word):
            yield word


def _of_python(tree: ast.AST) -> Iterator[str]:
    written = {id(inner) for node in ast.walk(tree) if _is_writing(node) for inner in ast.walk(node)}
    taken: set[int] = set()
    for node in ast.walk(tree):
        is_join = isinstance(node, (ast.BinOp, ast.Call)) and id(node) not in written | taken
        parts = _joined(node) if is_join else []
        if len(parts) > 1:
            taken.update(id(inner) for inner in ast.walk(node))
            yield "/".join(part.strip("/") if place else part.rstrip("/") for place, part in enumerate(parts))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in written | taken:
            yield from filter(_may_be_path, (node.value,))


def _joined(node: ast.AST, levels: int = _DEEPEST) -> list[str]:
    """The literal parts at the end of `ROOT / "a" / "b"` and `os.path.join(HERE, "a", "b")`: what they begin with, if
    it is no literal, is mostly the repository's folder or the file's own."""
    if not levels:
        return []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        right = _joined(node.right, levels - 1)
        return [*_joined(node.left, levels - 1), *right] if right else []
    if isinstance(node, ast.Call) and not node.keywords:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        parts: list[str] = []
        for argument in node.args if name in ("Path", "PurePath", "join") else ():
            found = _joined(argument, levels - 1)
            parts = [*parts, *found] if found else []
        return parts
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _may_be_path(node.value):
        return [node.value]
    return []


def _is_writing(node: ast.AST) -> bool:
    """A call that writes to what it names: `save(...)`, `open(..., "w")`."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    mode = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
    modes = [argument.value for argument in mode if isinstance(argument, ast.Constant)]
    return bool(_WRITES.search(name)) or (
        name == "open" and any(isinstance(value, str) and set(value) & set("wax") for value in modes)
    )


def _may_be_path(text: str) -> bool:
    return (
        0 < len(text) <= LONGEST
        and text.isprintable()
        and not text.isspace()
        and "://" not in text
        and not set(text) & set("*?{}<>|\0")
        and text.strip("./") != ""
        and all(len(part.encode()) <= LONGEST_NAME for part in text.split("/"))
    )
