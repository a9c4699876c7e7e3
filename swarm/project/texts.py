"""What people wrote for agents, in program.md, README.md and their like: the metric, its direction, the files, the
commands. Everything is what a sentence says; whether it fits the repository is for look.py to see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from swarm.project.commands import SETTING_UP, without_log
from swarm.project.directions import HIGHER, LOWER, direction_of, is_time_or_resource, read_direction
from swarm.project.reading import text_of
from swarm.project.scope import WrittenScope, scope_of
from swarm.text import lazy_pattern

LEADING = ("autoresearch.md", "program.md")
NAMES = ("program.md", "README.md", "CLAUDE.md", "AGENTS.md")

_NAME = r"[A-Za-z_][\w@./-]*[\w@]"
_QUOTED = rf"[`*\"]+({_NAME}(?:(?: [\w@./-]+){{1,2}}(?=`))?)[`*\"]+"  # as code it may hold blanks: `valid rmse`
_BARE = rf"[`*\"]*({_NAME})"
_QUOTES = set("`*\"'^")
_SMALL = r"(?:the |your |our |a |mean |final |overall |average |best |possible )*"
_WAYS = {
    LOWER: r"(?:lower|smaller|less|fewer)(?:(?: is|\s*=)? ?\*{0,2}better|,? the better)|↓|should (?:go down|fall)",
    HIGHER: r"(?:higher|larger|bigger|greater|more)(?:(?: is|\s*=)? ?\*{0,2}better|,? the better)|↑"
    r"|should (?:go up|rise)",
}
_PRIMARY = (  # plainly the metric
    re.compile(rf"\bprimary(?: metric)?[`*]*\s*(?:\([^)\n]*\)\s*)?(?:[:—–-]|is\b)[\s*:-]*{_BARE}", re.IGNORECASE),
    re.compile(
        r"\b(?:primary|main|target|key|official|headline|optimi[sz]ation|only) metric[`*]*[\s:=(—–-]*"
        rf"(?:is|named|called)?[\s:]*{_QUOTED}",
        re.IGNORECASE,
    ),
    re.compile(rf"\bmetric[`*]*\s*(?:is|to optimi[sz]e is|:)\s*{_SMALL}{_QUOTED}", re.IGNORECASE),
    re.compile(rf"{_QUOTED}[^.\n`]{{0,60}}?\b(?:optimi[sz]ation target|primary metric)", re.IGNORECASE),
    re.compile(rf"\b(?:number|figure|value|score|result) that (?:counts|matters)\W+(?:is\W+)?{_SMALL}{_QUOTED}", re.I),
)
_PRIMARY_IN_PROSE = lazy_pattern(
    r"\b(?:primary|main|target|key|official|headline) (?:metric|number|figure)\b([^.\n]{0,120})", re.IGNORECASE
)
_GOALS = (  # what is to be improved, among other things maybe
    re.compile(rf"\b(?:maximi[sz]|minimi[sz]|optimi[sz])(?:e|es|ing)\s+{_SMALL}{_QUOTED}", re.IGNORECASE),
    re.compile(rf"\b(?:lowest|highest)\s+{_SMALL}[`*\"]*((?:[A-Za-z]+_)+\w+)", re.IGNORECASE),
    re.compile(rf"\b(?:lower|higher|smaller|larger|fewer|more)\s+{_SMALL}{_QUOTED}\s+(?:is|are|=)\s+better", re.I),
)
_BETTER = lazy_pattern(  # of which it is said which way is better; a look ahead, so that a file before it hides no name
    rf"(?={_QUOTED}(?:[^.\n]|\.(?! )){{0,60}}?(?:{_WAYS[LOWER]}|{_WAYS[HIGHER]}))", re.IGNORECASE
)
_DENIED = lazy_pattern(r"\b(?:instead of|no longer|not|never|rather than|without)\b[^.;\n]*$", re.IGNORECASE)
_GREP = lazy_pattern(r"""\b(?:[ef]?grep|rg)\b((?:[^\n`|;"']|"[^"\n]*"|'[^'\n]*')*)""")
_GREPPED = lazy_pattern(rf"(?:\^\s*(?:METRIC )?({_NAME})(?:[:=]|\\s|\s|\[|$)|(?:METRIC )?({_NAME})(?:[:=]|\\s|\s*\[))")
_NO_METRIC = lazy_pattern(
    r"(?:init|run|log)_experiment|.*\.(?:py|md|tsv|csv|json|jsonl|toml|ya?ml|txt|log|sh|js|ts|rs|go|c|cpp|jl|npy|pt)|.*/.*/.*|the|and|or|is|on"
    r"|(?:minimi|maximi|optimi|lower|higher|improve|reduce|increase)\w* .*|.* (?:is|are|the|a|of|to|and|or|in|for) .*",
    re.IGNORECASE,
)

_RUNS = lazy_pattern(
    r"(?:cd \S+ && )?(?:[A-Z_]+=\S+ )*(?:\S*/)?(?:python[\d.]*|uv run|bash|sh|node|npm (?:run|test)|npx|bun|deno"
    r"|pnpm|yarn|cargo (?:run|bench)|make|just|go (?:run|test)|julia|Rscript|poetry run|pixi run|ruby)\s+\S"
    r"|(?:[A-Z_]+=\S+ )*\./\S*\w(?:\s|$)"
)
_ASKS_TO_RUN = lazy_pattern(
    r"\b(?:run|execute)(?: it)?:? `|\b(?:build|run|evaluate|measure|score|benchmark|test)\w*"
    r"(?: (?:it|them|yours?|everything))? (?:with|by|via|using):? `"
    r"|` (?:then )?(?:prints|reports|outputs|measures|scores|evaluates|shows)\b"
    r"|\b(?:launch|how to run|run (?:it|them|the|an|one|each|your|this)?\s*"
    r"(?:experiments?|training|benchmarks?|evaluations?|evaluator|eval|loop|script|backtest)\b|run:|run\s*$|to run\b"
    r"|evaluate (?:it|with|your)|measure)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Run:
    """A command that a text tells people to run. `strength` grows with how plainly it is the one that measures."""

    line: str
    strength: int
    fenced: bool = False  # it stands in a code block


@dataclass(frozen=True, slots=True)
class Said:
    """What one text says."""

    path: str
    text: str
    metrics: tuple[str, ...]
    goals: tuple[str, ...]
    better: tuple[str, ...]
    scope: WrittenScope
    runs: tuple[Run, ...]

    @property
    def leads(self) -> bool:
        """Whether the text is about the research, and not about the repository."""
        return PurePosixPath(self.path).name in LEADING


def read_said(root: Path, path: str) -> Said | None:
    text = text_of(root / path)
    if not text.strip():
        return None
    return Said(path, text, metrics_of(text), goals_of(text), better_of(text), scope_of(text), tuple(runs_of(text)))


# -- the metric ----------------------------------------------------------------------------------------------------


def metrics_of(text: str) -> tuple[str, ...]:
    """The names that a text calls the metric, or tells people to look for in a log; those of both kinds, if any."""
    primary = _plausible(match for pattern in _PRIMARY for match in pattern.finditer(text))
    grepped = _grepped(text)
    both = [name for name in primary if name in grepped]
    return _measures(both or _told_in_prose(text, grepped) or [*primary, *grepped])


def _told_in_prose(text: str, grepped: list[str]) -> list[str]:
    """The one of the grepped names that a sentence about the primary metric names in its words: "the Sharpe ratio"."""
    sentences = [match[1].lower() for match in _PRIMARY_IN_PROSE.finditer(text)]
    told = [
        name
        for name in dict.fromkeys(grepped)
        if any(re.search(rf"\b{re.escape(name.lower().replace('_', ' '))}\b", said) for said in sentences)
    ]
    return told if len(told) == 1 else []


def _grepped(text: str) -> list[str]:
    """The names at the beginning of what a text looks for in a log; where one is ever looked for alone, only such.

    Of `grep "^a:\\|^b:"` these are both.
    """
    calls = [list(dict.fromkeys(_names_in(call[1]))) for call in _GREP.finditer(text)]
    alone = [names for names in calls if len(names) == 1 and not is_time_or_resource(names[0])]
    return list(dict.fromkeys(name for names in alone or calls for name in names))


def _names_in(arguments: str) -> Iterator[str]:
    """The names that a call of grep looks for, of those that look like one."""
    for pattern in re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'", arguments):
        for part in _alternatives("".join(pattern)):
            match = _GREPPED.match(part)
            name = (match[1] or match[2]).rstrip("./-") if match else ""
            if name and not _NO_METRIC.fullmatch(name) and ("_" in name or "@" in name or direction_of(name)):
                yield name


def _alternatives(pattern: str) -> list[str]:
    """The patterns between the bars of one, and of a group in it, written for grep or for grep -E."""
    plain = pattern.replace(r"\|", "|").replace(r"\(", "(").replace(r"\)", ")")
    if group := re.fullmatch(r"([^()]*)\(([^()]*)\)([^()]*)", plain):
        return [group[1] + part + group[3] for part in group[2].split("|")]
    return plain.split("|")


def goals_of(text: str) -> tuple[str, ...]:
    """The names that a text says to maximise or minimise."""
    return _measures(_plausible(match for pattern in _GOALS for match in pattern.finditer(text)))


def better_of(text: str) -> tuple[str, ...]:
    """The names of which a text says whether lower or higher is better; there may be many."""
    return tuple(_plausible(_BETTER.finditer(text)))


def _measures(names: list[str]) -> tuple[str, ...]:
    """Without times and resources, where there is anything else."""
    return tuple(dict.fromkeys([name for name in names if not is_time_or_resource(name)] or names))


def _plausible(found: Iterator[re.Match[str]]) -> list[str]:
    """The names that look like one: in quotes, of several words, or known."""
    kept = {}
    for match in found:
        if _DENIED.search(match.string[max(0, match.start() - 30) : match.start()]):
            continue
        name = match[1].rstrip("./-")
        around = match.string[match.start(1) - 1], match.string[match.end(1) : match.end(1) + 1]
        plain = ({*around} <= _QUOTES or "_" in name or "@" in name) and " " not in name
        if not _NO_METRIC.fullmatch(name) and (plain or direction_of(name)):
            kept[name] = None
    return list(kept)


# -- its direction -------------------------------------------------------------------------------------------------

_WORDS = {LOWER: rf"{_WAYS[LOWER]}|\bminimi[sz]e", HIGHER: rf"{_WAYS[HIGHER]}|\bmaximi[sz]e"}
_VERBS = {
    LOWER: r"\b(?:minimi[sz](?:e|es|ing)|lowest|smallest)|(?:^\W*|[.:]\s|\bto\s)(?:reduce|decrease|lower)",
    HIGHER: r"\b(?:maximi[sz](?:e|es|ing)|highest|largest)|(?:^\W*|[.:]\s|\bto\s)(?:increase|raise)",
}


def goal_directions(text: str) -> set[str]:
    """Which ways a text tells people to go, whatever it is of."""
    return {direction for direction in (LOWER, HIGHER) if re.search(rf"{_WORDS[direction]}", text, re.IGNORECASE)}


def said_of(text: str, metric: str) -> set[str]:
    """The directions that a text gives to this metric: by a verb before its name, or by the first such words after."""
    name = _named(metric)
    flags = re.IGNORECASE | re.MULTILINE
    said = {
        direction
        for direction, verbs in _VERBS.items()
        if re.search(rf"(?:{verbs})\s+(?:\w+\s+){{0,2}}[`*\"]*{name}", text, flags)
    }
    either = rf"{name}[`*\"]*[^`\n]{{0,80}}?(?:(?P<lower>{_WORDS[LOWER]})|(?P<higher>{_WORDS[HIGHER]}))"
    said |= {str(match.lastgroup) for match in re.finditer(either, text, flags)}
    listed = re.finditer(rf"{name}[^\n]*?(?:\n[^\n]+?){{0,4}}?\bdirection\b[`*]*\s*[:=][\s`*\"]*(\w+)", text, flags)
    return said | {direction for match in listed if (direction := read_direction(match[1]))}


def said_around(text: str, metric: str) -> set[str]:
    """The directions that those parts of a text speak of, between two headings, that name this metric."""
    parts = [part for part in re.split(r"^#+ .*$", text, flags=re.MULTILINE) if re.search(_named(metric), part)]
    return {key for key, words in _WORDS.items() if any(re.search(words, part, re.IGNORECASE) for part in parts)}


def _named(metric: str) -> str:
    return rf"(?<!\w){re.escape(metric)}(?!\w)"


# -- the command ---------------------------------------------------------------------------------------------------


def runs_of(text: str) -> Iterator[Run]:
    """The commands in a text, in inline code and in code blocks, without what sets up, tests or draws."""
    fenced, lead = False, ""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        bare = line.strip()
        if bare.startswith(("```", "~~~")):
            fenced = not fenced
            continue
        spans = [bare.removeprefix("$ ")] if fenced else re.findall(r"`([^`\n]+)`", line)
        for span in spans:
            command = without_log(span.partition("  #")[0])
            if _RUNS.match(command) and not SETTING_UP.search(command):
                to_log = command != span.partition("  #")[0].strip() and "git " not in command
                asked = bool(_ASKS_TO_RUN.search(lead if fenced else line))
                yield Run(command, 2 * to_log + asked, fenced)
        if bare and not fenced:
            lead = bare
