"""Sets seed and budget in a run's own copy of a program that does not read them from its environment.

A training file that says `torch.manual_seed(42)` gives the same number every time, and replicates of it would teach
nothing; one whose prepare.py says `TIME_BUDGET = 300` trains for 300 seconds whatever is asked for. Both are found as
syntax and replaced as text, so that nothing else changes. A file that reads SWARM_SEED, or TIME_BUDGET from the
environment, is left as it is.
"""

from __future__ import annotations

import ast
import io
import tarfile
from collections.abc import Collection, Iterator

from swarm.execution.fixed_seeds import fixed_seeds
from swarm.foreign_python import tree_of
from swarm.project.code import BUDGETS, assigned_budgets
from swarm.records import Source
from swarm.text import read_text

_SEEDERS = {
    *("manual_seed", "manual_seed_all", "set_seed", "set_random_seed", "seed_everything", "seed_all"),
    *("seed",),  # random.seed, np.random.seed, mx.random.seed
}
_KEYS = {"PRNGKey"}  # jax has no global generator: the first key is the seed
SHOWN = 4  # fixed seeds that are named in one line


def with_seed_and_budget(source: Source, seed: int, budget: float) -> Source:
    """The source with the seed and, where an editable file has one, the budget of the run."""
    return Source({path: _rewritten(path, content, seed, budget) for path, content in source.files.items()})


def seed_reaches(source: Source, fixed: Source) -> bool:
    """Whether a run's seed reaches this code: it asks for it, or has a written one that is replaced."""
    return _asks_for_seed(source, fixed) or bool(_replaced_in(source))


def how_seeded(source: Source, fixed: Source) -> str:
    """How the seed of a run reaches this code, or that it does not, in one line for people."""
    if _asks_for_seed(source, fixed):
        return "the code asks for SWARM_SEED: each run has its own"
    stay = [f"{seed} in {path}" for path, seeds in _seeds_that_stay(source, fixed).items() for seed in seeds]
    few = ", ".join(stay[:SHOWN]) + (f" and {len(stay) - SHOWN} more" if len(stay) > SHOWN else "")
    if found := _replaced_in(source):
        also = f"; what else is fixed stays: {few}" if stay else ""
        return f"the one written in {', '.join(found)} is replaced in each run's own copy{also}"
    if stay:
        return (
            f"fixed in the code: {few}; every run has this one seed, so that the noise of others is never seen"
            " (a program that reads SWARM_SEED gets another for each run)"
        )
    return "none is set in the code; where repeats come out equal, noise stays unmeasured"


def unread_budget(source: Source, fixed: Source) -> str:
    """That the budget does not reach this code, in one line for people; "" where it does.

    It does where a file asks for TIME_BUDGET, or assigns it where it can be replaced.
    """
    texts = map(_text, (*source.files.values(), *fixed.files.values()))
    if any(name in text for text in texts for name in BUDGETS):
        return ""
    return "none: the code names no TIME_BUDGET, so that a run takes as long as it takes"


def _asks_for_seed(source: Source, fixed: Source) -> bool:
    """Whether any file names the variable: in Python as a text of its code, not in a comment."""
    return any(_names_seed(path, content) for path, content in (*source.files.items(), *fixed.files.items()))


def _names_seed(path: str, content: bytes) -> bool:
    written = _text(content)
    if "SWARM_SEED" not in written:
        return False
    if not path.endswith(".py"):
        return True
    texts = (node.value for node in ast.walk(tree_of(written)) if isinstance(node, ast.Constant))
    return any(isinstance(text, str) and "SWARM_SEED" in text for text in texts)


def _replaced_in(source: Source) -> list[str]:
    """The files in which a written seed is replaced."""
    return [
        path for path, content in source.files.items() if path.endswith(".py") and any(_seed_places(_text(content)))
    ]


def _seeds_that_stay(source: Source, fixed: Source) -> dict[str, tuple[str, ...]]:
    """By file, the seeds that are written out and that no run gets another of."""
    found = {}
    for path, content in (*source.files.items(), *fixed.files.items()):
        text = _text(content)
        if path in source.files and path.endswith(".py"):
            text = _text(_replaced(content, _seed_places(text), "SEED"))  # these are no numbers any more
        found[path] = fixed_seeds(path, text)
    return found


def with_budget(base: bytes, fixed: Collection[str], budget: float) -> bytes:
    """The base tree (a tar archive) with the budget in those fixed files (by their paths there) that say another."""
    changed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(base)) as old, tarfile.open(fileobj=changed, mode="w") as new:
        for member in old:
            stream = old.extractfile(member) if member.isfile() else None
            content = stream.read() if stream else None
            if content is not None and member.name in fixed and member.name.endswith(".py"):
                content = _replaced(content, _budget_places(_text(content)), f"{budget:g}")
                member.size = len(content)
            new.addfile(member, None if content is None else io.BytesIO(content))
    return changed.getvalue()


def _rewritten(path: str, content: bytes, seed: int, budget: float) -> bytes:
    if not path.endswith(".py"):
        return content
    if not _names_seed(path, content):
        content = _replaced(content, _seed_places(_text(content)), str(seed))
    return _replaced(content, _budget_places(_text(content)), f"{budget:g}")


def _seed_places(text: str) -> Iterator[ast.expr]:
    """The seeds in the calls that seed a global generator.

    Such a call stands as a statement of its own. A generator that is made with a seed of its own, and used, more
    often than not splits the data: it must stay the same.
    """
    for node in ast.walk(tree_of(text)):
        match node:
            case ast.Expr(value=ast.Call(args=[seed]) as call) if _name(call) in _SEEDERS:
                yield seed
            case ast.Expr(value=ast.Call(args=[], keywords=[keyword]) as call) if _name(call) in _SEEDERS:
                yield keyword.value
            case ast.Call(args=[seed]) if _name(node) in _KEYS or _is_jax_key(node):
                yield seed


def _is_jax_key(call: ast.Call) -> bool:
    """`jax.random.key(0)`, the newer name of PRNGKey: as a method of `random`, for many things are called key."""
    match call.func:
        case ast.Attribute(attr="key", value=ast.Attribute(attr="random") | ast.Name(id="random")):
            return True
    return False


def _budget_places(text: str) -> Iterator[ast.expr]:
    """The budgets that are written out, and not read from the environment."""
    for _, value in assigned_budgets(text):
        if not any(isinstance(node, ast.Call | ast.Subscript) for node in ast.walk(value)):
            yield value


def _text(content: bytes) -> str:
    return read_text(content).text


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _replaced(content: bytes, places: Iterator[ast.expr], text: str) -> bytes:
    """The file with these expressions written as `text`; lines stay where they are, and so does the encoding."""
    was = read_text(content)
    plain, starts = was.text.encode(), [0]  # a syntax tree counts columns in bytes of UTF-8
    for line in plain.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    left = len(plain)
    for place in sorted(places, key=lambda place: (place.lineno, place.col_offset), reverse=True):
        start = starts[place.lineno - 1] + place.col_offset
        end = starts[(place.end_lineno or place.lineno) - 1] + (place.end_col_offset or 0)
        if end <= left:  # not one that encloses another, which was replaced already
            plain, left = plain[:start] + text.encode() + plain[end:], start
    return was.encode(plain.decode())
