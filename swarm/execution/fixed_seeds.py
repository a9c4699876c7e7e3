"""Finds the seeds that are written out in code, so that people are told of noise that no run will show.

A call such as `RandomForestClassifier(random_state=42)` or `default_rng(0)` gives a program one seed for ever: it
repeats itself although it is noisy. Python is read as syntax, other languages by the usual calls.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from swarm.foreign_python import tree_of, unparsed

# Keywords, keys and names that hold a seed; `random_state` is scikit-learn's word for one, `random_seed` CatBoost's.
_NAME = re.compile(
    r"(?!n_|num_)(?:[a-z0-9]+_)*(?:seed|random_state)s?|(?:global|base|data|split|rng|random)seed", re.IGNORECASE
)
_MAKERS = {  # of generators, and the calls that seed a global one; the seed is their first argument
    *("default_rng", "RandomState", "Random", "SeedSequence", "MT19937", "PCG64", "Philox", "SFC64"),
    *(
        "PRNGKey",
        "manual_seed",
        "manual_seed_all",
        "set_seed",
        "set_random_seed",
        "seed_everything",
        "seed_all",
        "seed",
    ),
}
_RANDOM_ONLY = {"key"}  # a seed in jax.random.key(0) alone
_CALLS = re.compile(  # in C, C++, Rust, Go, Java, Julia, R, JavaScript
    r"\bsrand(?:om|48)?\s*\(\s*\d+\s*\)"
    r"|\b(?:std::)?(?:mt19937(?:_64)?|minstd_rand0?|default_random_engine|ranlux\w+|knuth_b)(?:\s+\w+)?\s*[({]\s*\d+\s*[)}]"
    r"|\bseed_from_u64\s*\(\s*\d+\s*\)|\b(?:StdRng|SmallRng|ChaCha\d+Rng)::from_seed\s*\(\s*\[\s*\d+"
    r"|\brand\.(?:NewSource|Seed|NewPCG)\s*\(\s*\d+|\bnew\s+Random\s*\(\s*\d+L?\s*\)"
    r"|\bRandom\.seed!\s*\(\s*\d+\s*\)|\b(?:MersenneTwister|Xoshiro)\s*\(\s*\d+\s*\)|\bset\.seed\s*\(\s*\d+\s*\)"
    r"|\b(?:Math\.)?seedrandom\s*\(\s*[\"'\d][^)]*\)|\bstd\.Random\.DefaultPrng\.init\s*\(\s*\d+\s*\)"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def fixed_seeds(path: str, text: str) -> tuple[str, ...]:
    """The seeds that this file writes out, as its code spells them, each once."""
    found = _in_python(text) if path.endswith(".py") else _elsewhere(text)
    return tuple(dict.fromkeys(found))


def _in_python(text: str) -> Iterator[str]:
    for node in ast.walk(tree_of(text)):
        match node:
            case ast.Call():
                yield from _in_call(node)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    match key:
                        case ast.Constant(value=str() as name) if _NAME.fullmatch(name) and _is_seed(value):
                            yield f"{name}: {unparsed(value)}"
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _NAME.fullmatch(name) and _is_seed(value):
                yield f"{name} = {unparsed(value)}"
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                if _NAME.fullmatch(name) and _is_seed(value):
                    yield f"{name} = {unparsed(value)}"
            case ast.arguments():
                yield from _defaults(node)


def _in_call(call: ast.Call) -> Iterator[str]:
    """`f(random_state=42)`, and `default_rng(0)`."""
    for keyword in call.keywords:
        if keyword.arg and _NAME.fullmatch(keyword.arg) and _is_seed(keyword.value):
            yield f"{keyword.arg}={unparsed(keyword.value)}"
    name, owner = _called(call)
    if call.args and _is_seed(call.args[0]) and (name in _MAKERS or (name in _RANDOM_ONLY and owner == "random")):
        yield f"{name}({unparsed(call.args[0])})"


def _defaults(arguments: ast.arguments) -> Iterator[str]:
    """`def f(seed=42)`."""
    plain = [*arguments.posonlyargs, *arguments.args]
    with_default = list(zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True))
    with_default += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None]
    for argument, default in with_default:
        if _NAME.fullmatch(argument.arg) and _is_seed(default):
            yield f"{argument.arg}={unparsed(default)}"


def _called(call: ast.Call) -> tuple[str, str]:
    """The last name of what is called, and the one before it."""
    match call.func:
        case ast.Name(id=name):
            return name, ""
        case ast.Attribute(attr=name, value=ast.Attribute(attr=owner) | ast.Name(id=owner)):
            return name, owner
        case ast.Attribute(attr=name):
            return name, ""
    return "", ""


def _is_seed(node: ast.expr) -> bool:
    """A whole number that is written out: True and None are none."""
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool)


def _elsewhere(text: str) -> Iterator[str]:
    for match in _CALLS.finditer(_COMMENT.sub("", text)):
        yield " ".join(match[0].split())
