"""Which files a text allows to edit and which it forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from swarm.text import lazy_pattern

_CHANGE = (
    r"(?:edit|modif(?:y|ies|ied)|chang(?:e|es|ing|ed)|touch|alter|mutat(?:e|es|ing)|optimi[sz]es?|tunes?)(?:s|ing)?\b"
)
_CHANGED = r"(?:edited|modified|changed|touched|altered|mutated|rewritten|editable|mutable)\b"
_DO = r"(?:edit|modify|change|touch|alter|mutate|optimi[sz]e|tune)s?\b"
_MAY = lazy_pattern(
    rf"\b(?:only|single|sole|one|the)\b[^.`]{{0,20}}\bfiles?\b[^.`]{{0,20}}\b(?:you|agents?|LLM|model|it|we|to)\b"
    rf"[^.`]{{0,15}}\b{_CHANGE}"
    rf"|\b{_DO}\s+\W*only\b|\bonly\W+(?:ever\s+)?{_DO}|\b(?:mutable|editable)\b"
    r"|\bagents? (?:edits?|modif|chang)\w*|\b(?:edit|modify) this\b|\b(?:AI|agents?|LLM)\W{1,3}only\b",
    re.IGNORECASE,
)
_FILE = "\0"  # stands for a path in a sentence, so that its full stop and its quotes end nothing
_FILES = rf"{_FILE}(?:(?:,|,? and|,? or|,? &|,? plus) ?{_FILE})*"
_ONLY_THESE = lazy_pattern(  # only `a.py` may be changed; `a.py` is what you edit, is the only file that is edited
    rf"\bonly {_FILES} (?:(?:may|can|should|must|will|to|is|are|gets?|ever|be) )+(?:{_CHANGE}|{_CHANGED})"
    rf"|{_FILES} (?:is|are) (?:what|all(?: that)?) (?:you|we|it|(?:the |an )?agents?)(?: may| can| should)? {_CHANGE}"
    rf"|\b(?:only|single|sole|one) files?\b[^.{_FILE}]{{0,30}}\b{_CHANGED}",
    re.IGNORECASE,
)
_IN_SCOPE = lazy_pattern(  # files in scope: `a.py` and `b.py`, in one line
    rf"(?<!read )(?<!read the )\b(?:files? in[- ]scope|in[- ]scope files?|editable files?|mutable files?)"
    rf"(?: is| are)?:? {_FILES}",
    re.IGNORECASE,
)
_ONLY = lazy_pattern(r"\b(?:only|single|sole|the file)\b|edits? this", re.IGNORECASE)
_IMPERATIVE = lazy_pattern(r"[\s\d.*+-]*(?:you (?:may|can|should)\s+)?(?:modify|edit)\s+\W*`", re.IGNORECASE)
_AT_TIMES = lazy_pattern(r"\bonly (?:when|if|for)\b|\bunless\b", re.IGNORECASE)
_MUST_NOT = lazy_pattern(
    rf"\b(?:do not|don['’]?t|never|must not|cannot|can['’]?t|should not|shouldn['’]?t|not allowed to|may not|not)\b"
    rf"[^.`]{{0,30}}\b(?:{_CHANGE}|{_CHANGED})|read[- ]only|\bimmutable\b|\boff[- ]limits\b|\bfrozen\b"
    r"|(?:[—–:-]\s*|\b(?:is|are|stays?|remains?) |\()(?:fixed|unchanged|untouched|as (?:it is|they are|is))\b",
    re.IGNORECASE,
)
_MAY_LIST = lazy_pattern(
    r"in[- ]scope|files? (?:in|to|you)\b|target files?|editable|writable|mutable"
    rf"|you (?:may|can|should) (?:{_CHANGE}|do)|may be (?:{_CHANGE}|{_CHANGED})|what (?:you|the agent) can",
    re.IGNORECASE,
)
_MUST_NOT_LIST = lazy_pattern(
    r"off[- ]limits|out of scope|cannot|can['’]?t|(?:do|should|must|may) not|don['’]?t|never|read[- ]only|immutable"
    r"|frozen|forbidden|protected|not allowed|\bNOT\b",
    re.IGNORECASE,
)
_ASIDE = lazy_pattern(  # said of a file in such a list that is there to be read, or that measures
    r"harness|evaluat|benchmark|instrument|reference|read[- ]only|\bscorer|do not|\bnot the\b", re.IGNORECASE
)
_SESSION = lazy_pattern(r"\bautoresearch\.(?:md|sh|jsonl|checks|ideas)")  # where an item names the loop's own files
_MEASURES = lazy_pattern(  # the name of a file that measures
    r"(?:^|/)(?:tests?|spec|bench(?:mark|e)?s?)/|(?:^|[/_.-])(?:eval|evaluate|evaluator|evaluation|bench|benchmark|harness"
    r"|score|scorer|referee|tests?)(?:[_.-]|$)",
    re.IGNORECASE,
)
_PATH = r"[\w@./*+\[\]{},-]+"
_SUFFIX = r"(?:py|md|sh|[mc]?[jt]s|[jt]sx|rs|go|c|cc|cpp|h|cu|jl|json|ya?ml|toml|txt|exs?|rb|java|sql|html|lua|zig|ini)"
_QUOTED = lazy_pattern(rf"`({_PATH})(?::\d+(?:-\d+)?)?`|\[`?({_PATH})`?\]\(|(?<![\w/.`])([\w/-]+\.{_SUFFIX})(?![\w/`])")
_TREE = lazy_pattern(r"[\s│├└─|+-]*[\w/-]+\.[a-z]{1,4}\s+[—–#<←-]")  # a file and what it is, in a drawn folder
_ITEM = lazy_pattern(r"\s*(?:(?:[-*+]|\d+[.)])\s+|\|\s*)")


@dataclass(frozen=True, slots=True)
class WrittenScope:
    """Paths as a text writes them; `sure` where it calls them the only ones to edit, `contested` those that it both
    allows and forbids to edit."""

    editable: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    sure: bool = False
    contested: tuple[str, ...] = ()


def scope_of(text: str) -> WrittenScope:
    only, may, aside, must_not = [], [], [], []
    for verdict, path in _verdicts(text):
        {"only": only, "may": may, "aside": aside, "not": must_not}[verdict].append(path)
    editable = [path for path in dict.fromkeys((*only, *may)) if path in only or path not in must_not]
    editable = editable or [path for path in dict.fromkeys(aside) if path not in must_not]
    fixed = [path for path in dict.fromkeys((*must_not, *aside)) if path not in editable]
    contested = [path for path in dict.fromkeys(may) if path in must_not and path not in only]
    return WrittenScope(tuple(dict.fromkeys(only)) or tuple(editable), tuple(fixed), bool(only), tuple(contested))


def measures(path: str) -> bool:
    """Whether a file measures, by its name: an evaluator, a benchmark, a test."""
    return bool(_MEASURES.search(path))


def _verdicts(text: str) -> Iterator[tuple[str, str]]:
    listing, fenced = "", False
    for line in _lines(text):
        if line.strip().startswith(("```", "~~~")):
            fenced = not fenced
        elif fenced and _TREE.match(line):
            yield from _of_line(line, "", item=False)
        if fenced or not line.strip():
            continue
        if line.startswith("#"):
            listing = _listing(line)
            yield from ((listing, path) for path in _paths(line) if listing)
            continue
        item = _ITEM.match(line)
        if not item and line.rstrip(" *_").endswith(":"):
            listing = _listing(line) if _listing(line) or "read" in line else listing
        elif not item and not line.startswith((" ", "\t")):
            listing = "" if not _listing(line) else listing
        yield from _of_line(line, listing, bool(item))


def _lines(text: str) -> Iterator[str]:
    """The lines of a text; what goes on with an item of a list, indented, belongs to its line."""
    whole = ""
    for line in text.splitlines():
        goes_on = (
            _ITEM.match(whole)
            and line[:1] in (" ", "\t")
            and not _ITEM.match(line)
            and not line.strip().startswith("`" * 3)
        )
        if goes_on and line.strip():
            whole += f" {line.strip()}"
            continue
        yield whole
        whole = line
    yield whole


def _listing(line: str) -> str:
    if re.search(r"^[\s\W\d]*read\b|\b(?:may|can|should) (?:also )?(?:read|consult)\b", line, re.IGNORECASE):
        return ""
    return "not" if _MUST_NOT_LIST.search(line) else "may" if _MAY_LIST.search(line) else ""


def _of_line(line: str, listing: str, item: bool) -> Iterator[tuple[str, str]]:
    """What a line says of each of its paths; what its last sentences say alone is said of those that it begins with."""
    names, rest = _leading(line)
    waiting: list[str] = []  # paths of which nothing is said yet
    found = False
    for clause in re.split(r"(?<=[\w`*)])[.;](?:\s|$)", line):
        paths = list(_paths(clause))
        verdict = _verdict(clause)
        if verdict in ("", "may") and listing == "not":
            verdict, paths = ("not", names) if item and names and not found else ("", paths)
        if verdict:
            for path in paths or names or waiting:
                found = True
                yield ("aside" if measures(path) else "only") if verdict == "scope" else verdict, path
            waiting = []
        else:
            waiting += paths
    if listing == "may" and item and not found:
        aside = _ASIDE.search(rest) or _SESSION.search(line)
        for path in names:
            yield ("aside" if aside or measures(path) else "may"), path


def _verdict(clause: str) -> str:
    if _MUST_NOT.search(clause):
        return "not"
    plain = _QUOTED.sub(_FILE, clause).replace("*", "")
    if _ONLY_THESE.search(plain):
        return "only"
    if _IN_SCOPE.search(plain):
        return "scope"
    if _MAY.search(clause):
        return "only" if _ONLY.search(clause) else "may"
    if _IMPERATIVE.match(clause):
        return "aside" if _AT_TIMES.search(clause) else "may"
    return ""


def _paths(clause: str) -> Iterator[str]:
    for quoted, linked, bare in _QUOTED.findall(clause):
        path = (quoted or linked or bare).removeprefix("./").rstrip("/.")
        if path and re.search(r"[A-Za-z]", path):
            yield from _unfolded(path)


def _unfolded(path: str) -> Iterator[str]:
    """`a/{b,c}.py` as the shell reads it: a/b.py and a/c.py."""
    if not (braces := re.search(r"\{([^{}]*,[^{}]*)\}", path)):
        yield path
        return
    for part in braces[1].split(","):
        yield from _unfolded(path[: braces.start()] + part + path[braces.end() :])


def _leading(line: str) -> tuple[list[str], str]:
    """The paths that an item of a list begins with, and what is said of them."""
    rest = line[match.end() :] if (match := _ITEM.match(line)) else line
    names = []
    while match := re.match(rf"[\s,*]*(?:and |modify |edit )?\**(?:`({_PATH})`|([\w/-]+\.{_SUFFIX})\b)\**", rest, re.I):
        names += _unfolded((match[1] or match[2]).removeprefix("./").rstrip("/."))
        rest = rest[match.end() :]
    return names, rest
