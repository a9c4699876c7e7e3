"""`python -m swarm --help`: every verb stands in one group, with one line that fits a terminal of 80 columns."""

from __future__ import annotations

import re

import pytest

from swarm import cli


def test_every_verb_is_listed_once_in_a_line_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    overview = capsys.readouterr().out
    assert max(map(len, overview.splitlines())) <= 80
    listed = re.findall(r"(?m)^  ([a-z]+) +[A-Z].*\.$", overview)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["no-such-verb"])
    known = re.findall(r"'([a-z]+)'", capsys.readouterr().err.partition("choose from")[2])
    assert sorted(listed) == sorted(known) and len(known) > 10


def test_each_verb_explains_itself_and_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    for name in (name for names in cli.GROUPS.values() for name in names):
        with pytest.raises(SystemExit, match="0"):
            cli.main([name, "--help"])
        text = capsys.readouterr().out
        assert text.startswith(f"usage: python -m swarm {name} ") and "--repo FOLDER" in text
