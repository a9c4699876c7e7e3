"""HTML that is safe by construction: every string is text, until this module made it markup.

Titles, rationales, diffs, logs and transcripts come from agents and their code. They become part of a page only as the
text of an element or the value of an attribute, escaped here and nowhere else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from swarm.wording.formatting import clean_block

_CODE = re.compile(r"`([^`]*)`|\\(.)|\*\*")
_NEVER = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_PLAIN = re.compile(r"[\w .,:;/#()+=%*|\n-]*", re.ASCII)  # most of a page; nothing in it needs a look
_VOID = frozenset({"meta", "input", "link", "br", "hr", "circle", "path", "polyline", "line", "rect", "polygon"})
_IN_SVG = frozenset({"circle", "path", "polyline", "line", "rect", "polygon"})


class Html(str):
    """Markup that this module wrote."""

    __slots__ = ()


Child = str | Iterable["Child"] | None


def el(name: str, /, *children: Child, **attributes: object) -> Html:
    """An element. Attributes are named as in HTML, with `_` for `-` and a trailing `_` where Python has the word
    (`class_`, `for_`); None and False leave one out, True gives it without a value."""
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}{'/' if name in _IN_SVG else ''}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child], between: str = "") -> Html:
    """Markup as it is, anything else as text; what is None is left out."""
    return Html(_text(between).join(_markup(child) for child in children if child is not None))


def inline(markdown: str) -> Html:
    """A sentence of ours in Markdown, with `code` spans and backslashes: what it escapes there is text here."""
    parts, place = [], 0
    for found in _CODE.finditer(markdown):
        parts.append(_text(markdown[place : found.start()]))
        if found[1] is not None:
            parts.append(el("code", found[1]))
        elif found[2] is not None:
            parts.append(_text(found[2]))
        place = found.end()
    return Html("".join([*parts, _text(markdown[place:])]))


def block(text: str, most: int) -> str:
    """Text of many lines without escape sequences, at most `most` characters of its beginning."""
    whole = clean_block(text).strip("\n")
    return whole if len(whole) <= most else f"{whole[:most].rsplit(chr(10), 1)[0]}\n…"


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{_text(str(value))}"'


def _markup(child: Child) -> str:
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return _text(child)
    return "".join(_markup(each) for each in child or ())


def _text(text: str) -> str:
    """Escaped, and without characters that no page may hold or that turn the text around them."""
    if _PLAIN.fullmatch(text):
        return text
    return html.escape(_NEVER.sub("", text))
