"""`python -m swarm --help`: every verb stands in one group, with one line that fits a terminal of 80 columns."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from swarm import cli
from swarm.judge.decide import POLICIES
from swarm.researchers.registry import REGISTRY


def test_every_verb_is_listed_once_in_a_line_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    overview = capsys.readouterr().out
    assert max(map(len, overview.splitlines())) <= 80
    listed = re.findall(r"(?m)^  ([a-z]+) +[A-Z].*\.$", overview)
    known = list(cli.parser().verbs)
    assert sorted(listed) == sorted(known) and len(known) > 10


def test_each_verb_explains_itself_and_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    for name in (name for names in cli.GROUPS.values() for name in names):
        with pytest.raises(SystemExit, match="0"):
            cli.main([name, "--help"])
        text = capsys.readouterr().out
        assert text.startswith(f"usage: python -m swarm {name} ")
        assert ("--repo FOLDER" in text) == (name not in ("judge", "completion")), "which need no repository"


def test_each_verbs_help_ends_with_two_examples_that_it_understands(capsys: pytest.CaptureFixture[str]) -> None:
    parser = cli.parser()
    for name, verb in parser.verbs.items():
        with pytest.raises(SystemExit, match="0"):
            cli.main([name, "--help"])
        shown = capsys.readouterr().out.rpartition("examples:\n")[2].splitlines()
        assert len(shown) == 2 and shown[0] != shown[1], f"{name}: add_verb(..., examples=(one, another))"
        for line in shown:
            command = re.split(r" [>|] ", line.strip())[0]
            words = shlex.split(command.removeprefix("python -m swarm "))
            assert parser.parse_args(words).verb is verb.get_default("verb") and len(line) <= 80, line


def test_the_help_of_launch_names_every_researcher_and_every_keep_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """It is written by hand, as no verb should wait at its start for what knows them."""
    with pytest.raises(SystemExit):
        cli.main(["launch", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    missing = [name for name in (*REGISTRY, *POLICIES) if name not in shown]
    assert not missing, f"swarm/cli/launch.py does not tell of {missing}"


def test_a_verb_starts_without_what_only_some_need() -> None:
    program = "import sys, swarm.cli; swarm.cli.parser(); print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"ray", "torch", "anthropic", "pandas", "scipy", "git", "msgspec", "rich", "numpy"} & set(loaded)
