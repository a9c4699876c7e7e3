"""Who asks where the page is gets the address of a server that runs, or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from swarm.ledger.served import announced, served_at


def test_it_is_known_as_long_as_the_server_runs(tmp_path):
    assert served_at(tmp_path) == ""
    with announced(tmp_path, "http://127.0.0.1:8777/"):
        assert served_at(tmp_path) == "http://127.0.0.1:8777/"
        assert (tmp_path / ".swarm" / "serve.json").stat().st_mode & 0o077 == 0
        with announced(tmp_path, "http://127.0.0.1:9/"):  # a second one, which is the newest
            pass
    assert served_at(tmp_path) == "" and not (tmp_path / ".swarm" / "serve.json").exists()


def test_a_server_that_was_killed_is_none(tmp_path):
    code = (
        "import os, pathlib, sys; from swarm.ledger.served import announced\n"
        "with announced(pathlib.Path(sys.argv[1]), 'http://127.0.0.1:8777/'): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    file = tmp_path / ".swarm" / "serve.json"
    assert file.exists() and served_at(tmp_path) == ""
    file.write_text(json.dumps({**json.loads(file.read_text()), "pid": os.getpid()}))  # its number was given away
    assert served_at(tmp_path) == ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"url": 1, "pid": 1}', '{"url": "javascript:1", "pid": 1}',
                                  '{"url": "http://x/", "pid": 1e400}', '{"url": "http://x/", "pid": -5}'])  # fmt: skip
def test_a_file_of_anything_else_is_none(tmp_path, text):
    (tmp_path / ".swarm").mkdir()
    (tmp_path / ".swarm" / "serve.json").write_text(text)
    assert served_at(tmp_path) == ""
