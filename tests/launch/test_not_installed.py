"""What the untouched code lacks on its machine is answered with what installs it, and never with "mend and commit"."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm import cli
from swarm.execution.sandbox.whereabouts import Place
from swarm.launch.not_installed import not_installed, not_there
from tests.launch.repositories import FINE, SETTINGS, repository

LACKS = "ModuleNotFoundError: No module named 'nonesuch.core'"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    copy, root, programs = tmp_path / "copy", tmp_path / "root", tmp_path / "bin"
    for folder in (copy / "scripts", copy / "src" / "lib", root, programs):
        folder.mkdir(parents=True)
    for name in ("python3", "python", "node"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    (copy / "go.sh").write_text("python scripts/run.py\n")
    return Place(copy, root, {"PATH": str(programs)}, ("/opt/env/bin/python", "train.py"))


def test_the_python_that_ran_is_named_and_installs_it(place: Place) -> None:
    said = not_installed(f"Traceback\n{LACKS}", place)
    assert said == (
        "nonesuch is not installed for /opt/env/bin/python, which ran this:"
        " `/opt/env/bin/python -m pip install nonesuch`"
    )
    programs = Path(place.variables["PATH"])
    assert f"`{programs}/python -m pip install" in not_installed(LACKS, replace(place, argv=("bash", "go.sh")))
    assert f"`{programs}/python3 -m pip install" in not_installed(LACKS, replace(place, argv=("./go",)))
    assert "`/usr/bin/python3 -m pip" in not_installed("/usr/bin/python3: No module named nonesuch", place)
    assert "-m pip install scikit-learn`" in not_installed("No module named 'sklearn'", place)
    own = not_installed(LACKS, replace(place, argv=(sys.executable, "train.py")))
    assert f"a .venv in {place.root} would be used in its place" in own


def test_the_projects_own_list_and_its_own_tool_are_used(place: Place) -> None:
    root = place.root
    assert root
    (root / "requirements.txt").write_text("numpy\nNonesuch>=2\n")
    assert "`/opt/env/bin/python -m pip install -r requirements.txt`" in not_installed(LACKS, place)
    (root / "uv.lock").touch()
    assert f"`uv sync` in {root}" in not_installed(LACKS, place)
    (root / ".venv").mkdir()
    (root / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.5.1\n")
    assert "`uv pip install --python /opt/env/bin/python" in not_installed(LACKS, place)


def test_a_module_of_the_repository_is_found_and_not_installed(place: Place) -> None:
    said = not_installed("No module named 'scripts'", place)
    assert 'command = "PYTHONPATH=. /opt/env/bin/python train.py"' in said and "pip" not in said
    assert "PYTHONPATH=src" in not_installed("No module named 'lib'", place)
    assert not_installed("No module named '_tkinter'", place) == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Error: Cannot find module 'express'", "the package express is not installed: `npm install` in"),
        ("Cannot find package '@a/b' imported from /x/y.mjs", "the package @a/b is not installed"),
        ("Error: Cannot find module './local'", ""),
        ("./go.sh: line 3: uvx: command not found", "the program uvx is not installed on this machine"),
        ("sh: 1: node: not found", ""),  # it is there, whatever was meant
        ("ValueError: x", ""),
        ("", ""),
    ],
)
def test_packages_of_node_and_programs(place: Place, line: str, said: str) -> None:
    found = not_installed(f"started\n{line}\n", place)
    assert found.startswith(said) and bool(found) == bool(said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "FileNotFoundError: Missing dataset file: data/train.parquet or data/train.csv",
            "data/train.parquet is not in",
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'corpus/a.txt'",
            "corpus/a.txt is not in your checkout",
        ),
        (
            "make: .venv/bin/python: No such file or directory",
            ".venv/bin/python is not there: make the repository's own",
        ),
        ("FileNotFoundError: No such file or directory: '/elsewhere/a.csv'", ""),
        ("FileNotFoundError: No such file or directory: 'src/lib'", ""),
        ("KeyError: 'data/train.csv'", ""),
    ],
)
def test_what_the_checkout_lacks_too_is_to_be_brought(place: Place, line: str, said: str) -> None:
    found = not_there(f"started\n{line}\n", place)
    assert found.startswith(said) and bool(found) == bool(said)


@given(
    st.text(max_size=80), st.sampled_from(["No module named '{}'", "{}: not found", "Cannot find package '{}'", "{}"])
)
def test_whatever_a_log_says_is_no_error(text: str, form: str) -> None:
    place = Place(Path("/x"), Path("/x"), {}, ("python", "a.py"))
    for said in (not_installed(form.replace("{}", text), place), not_there(form.replace("{}", text), place)):
        assert "\n" not in said


def test_a_launch_says_it_and_not_that_the_code_is_to_be_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "project", f"import nonesuch_package\n{FINE}", SETTINGS)
    flags = [
        "launch",
        "--device",
        "cpu",
        "--agents",
        "1",
        "--researcher",
        "sweep",
        "--dry-run",
        "--try",
        "-C",
        str(root),
    ]
    assert cli.main(flags) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"nonesuch_package is not installed for {sys.executable}, which ran this" in line
    assert "-m pip install nonesuch_package`" in line and "mend and commit" not in line and "swarm.toml" not in line
    root = repository(tmp_path / "closed", f"open('data/rows.csv')\n{FINE}", SETTINGS)
    (root / "data").mkdir()
    (root / "data" / "rows.csv").touch()
    assert cli.main([*flags[:-1], str(root)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.count('include = ["data"]') == 1 and "mend and commit" not in line
