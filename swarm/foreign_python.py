"""Python that others wrote, read so that nothing in it raises but where it is parsed.

An edit, or a project's own file, may hold a sum of a thousand terms or a number of 20,000 digits. Python's parser takes
them; `ast.unparse`, `ast.dump` and whatever else calls itself for each level of a tree does not, and how much of it is
too much depends on who called. So: walk with `ast.walk` or a list of what waits; where only a recursive walk will do,
ask `is_deep` before.
"""

from __future__ import annotations

import ast
import threading
import warnings

UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)  # what parsing or walking foreign code may raise
DEEPEST = 200  # levels of a tree that a recursive walk can be asked to go down, whoever asks: it has 1,000 calls

# In CPython 3.11.7, for one, all threads share the depth at which a tree is built (its issue 106905: SystemError, "AST
# constructor recursion depth mismatch"); and in all versions the filters of warnings.
_ONE_AT_A_TIME = threading.RLock()


def parse(code: bytes | str) -> ast.Module:
    """The syntax tree. One of UNREADABLE where it has none."""
    with _ONE_AT_A_TIME, warnings.catch_warnings(action="ignore"):  # of escapes in strings, which are not our business
        return ast.parse(code)


def tree_of(code: bytes | str) -> ast.Module:
    """The syntax tree; an empty one for what does not parse: that is refused elsewhere, with its line."""
    try:
        return parse(code)
    except UNREADABLE:
        return ast.Module(body=[], type_ignores=[])


def is_deep(tree: ast.AST) -> bool:
    """Whether the tree has more levels than DEEPEST."""
    level = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True


def unparsed(node: ast.AST) -> str:
    """The node as code; a word for what it is where it is too deep, or holds a number too long, to be written out."""
    if not is_deep(node):
        try:
            return ast.unparse(node)
        except (ValueError, RecursionError):
            pass
    return f"<{type(node).__name__}>"


def written(value: object) -> str:
    """A constant as it is written; a number of thousands of digits in base 16, as Python writes no other."""
    try:
        return repr(value)
    except ValueError:
        return hex(value) if isinstance(value, int) else type(value).__name__
