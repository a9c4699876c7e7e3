"""What `init --yes` guesses, and what it refuses to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from swarm import cli


@pytest.mark.parametrize(
    ("metric", "code", "direction"), [("zorp", 2, None), ("accuracy", 0, "higher"), ("val_loss", 0, "lower")]
)
def test_a_direction_that_nothing_speaks_for_is_no_guess(
    metric: str, code: int, direction: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.py").write_text(f'LEARNING_RATE = 0.5\nprint("{metric}:", LEARNING_RATE)\n')
    (tmp_path / "program.md").write_text(f'Improve it: `grep "^{metric}:" run.log` shows the result.\n')
    mine = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=x"]):
        subprocess.run([*mine, *arguments], cwd=tmp_path, check=True)
    assert cli.main(["init", "-C", str(tmp_path), "--yes", "--no-run"]) == code
    settings = tmp_path / "swarm.toml"
    if direction is None:
        assert 'say `direction = "lower" or "higher"`' in capsys.readouterr().err and not settings.exists()
    else:
        assert f'direction = "{direction}"' in settings.read_text()


def test_why_a_run_gave_no_number_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.py").write_text("WIDTH = 3\nprint('told before')\nimport nowhere_to_be_found\n")
    (tmp_path / "program.md").write_text('Improve it: `grep "^accuracy:" run.log` shows the result.\n')
    mine = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=x"]):
        subprocess.run([*mine, *arguments], cwd=tmp_path, check=True)
    assert cli.main(["init", "-C", str(tmp_path), "--yes"]) == 2
    told = capsys.readouterr().err
    assert "| told before" in told and "does not run here" in told
