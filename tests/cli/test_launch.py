"""What `launch` refuses before it does anything: one line, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm import cli


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ("", {"SWARM_MAX_EXPERIMENT": "5"}, "SWARM_MAX_EXPERIMENT, which is no setting: did you mean SWARM_MAX_EXPERI"),
        ("--agents two", {}, "--agents must be a whole number, not 'two'"),
        ("--agents 99999999999999999999", {}, "--agents must be a whole number"),
        ("--max-usd much", {}, "--max-usd must be a number, not 'much'"),
        ("--hours 8 --budget 5min", {}, "--budget must be a time such as 90s, 15m or 8h, or a number of seconds, not"),
        ("", {"SWARM_THINK_LIMIT": "long"}, "SWARM_THINK_LIMIT must be a time such as 90s, 15m or 8h"),
        ("--trial maybe", {}, "--trial 'maybe': it is one of auto, always, off"),
        ("", {"SWARM_AGENTS": "0"}, "SWARM_AGENTS 0: it must be above 0"),
    ],
)
def test_a_mistake_is_one_line(
    flags: str,
    environ: dict[str, str],
    message: str,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["launch", "-C", str(repository), *flags.split()]) == 2
    printed = capsys.readouterr()
    assert not printed.out and message in printed.err and printed.err.count("\n") == 1


@pytest.mark.parametrize("name", ["--researcher-command", "--command"])
def test_a_former_flag_is_accepted_and_not_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = vars(cli.parser().parse_args(["launch", name, "codex exec {prompt}", f"{name}-env", "KEY"]))
    stem = name.removeprefix("--").replace("-", "_")
    assert (options[stem], options[f"{stem}_env"]) == ("codex exec {prompt}", "KEY")
    with pytest.raises(SystemExit):
        cli.main(["launch", "--help"])
    shown = capsys.readouterr().out
    assert "--researcher-command " in shown and " --command" not in shown
