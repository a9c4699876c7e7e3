"""The plain-text protocol for models without tool calls: ideas and edits as fenced blocks, read strictly.

What a block says becomes the call of a tool (swarm/researchers/llm/tools.py), so nothing else has to know of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from swarm.researchers.llm.models.protocol import Call

PROTOCOL = """\
# How you answer

You have no tools. Where this text names tools, write a fenced block; nothing outside of blocks is read, and nothing of
a block that is not as shown here. An answer holds one of these four:

1. Until you are told that the idea is yours, one idea:

```idea
title: what is changed, in one line
why: which quantity moves, by which mechanism, by how much
category: a word or two
```

2. Once you are told that the idea is yours, the whole edit in one answer. It is submitted as it is. There may be more
pieces in a block, and several blocks. Each SEARCH piece must occur exactly once in the file, letter by letter; take
enough lines around it. An empty one makes a new file, where new files may be made.

```edit path/of/the/file.py
<<<<<<< SEARCH
learning_rate = 0.1
=======
learning_rate = 0.2
>>>>>>> REPLACE
```

3. To look before you decide, a file, or what others have tried:

```read path/of/the/file.py
```

```search learning rate
```

4. Where the idea cannot be made to work:

```give_up
why
```"""

_FENCE = re.compile(r"\s*(?P<fence>`{3,}|~{3,})[ \t]*(?P<kind>[\w+.-]*)[ \t]*(?P<rest>.*?)\s*")
_SEARCH, _MIDDLE, _REPLACE = (re.compile(mark) for mark in (r"<{7} SEARCH\s*", r"={7}\s*", r">{7} REPLACE\s*"))
_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_FIELDS = {"title": "title", "why": "rationale", "rationale": "rationale", "category": "category", "again": "again"}
_FIELD = re.compile(r"\s*(?P<name>title|why|rationale|category|again)\s*:\s*(?P<value>.*)", re.IGNORECASE)

Piece = dict[str, str]


class Unreadable(Exception):
    """An answer that is not as the protocol wants it, with the reason for the model."""


def read_calls(text: str) -> tuple[Call, ...]:
    """What an answer asks for, in its order. Unreadable where a block is malformed, or none is there."""
    calls: list[Call] = []
    edits: list[Piece] = []
    for kind, rest, lines in _blocks(_THOUGHT.sub("", text).splitlines()):
        if kind == "edit":
            edits += _pieces(rest, lines)
        else:
            calls.append(Call(f"{kind}-{len(calls) + 1}", *_READERS[kind](rest, lines)))
    if edits:
        calls.append(Call("edit", "submit_edits", {"edits": edits}))
    if not calls:
        raise Unreadable("there is no block of idea, edit, read, search or give_up in your answer")
    return tuple(calls)


def _blocks(lines: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Each known block: its kind, what stands behind that, and its lines. Others, as of examples, are passed over."""
    place = 0
    while place < len(lines):
        opened = _FENCE.fullmatch(lines[place])
        place += 1
        if opened is None:
            continue
        kind, fence = opened["kind"].lower(), opened["fence"]
        inside, end = _inside(lines, place, fence, kind == "edit")
        if kind in KINDS:
            if end == len(lines):
                raise Unreadable(f"the block {kind} does not end: close it with {fence} on a line of its own")
            yield kind, opened["rest"], inside
        place = end + 1


def _inside(lines: list[str], first: int, fence: str, edit: bool) -> tuple[list[str], int]:
    """The lines up to the one that closes the fence, and the place of that. In a piece of an edit nothing closes it."""
    in_piece = False
    for place in range(first, len(lines)):
        line = lines[place]
        if edit and _SEARCH.fullmatch(line):
            in_piece = True
        elif edit and _REPLACE.fullmatch(line):
            in_piece = False
        elif not in_piece and _closes(line, fence):
            return lines[first:place], place
    return lines[first:], len(lines)


def _closes(line: str, fence: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(fence) and set(bare) == {fence[0]}


def _pieces(path: str, lines: list[str]) -> list[Piece]:
    """The pieces of an edit block."""
    if not path:
        raise Unreadable("an edit block must name its file behind the word edit")
    pieces: list[Piece] = []
    parts: list[list[str]] = []
    for line in lines:
        if _SEARCH.fullmatch(line) and not parts:
            parts = [[]]
        elif _MIDDLE.fullmatch(line) and len(parts) == 1:
            parts.append([])
        elif _REPLACE.fullmatch(line) and len(parts) == 2:
            pieces.append({"path": path, "old": "\n".join(parts[0]), "new": "\n".join(parts[1])})
            parts = []
        elif parts:
            parts[-1].append(line)
        elif line.strip():
            raise Unreadable("an edit block holds pieces only: <<<<<<< SEARCH, =======, >>>>>>> REPLACE")
    if parts or not pieces:
        raise Unreadable("a piece of an edit needs its three marks: <<<<<<< SEARCH, =======, >>>>>>> REPLACE")
    return pieces


def _idea(rest: str, lines: list[str]) -> tuple[str, object]:
    """Its fields; a line that begins none goes on with the one before."""
    said: dict[str, list[str]] = {}
    last = ""
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field:
            last = _FIELDS[field["name"].lower()]
            said.setdefault(last, []).append(field["value"])
        elif last:
            said[last].append(line)
    fields = {name: "\n".join(parts).strip() for name, parts in said.items()}
    if not fields.get("title"):
        raise Unreadable("an idea block needs a line that begins with title:")
    return "submit_idea", {"rationale": "", "category": ""} | fields


def _read(rest: str, lines: list[str]) -> tuple[str, object]:
    return "read_file", {"path": rest or "".join(lines).strip()}


def _search(rest: str, lines: list[str]) -> tuple[str, object]:
    return "search_findings", {"query": rest or " ".join(lines).strip()}


def _give_up(rest: str, lines: list[str]) -> tuple[str, object]:
    return "give_up", {"reason": " ".join([rest, *lines]).strip() or "no reason given"}


_READERS: Mapping[str, Callable[[str, list[str]], tuple[str, object]]] = {
    "idea": _idea,
    "read": _read,
    "search": _search,
    "give_up": _give_up,
}
KINDS = frozenset({*_READERS, "edit"})
