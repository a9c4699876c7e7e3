"""Text from outside: decoded without loss, and made fit to be stored and shown."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, cast

_MARKS = (  # byte order marks; that of UTF-16 begins that of UTF-32, which is therefore looked for first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_EARLIEST, _LATEST = -6e10, 2.5e11  # seconds since 1970: years that have four digits
_DECLARED = re.compile(rb"(?:[ \t\f]*(?:#[^\r\n]*)?\r?\n)?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")  # PEP 263
_NO_CHARACTER = ("Cc", "Cn", "Co", "Cs")  # categories of Unicode: control, not assigned, private, half of one
_NO_SOURCE = {"idna", "punycode", "utf-7", "unicode-escape", "raw-unicode-escape"}  # ASCII is not itself in them


@dataclass(frozen=True, slots=True)
class Text:
    """The content of a text file, and how its bytes are written.

    In `text` lines end in "\\n" where they all end alike (`newline`); where they do not, they are left as they are.
    """

    text: str
    encoding: str = "utf-8"
    newline: str = "\n"
    mark: bytes = b""  # the byte order mark

    @property
    def is_proper(self) -> bool:
        """Whether it is what people write, and no data: it holds no null and, where two or four bytes are a character,
        which any bytes may be taken for, nothing that is no character."""
        if self.encoding.startswith(("utf-16", "utf-32")):
            return not any(unicodedata.category(c) in _NO_CHARACTER for c in self.text if not c.isspace())
        return "\0" not in self.text

    def encode(self, text: str) -> bytes:
        """Another text written as this one was. UnicodeEncodeError where the encoding lacks one of its characters."""
        ended = text if self.newline == "\n" else text.replace("\r\n", "\n").replace("\n", self.newline)
        return self.mark + ended.encode(self.encoding)


def read_text(content: bytes) -> Text:
    """The text of a file that a person or a tool of theirs wrote: `read_text(content).encode(text)` writes it back.

    A byte order mark says the encoding, or a line as in PEP 263 (`# coding: latin-1`); else it is UTF-8, and latin-1
    where the bytes are no UTF-8. Any bytes are readable, and come back as they were.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark) and (found := _decoded(content[len(mark) :], encoding, mark)):
            return found
    declared = _DECLARED.match(content)
    for encoding in (declared[1].decode("ascii", "replace") if declared else "utf-8", "utf-8"):
        if found := _decoded(content, encoding):
            return found
    return _lines(content.decode("latin-1"), "latin-1")


def written_like(before: bytes, after: bytes) -> bytes:
    """`after` in the encoding and with the line ends of `before`, which tools that edit a file often change unasked."""
    was, now = read_text(before), read_text(after)
    if (was.encoding, was.newline, was.mark) == (now.encoding, now.newline, now.mark):
        return after
    try:
        return was.encode(now.text)
    except UnicodeEncodeError:  # it needs what the old encoding lacks
        return after


def _decoded(content: bytes, encoding: str, mark: bytes = b"") -> Text | None:
    """The content in that encoding; None where it is not in it, or would not come back as it was."""
    try:
        if codecs.lookup(encoding).name.replace("_", "-") in _NO_SOURCE:
            return None
        text = content.decode(encoding)
        return _lines(text, encoding, mark) if text.encode(encoding) == content else None
    except (LookupError, ValueError):
        return None


def _lines(text: str, encoding: str, mark: bytes = b"") -> Text:
    ends = text.count("\r\n")
    if ends and ends == text.count("\n") == text.count("\r"):
        return Text(text.replace("\r\n", "\n"), encoding, "\r\n", mark)
    return Text(text, encoding, "\n", mark)


def moment(at: float, zone: tzinfo | None = UTC) -> datetime:
    """The moment of a unix time, local where the zone is None; the nearest there is of one that no calendar has."""
    return datetime.fromtimestamp(min(max(at, _EARLIEST), _LATEST) if at == at else 0.0, zone)


def printable(text: str) -> str:
    """Text without control characters and half characters."""
    whole = text.encode("utf-8", "replace").decode()
    if whole.replace("\n", "").isprintable():
        return whole
    return "".join(c if c == "\n" or c.isprintable() else " " for c in whole)


def is_unicode(text: str) -> bool:
    """Whether the text, as of a file's name, holds no bytes that are not UTF-8."""
    return whole(text) == text


def whole(text: str) -> str:
    """Text with a mark in the place of every byte that was not UTF-8, fit to be written and shown."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _LazyPattern:
    """A regular expression by its text, until it is first used."""

    def __init__(self, text: str, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = re.compile(self._text, self._flags)
        found = {each: getattr(compiled, each) for each in dir(compiled) if not each.startswith("__")}
        self.__dict__.update(found)  # from now on nothing stands between
        return found[name]


def lazy_pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """A regular expression that is compiled when it is first used: a verb loads hundreds of them and uses a few.

    It has the methods of `re.Pattern`; functions of `re` do not take it.
    """
    return cast("re.Pattern[str]", _LazyPattern(text, flags))


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 run", "2 runs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def one_line(text: str) -> str:
    """The words of a text, one blank between any two."""
    return " ".join(text.split())
