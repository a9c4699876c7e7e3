"""What verbs print where no terminal is: every line in full, and nothing behind its last letter."""

from __future__ import annotations

import pytest
from rich.table import Table

from swarm.cli.output import console


def test_a_table_in_a_pipe_has_no_trailing_blanks_and_is_not_cropped(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_row("name", "word " * 400)
    table.add_row("another", "")
    console().print("first", table, sep="\n")
    assert capsys.readouterr().out.split("\n") == ["first", f"name     {'word ' * 400}".rstrip(), "another", ""]
