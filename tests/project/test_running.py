"""The files that a command runs: named, imported, and named again by scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.project.running import closure, named_by


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("argv", "files"),
    [
        (("{python}", "train.py"), ["train.py"]),
        (("{python}", "-m", "pkg.tool"), ["pkg/tool.py"]),
        (("{python}", "-m", "inner"), ["src/inner/__main__.py"]),
        (("sh", "-c", "cd . && bash run.sh --in 3"), ["run.sh"]),
        (("make", "-s", "score"), ["Makefile"]),
        (("cargo", "run"), []),
        (("../outside.py",), []),
    ],
)
def test_what_a_command_names(tmp_path: Path, argv: tuple[str, ...], files: list[str]) -> None:
    root = tmp_path / "root"
    write(root, {"train.py": "", "pkg/tool.py": "", "src/inner/__main__.py": "", "run.sh": ""})
    (root / "Makefile").write_text("score:\n\t./run.sh\n")
    (tmp_path / "outside.py").write_text("")
    assert named_by(root, argv) == files


def test_imports_are_followed_through_packages_relative_imports_and_a_src_layout(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "evaluate.py": "from lib.deep import score\nimport other, numpy\nfrom inner import thing\n",
            "lib/__init__.py": "",
            "lib/deep/__init__.py": "from . import score\n",
            "lib/deep/score.py": "from ..common import f\n",
            "lib/common.py": "import lib.deep.score\n",
            "lib/unused.py": "",
            "other.py": "",
            "src/inner/__init__.py": "",
            "src/inner/thing.py": "",
        },
    )
    expected = {
        *("evaluate.py", "lib/__init__.py", "lib/deep/__init__.py", "lib/deep/score.py", "lib/common.py", "other.py"),
        *("src/inner/__init__.py", "src/inner/thing.py"),
    }
    assert {*closure(tmp_path, ["evaluate.py"])} == expected
    assert "lib/common.py" in closure(tmp_path, ["evaluate.py"], without=["lib/deep/score.py"])
    assert "lib/deep/score.py" not in closure(tmp_path, ["evaluate.py"], without=["lib/deep/score.py"])


def test_scripts_of_other_languages_are_followed_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "go.sh": 'set -e\npython3 tools/measure.py\nnode "bench/run.mjs" | tee log\nuv run python -m pkg.tool\n',
            "tools/measure.py": "import helper\n",
            "tools/helper.py": "",
            "bench/run.mjs": 'import { x } from "./common";\nimport y from "react";\n',
            "bench/common.ts": "",
            "pkg/tool.py": "",
            "data.csv": "",
        },
    )
    assert {*closure(tmp_path, named_by(tmp_path, ["bash", "go.sh"]))} == {
        *("go.sh", "tools/measure.py", "tools/helper.py", "bench/run.mjs", "bench/common.ts", "pkg/tool.py")
    }


def test_what_does_not_parse_and_what_turns_in_circles_ends(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.py": "import b\n",
            "b.py": "import a\n",
            "c.py": "import (",
            "d.sh": "bash d.sh; bash e.sh",
            "e.sh": "./d.sh",
        },
    )
    assert closure(tmp_path, ["a.py"]) == ["a.py", "b.py"] and closure(tmp_path, ["c.py"]) == ["c.py"]
    assert closure(tmp_path, ["d.sh"]) == ["d.sh", "e.sh"]
