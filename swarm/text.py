"""Text from outside, made fit to be stored and shown."""

from __future__ import annotations


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


def one_line(text: str) -> str:
    """The words of a text, one blank between any two."""
    return " ".join(text.split())
