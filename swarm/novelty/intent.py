"""What an idea would do, whatever its words: one spelling for knobs, numbers, opposites and synonyms. Pure text.

An idea that only turns knobs becomes `name=value`, whether it declares them or says so in its title ("halve the matrix
learning rate"): the parent's constants tell which names there are, and what half of it is. What cannot be resolved
for sure stays a sentence, in which the order of words counts: GELU in place of SiLU is not SiLU in place of GELU. What
this gate lets through twice, the code still tells (novelty.py).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from swarm.records import Idea

Known = Mapping[str, float | int | str]

_PHRASES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"\blearning rates?\b", "lr"),
        (r"\bweight decay\b|\bwd\b", "weightdecay"),
        (r"\bbatch sizes?\b|\bbs\b", "batch"),
        (r"\b(?:sequence|seq|context) (?:length|len)\b", "seqlen"),
        (r"\b(?:number of |num |n )layers?\b|\blayers\b", "depth"),
        (r"\bwarm ups?\b", "warmup"),
        (r"\bwarm downs?\b", "warmdown"),
        (r"\bsoft cap(?:ping)?\b", "softcap"),
        (r"\b(?:rope|rotary) (?:base|theta)\b", "ropebase"),
        (r"\bbeta ([12])\b", r"beta\1"),
        (r"\bunembedding\b|\blm head\b|\boutput head\b", "head"),
        (r"\bmatrices\b", "matrix"),
        (r"\b(?:in place|instead) of\b|\brather than\b", "instead"),
    )
)
_MEANING = {
    "replace": ("swap", "switch", "exchange", "substitute"),
    "remove": ("drop", "delete", "without", "disable", "no", "eliminate", "omit"),
    "add": ("introduce", "insert", "append"),
    "raise": ("increase", "higher", "larger", "bigger", "bump"),
    "lower": ("decrease", "reduce", "smaller", "shrink", "cut"),
    "embedding": ("emb", "embed"),
}
_COUNTS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SYNONYMS = {word: name for name, words in _MEANING.items() for word in words} | {
    word: str(number) for number, word in enumerate(_COUNTS, 2)
}
_FILLER = frozenset(
    ("a", "an", "the", "to", "of", "in", "on", "for", "with", "and", "or", "by", "use", "using", "try", "set", "into")
)
# Beside a number that is the new value, these say nothing more.
_MOVES = _FILLER | frozenset(
    ("raise", "lower", "change", "make", "move", "put", "turn", "from", "at", "is", "new", "now", "again")
)
_FACTORS = {"halve": 0.5, "half": 0.5, "double": 2, "triple": 3, "quadruple": 4}

_NUMBER = r"[-+]?(?:\d+\*\*\d+|\d+\^\d+|0x[0-9a-f]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
# Other signs are words too: `lr / 2` is not `lr 2`. Only punctuation says nothing.
_TOKEN = re.compile(rf"->|(?<![\w.]){_NUMBER}(?![\w*^%])|[^\W\d]\w*|[\w.^*+%-]+|[^\s\w:=,.;'\"`()\[\]{{}}!?-]+")
_POWER = re.compile(r"(\d+)(?:\*\*|\^)(\d+)")


def intent(idea: Idea, known: Known | None = None) -> str:
    """The idea without its wording: equal for two ideas that would do the same thing.

    `known` are the constants of the code that it starts from, with their values. Knobs that are declared and not among
    them belong to something new, so that the words count too.
    """
    known = known or {}
    if idea.knobs:
        names = {name: _resolved(name, known) for name in idea.knobs}
        turned = {names[name] or name.lower(): value for name, value in idea.knobs.items()}
        if not known or all(names.values()):
            return _written(turned, known)
        return f"{_sentence(idea.title)} {_written(turned, {})}"
    turned = _assignments(idea.title, known)
    return _written(turned, known) if turned else _sentence(idea.title) or idea.title


def _written(turned: Known, known: Known) -> str:
    """Knobs with their new values; one that is set to what it is already says nothing."""
    new = {name: value for name, value in turned.items() if _number(value) != _number(known.get(name))}
    return " ".join(f"{name}={_number(value)}" for name, value in sorted((new or turned).items()))


def _resolved(name: str, known: Known) -> str | None:
    """The one constant that the name means: its own, or another with the same words in any order.

    A name with its file (`config.yaml:model.lr`) says itself which one it is.
    """
    if ":" in name:
        return name.lower()
    if name.lower() in known:
        return name.lower()
    words = frozenset(_words(name))
    same = [constant for constant in known if frozenset(_words(constant)) == words]
    return same[0] if len(same) == 1 else None


# ---------------------------------------------------------------------------------------------------------------
# Titles that only turn knobs


def _assignments(title: str, known: Known) -> dict[str, float | int | str] | None:
    """The knobs that the title turns, if it says nothing else and says it plainly."""
    turned: dict[str, float | int | str] = {}
    for part in re.split(r"\band\b|[;&]|,(?!\d{3}\b)", title.lower()):
        found = _assignment(_tokens(part), known)
        if found is None or found[0] in turned:
            return None
        turned[found[0]] = found[1]
    return turned


def _assignment(tokens: list[str], known: Known) -> tuple[str, float | int | str] | None:
    numbers = [token for token in tokens if _is_number(token)]
    words = [token for token in tokens if not _is_number(token) and token not in _MOVES and token != "->"]
    factors = [_FACTORS[word] for word in words if word in _FACTORS]
    words = [word for word in words if word not in _FACTORS]
    name = _resolved(" ".join(words), known) if words else None
    if name is None:
        return _choice(words, known) if not numbers and not factors else None
    if factors:
        return _scaled(name, known[name], factors[0]) if not numbers and len(factors) == 1 else None
    return (name, numbers[-1]) if _is_new_value(numbers, tokens, known[name]) else None


def _is_new_value(numbers: list[str], tokens: list[str], current: float | int | str) -> bool:
    """Whether the last number is the new value: alone, or after the old one, which must be true; and no difference."""
    if "by" in tokens or any(number[0] in "+-" for number in numbers):
        return False
    if len(numbers) == 2:
        return numbers[0] == _number(current)
    return len(numbers) == 1 and "from" not in tokens


def _scaled(name: str, current: float | int | str, factor: float) -> tuple[str, float] | None:
    if isinstance(current, str) or not current or (isinstance(current, int) and current * factor % 1):
        return None
    return name, current * factor


def _choice(words: list[str], known: Known) -> tuple[str, str] | None:
    """A knob that is a word, with its new one: `activation gelu`."""
    for name, current in known.items():
        rest = [word for word in words if word not in _words(name)]
        if isinstance(current, str) and len(rest) == 1 and len(words) == 1 + len(_words(name)):
            return name, rest[0]
    return None


# ---------------------------------------------------------------------------------------------------------------
# Words


def _sentence(title: str) -> str:
    """The words that carry the meaning, in their order; a replacement always as `old -> new`."""
    # `by 0.1` is another thing than `to 0.1`.
    said = [
        token
        for token, after in pairwise([*_tokens(title), ""])
        if token not in _FILLER or (token == "by" and _is_number(after))
    ]
    return " ".join(_replacement(said) or (token for token in said if token != "->"))


def _replacement(tokens: list[str]) -> Iterator[str] | None:
    """`replace relu gelu`, `gelu instead relu` and `relu -> gelu`, in one form. None for anything longer."""
    if any(map(_is_number, tokens)):
        return None
    match [token for token in tokens if token != "from"]:
        case ["replace", old, new] | ["replace", old, "->", new] | [old, "->", new] | [new, "instead", old]:
            return iter((old, "->", new))
        case ["change", old, new]:
            return iter((old, "->", new))
    return None


@functools.lru_cache(maxsize=1024)
def _words(name: str) -> tuple[str, ...]:
    """The words of a constant's name, as titles are read."""
    return tuple(token for token in _tokens(name) if token not in _FILLER)


def _tokens(text: str) -> list[str]:
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.lower())
    plain = re.sub(r"(?<=[^\W\d])[_-](?=\w)|(?<=\w)[_-](?=[^\W\d])", " ", _kept_exponents(plain)).replace("→", " -> ")
    plain = " ".join(plain.split())
    for pattern, name in _PHRASES:
        plain = pattern.sub(name, plain)
    return [_number(_singular(_SYNONYMS.get(token, token))) for token in map(_bare, _TOKEN.findall(plain)) if token]


def _kept_exponents(text: str) -> str:
    """`4e-2` as a plain number, before its minus is taken for a hyphen."""
    return re.sub(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)e[-+]?\d+(?!\w)", lambda found: _number(found[0]), text)


def _bare(token: str) -> str:
    return token if token == "->" else token.rstrip(".")


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "suia" and word.isalpha() else word


def _is_number(token: str) -> bool:
    return re.fullmatch(_NUMBER, token) is not None


def _number(value: object) -> str:
    """One spelling per number: 0.040 and 4e-2 are the same, 2**18 and 262144, 1 and 1.0."""
    text = str(value).lower()
    power = _POWER.fullmatch(text)
    try:
        number = float(power[1]) ** float(power[2]) if power else int(text, 16) if text[:2] == "0x" else float(text)
    except (ValueError, OverflowError):
        return text
    return f"{'+' if text[0] == '+' else ''}{number:.12g}"
