"""Sources, and edits of one number each in a real train.py."""

from __future__ import annotations

import ast
from pathlib import Path

from hypothesis import strategies as st

from swarm.novelty.code import fingerprint
from swarm.records import Source

TRAINER = (Path(__file__).parents[2] / "trainer" / "train.py").read_text()


def code(text: str | bytes, path: str = "train.py") -> Source:
    return Source({path: text.encode() if isinstance(text, str) else text})


def same(first: str | bytes, second: str | bytes, path: str = "train.py") -> bool:
    return fingerprint(code(first, path)) == fingerprint(code(second, path))


def literals() -> list[ast.Constant]:
    """The numbers in train.py that are no operands of plain arithmetic: an edit of one is an edit of its own."""
    tree = ast.parse(TRAINER)
    folded = {
        id(side)
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp | ast.UnaryOp)
        for side in ((node.left, node.right) if isinstance(node, ast.BinOp) else (node.operand,))
    }
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
        and id(node) not in folded
    ]


LITERALS = literals()
EDITS = st.tuples(st.integers(0, len(LITERALS) - 1), st.integers(0, 10**6) | st.floats(0, 1e6))


def edited(edit: tuple[int, float]) -> str:
    node, lines = LITERALS[edit[0]], TRAINER.encode().splitlines(keepends=True)
    line = lines[node.lineno - 1]
    lines[node.lineno - 1] = line[: node.col_offset] + repr(edit[1]).encode() + line[node.end_col_offset :]
    return b"".join(lines).decode()
