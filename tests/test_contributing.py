"""What CONTRIBUTING.md promises: its commands exist, the hooks run what `make lint` runs, the version has one home.

python -m pytest tests/test_contributing.py
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import swarm
from swarm import cli

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_it_is_one_page_and_its_commands_and_files_exist() -> None:
    assert len(CONTRIBUTING.splitlines()) <= 80
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", CONTRIBUTING, re.MULTILINE)) <= targets
    for path in re.findall(r"(?:`|\()([\w/.-]+\.(?:md|py|txt|toml))", CONTRIBUTING):
        assert (ROOT / path).is_file(), path


def test_the_hooks_run_what_make_lint_runs() -> None:
    hooks = re.findall(r"^ +entry: (.+)$", (ROOT / ".pre-commit-config.yaml").read_text(), re.MULTILINE)
    recipe = MAKEFILE.split("\nlint: setup\n")[1].split("\n\n")[0]
    assert hooks == [line.strip() for line in recipe.replace("$(BIN)", ".venv/bin").splitlines()]


def test_the_version_of_the_package_is_that_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert version("autoresearch-swarm") == swarm.__version__, "run `make setup` after a change of the version"
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"swarm {swarm.__version__}\n"
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"]["dynamic"] == ["version"] and "version" not in pyproject["project"]
    assert pyproject["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "swarm.__version__"}


def test_the_changelog_begins_with_what_is_not_released_and_knows_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", swarm.__version__]
