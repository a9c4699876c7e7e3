"""A person's text file is read whatever wrote it, and an edit leaves its encoding and its line ends as they are."""

from __future__ import annotations

import codecs
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm.text import lazy_pattern, read_text, written_like

WORDS = "größe = 1\nzweite = 2\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (WORDS.encode(), "utf-8"),
        (codecs.BOM_UTF8 + WORDS.encode(), "utf-8"),
        (codecs.BOM_UTF16_LE + WORDS.encode("utf-16-le"), "utf-16-le"),  # as a PowerShell redirects
        (codecs.BOM_UTF16_BE + WORDS.encode("utf-16-be"), "utf-16-be"),
        (codecs.BOM_UTF32_LE + WORDS.encode("utf-32-le"), "utf-32-le"),
        (WORDS.encode("latin-1"), "latin-1"),
        (WORDS.replace("\n", "\r\n").encode(), "utf-8"),
    ],
)
def test_the_same_words_in_every_encoding(content, encoding):
    read = read_text(content)
    assert (read.text, read.encoding) == (WORDS, encoding)
    assert read.encode(WORDS.replace("2", "3\n")) == content.replace(
        "2".encode(encoding), ("3" + read.newline).encode(encoding)
    )


@pytest.mark.parametrize("first", [b"", b"#!/usr/bin/env python\n", b"\n", b"#!/bin/sh\r\n"])
def test_a_declared_encoding_holds_as_python_itself_reads_it(first):
    content = first + b"# -*- coding: cp1250 -*-\nname = '\xb9'\n"
    read = read_text(content)
    assert read.encoding == "cp1250" and "name = 'ą'" in read.text and read.encode(read.text) == content
    assert read_text(b"x = 1\n" + content).encoding == "latin-1"  # below code it declares nothing


@pytest.mark.parametrize("name", ["rot13", "punycode", "utf-7", "idna", "utf-16", "unicode_escape", "none-such", "hex"])
def test_a_declared_encoding_that_would_change_the_file_does_not_count(name):
    content = f"# coding: {name}\na = 'b-c\\n' + 1\n".encode()
    assert read_text(content).encoding == "utf-8" and read_text(content).text == content.decode()


def test_a_file_of_mixed_line_ends_keeps_each():
    content = b"one\r\ntwo\nthree\r\n"
    assert read_text(content).text == content.decode() and read_text(content).encode("1\r\n2\n") == b"1\r\n2\n"


def test_what_the_encoding_lacks_is_said_and_not_replaced():
    with pytest.raises(UnicodeEncodeError):
        read_text(b"gr\xf6\xdfe").encode("→")


MARKS = st.sampled_from([b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"# coding: gbk\n"])
BITS = st.one_of(st.binary(), st.text().map(str.encode), st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\r\n"]))


@given(MARKS, st.lists(BITS, max_size=5))
@example(codecs.BOM_UTF16_LE, [b"\x00\xd8"])
@example(codecs.BOM_UTF8, [codecs.BOM_UTF8])
def test_any_bytes_come_back_as_they_were(mark, bits):
    content = mark + b"".join(bits)
    read = read_text(content)
    assert read.encode(read.text) == content


def test_what_an_editor_changed_unasked_is_changed_back():
    assert written_like(b"a = 1\r\nb = 2\r\n", b"a = 1\nb = 3\n") == b"a = 1\r\nb = 3\r\n"
    assert written_like("größe = 1\n".encode("latin-1"), "größe = 2\n".encode()) == "größe = 2\n".encode("latin-1")
    assert written_like(b"gr\xf6\xdfe", "→".encode()) == "→".encode(), "the old encoding lacks it"
    assert written_like(b"a\r\nb\n", b"a\nb\r\n") == b"a\nb\r\n" and written_like(b"", b"x\r\ny\r\n") == b"x\ny\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_text_in_any_encoding_is_proper_and_data_is_not(encoding):
    assert read_text("préfix = 1\n\ttabs\xa0and\n".encode(encoding)).is_proper
    assert not read_text("a\0b".encode(encoding)).is_proper
    assert not read_text(b"\xff\xfe" + bytes(range(256)) * 2).is_proper
    assert not read_text(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").is_proper


def test_a_lazy_pattern_is_a_pattern() -> None:
    lazy, eager = (make(r"(?P<word>\w+) (\d+)", re.IGNORECASE) for make in (lazy_pattern, re.compile))
    assert "search" not in vars(lazy), "nothing is compiled yet"
    for text in ("loss 12", "none", "a 1 b 2"):
        assert (lazy.search(text) is None) == (eager.search(text) is None)
        assert lazy.findall(text) == eager.findall(text) and lazy.sub("x", text) == eager.sub("x", text)
    assert (lazy.pattern, lazy.flags, lazy.groups) == (eager.pattern, eager.flags, eager.groups)
    assert "search" in vars(lazy), "and then nothing stands between"
