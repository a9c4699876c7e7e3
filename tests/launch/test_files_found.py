"""Files that were found in the folder, and not given, are part of a launch where the commit holds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.history.repository import History
from swarm.launch.files import find_files
from swarm.project.project import load_project
from tests.launch.repositories import git

NOTES = "- Primary: `fit` (higher is better)\n\n## Files in Scope\n- `a.py`\n- `b.py`\n\n## Off Limits\n- `data.csv`\n"
SCRIPT = "python3 evaluate.py\n"


def test_what_is_ignored_is_left_out(tmp_path: Path) -> None:
    names = {"autoresearch.md": NOTES, "autoresearch.sh": SCRIPT, "a.py": "A = 1\n", "b.py": "B = 1\n"}
    for name, text in {
        **names,
        "evaluate.py": "import a\n",
        "data.csv": "1\n",
        ".gitignore": "data.csv\nb.py\n",
    }.items():
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message=start")
    history = History(tmp_path)
    project = load_project(tmp_path)
    assert project.editable == ("a.py", "b.py") and {"evaluate.py", "data.csv"} <= {*project.fixed}
    files = find_files(project, history, history.head())
    assert (files.project.editable, files.project.fixed) == (("a.py",), ("autoresearch.sh", "evaluate.py"))
    (tmp_path / "swarm.toml").write_text('fixed = ["data.csv"]\n')
    with pytest.raises(UsageError, match=r"data.csv is not in the last commit"):
        find_files(load_project(tmp_path), history, history.head())
