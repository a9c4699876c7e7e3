"""What a shell completes: asked of the shells themselves, where they are installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from swarm import cli
from swarm.cli.completion import SHELLS


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


def test_bash_completes_verbs_flags_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    asks = """
    ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _swarm; echo "${COMPREPLY[*]}"; }
    ask swarm st
    ask swarm launch --max-e
    ask swarm -h sh
    ask swarm judge res
    """
    done = subprocess.run(["bash", "-c", script("bash", capsys) + asks], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["status stop", "--max-experiments", "show", ""], (
        "the last are files: bash's own"
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_every_verb_and_flag_is_in_it_and_the_shell_reads_it(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    for name, parser in cli.parser().verbs.items():
        assert name in text
        for flag in parser.flags():
            assert flag in text or f"-l {flag[2:]} " in text, f"{name} {flag}"
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=text, text=True, check=True)


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "tcsh"]) == 2
    assert "it is one of bash, zsh, fish" in capsys.readouterr().err
