"""The plan before a launch: who thinks for whom, and which sections of the program are for whom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swarm import cli
from swarm.lab.simulation.project import make_project


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("plan") / "project")


def rows(root: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, str]:
    """The plan's rows by their first word, unfolded."""
    code = cli.main(["launch", "-C", str(root), "--dry-run", "--device", "sim", "--agents", "4", *flags])
    assert code == 0
    found: dict[str, str] = {}
    for line in capsys.readouterr().out.split("\n\n")[0].splitlines():
        name = line.split(" ")[0] or next(reversed(found))
        found[name] = f"{found.get(name, '')} {line.removeprefix(name).strip()}".strip()
    return found


def test_it_tells_the_researcher(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(root, capsys)["researcher"].startswith("sweep: knows a playbook")
    assert "prices" not in rows(root, capsys)
    plan = rows(root, capsys, "--researcher", "command:1,sweep", "--researcher-command", "sh {prompt}")
    assert plan["researcher"] == "command for gpu0; sweep for gpu1, gpu2, gpu3"
    assert "roles" not in plan


def test_it_tells_what_tokens_are_billed_by_and_who_says_so(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    asked = ("--researcher", "openai", "--model")
    known = rows(root, capsys, *asked, "gpt-5")["prices"]
    assert re.fullmatch(r"openai: \$1.25 in and \$10 out per million tokens, as quoted in \w+ 20\d\d; .*", known), known
    given = rows(root, capsys, *asked, "m", "--usd-per-mtok", "0.6,2.2")["prices"]
    assert given == "openai: $0.6 in and $2.2 out per million tokens, as given"
    local = rows(root, capsys, *asked, "m", "--base-url", "http://localhost:11434/v1")["prices"]
    assert local == "openai: nothing: the service is on this machine"


def test_it_tells_what_the_sweep_may_turn_and_where(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(root, capsys)["knobs"].endswith("14 numbers and choices in train.py")
    assert "knobs" not in rows(root, capsys, "--researcher", "command", "--researcher-command", "sh {prompt}")


def test_it_tells_whose_roles_the_program_gives_and_a_name_that_is_nobodys(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = root / "program.md"
    before = program.read_text()
    program.write_text(before + "\n## For gpu0, gpu2: architecture\n\nBig.\n\n## For sweeep and gpu9\n\nx\n")
    roles = rows(root, capsys)["roles"]
    program.write_text(before)
    assert roles == "architecture for gpu0, gpu2; a section of its own for nobody: no sweeep or gpu9"


def test_it_tells_the_timeout_beside_the_budget_and_what_it_comes_from(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = root / "swarm.toml"
    before = settings.read_text()
    by_budget = rows(root, capsys, "--budget", "10m")
    assert by_budget["budget"].startswith("600 s of training per run") and "timeout" in by_budget
    settings.write_text(before + '\ntimeout = "45m"\n')
    said = rows(root, capsys)
    settings.write_text(before)
    assert said["timeout"] == "45m for the whole of a run"
    assert said["policy"] == "carry"
    exact = rows(root, capsys, "--policy", "exact")["policy"]
    assert exact.startswith("exact: equal code gives equal numbers, so that one run decides")


def test_it_tells_where_each_setting_comes_from(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARM_HOURS", "8h")
    monkeypatch.setenv("SWARM_MODEL", "m")
    (root / "swarm.toml").write_text((root / "swarm.toml").read_text() + '\nthink_limit = "90s"\n')
    flags = ["--dry-run", "--device", "sim", "--agents", "1", "--wait", "60", "--notify", "https://ntfy.sh/secret"]
    code = cli.main(["launch", "-C", str(root), *flags])
    shown = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in _lines_of_settings(capsys)}
    assert code == 0 and shown["hours"] == "8h (SWARM_HOURS)"
    assert shown["think_limit"] == "1m30s (swarm.toml)"
    assert shown["wait"] == "1m (--wait)" and not {"max_usd", "push"} & {*shown}
    assert {"max_usd", "push"} <= {*" ".join(shown.values()).replace(",", " ").split()}  # of the row `by default`
    assert shown["option.model"] == "m (SWARM_MODEL)"
    assert "secret" not in shown["notify"]


def _lines_of_settings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.split("where each setting comes from\n")[1].splitlines()
