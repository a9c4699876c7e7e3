"""The edits of a model leave a file's encoding and line ends as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarm.records import Briefing, Source
from swarm.researchers.llm.arguments import Refused
from swarm.researchers.llm.tools import Draft, texts


def test_a_file_is_written_as_it_was_read(brief: Callable[..., Briefing], tmp_path: Path) -> None:
    files = {"train.py": b"a = 1\r\nb = 2\r\n", "rate.toml": "größe = 1\n".encode("latin-1")}
    draft = Draft(replace(brief(), parent=Source(files)), texts(files))
    draft.begin(draft.briefing, files, tmp_path)
    assert draft.files == {"train.py": "a = 1\nb = 2\n", "rate.toml": "größe = 1\n"} and not draft.edit(files).files
    draft.use("edit_file", {"path": "train.py", "old": "1\nb", "new": "3\r\nc"})
    draft.use("edit_file", {"path": "rate.toml", "old": "größe = 1", "new": "größe = 2"})
    assert draft.edit(files).files == {"train.py": b"a = 3\r\nc = 2\r\n", "rate.toml": "größe = 2\n".encode("latin-1")}
    with pytest.raises(Refused, match="is written in latin-1, which has no '→'"):
        draft.use("edit_file", {"path": "rate.toml", "old": "größe = 2", "new": "→"})
