"""The plan before a launch: who thinks for whom, and which sections of the program are for whom."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

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
    assert plan["researcher"] == "command for gpu0; sweep for gpu1, gpu2, gpu3 (--researcher)"
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
    assert said["timeout"] == "45m for the whole of a run (swarm.toml)"
    assert said["policy"] == "carry (default)"
    exact = rows(root, capsys, "--policy", "exact")["policy"]
    assert exact.startswith("exact (--policy): equal code gives equal numbers, so that one run decides")


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


def test_each_row_says_where_its_value_came_from(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARM_HOURS", "8h")
    plan = rows(root, capsys, "--budget", "30", "--max-experiments", "7")
    assert plan["runs"].endswith("(swarm.toml)") and "val_bpb, lower is better (swarm.toml)" in plan["metric"]
    assert plan["budget"] == "30 s of training per run (--budget)" and plan["policy"] == "carry (default)"
    assert plan["limits"] == "8 h (SWARM_HOURS), 7 experiments (--max-experiments)"
    assert plan["agents"].endswith("(--agents, --device)")
    told = planned(root, capsys, "--budget", "30")["came_from"]
    assert (told["command"], told["budget"], told["policy"]) == ("swarm.toml", "--budget", "default")
    settings = root / "swarm.toml"
    before = settings.read_text()
    settings.write_text(before.replace('metric = "val_bpb"', "").replace('direction = "lower"', ""))
    found = planned(root, capsys)["came_from"]
    settings.write_text(before)
    assert found["metric"] not in ("default", "swarm.toml"), "found in the code"


def planned(root: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    code = cli.main(["launch", "-C", str(root), "--dry-run", "--json", "--device", "sim", "--agents", "4", *flags])
    assert code == 0
    return json.loads(capsys.readouterr().out)


def test_it_estimates_what_a_launch_comes_to(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hours = planned(root, capsys, "--budget", "60", "--hours", "2", "--gpu-usd-per-hour", "3")["estimate"]
    assert hours["run_seconds"] == pytest.approx(67) and not hours["measured"]
    assert hours["experiments_per_hour"] == pytest.approx(3600 * 4 / 67 / 1.25) and 250 < hours["experiments"] < 350
    assert 6000 < hours["seconds"] <= 7200 and hours["machine_usd"] == pytest.approx(3 * 4 * hours["seconds"] / 3600)
    assert hours["models_usd"] == 0 and 67 * 2 < hours["first_verdict_seconds"] < 67 * 6
    few = planned(root, capsys, "--budget", "60", "--max-experiments", "16")["estimate"]
    assert few["experiments"] == 16 and 4 * 67 < few["seconds"] < 20 * 67
    endless = planned(root, capsys, "--budget", "60")["estimate"]
    assert endless["experiments"] is endless["seconds"] is endless["machine_usd"] is None
    flags = ("--researcher", "command:1,sweep", "--researcher-command", "sh {prompt}")
    assert planned(root, capsys, *flags)["estimate"]["models_usd"] is None, "a CLI has a contract of its own"
    shown = rows(root, capsys, "--budget", "60", "--max-experiments", "16", "--gpu-usd-per-hour", "3")
    assert shown["estimate"].startswith("a run of about 67 s (a guess from its budget); the first verdict after about ")
    assert "16 experiments (172 an hour), over in about " in shown["estimate"]
    assert shown["costs"].startswith("models nothing; the machine at most $")
    assert "until you stop it" in rows(root, capsys)["estimate"]


def test_a_short_run_is_not_taken_for_its_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_project(tmp_path / "project")
    settings = root / "swarm.toml"
    settings.write_text(settings.read_text() + 'referee = ["{python}", "referee.py"]\n')
    (root / "referee.py").write_text("print('metric: 1')\n")
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"], cwd=root, check=True)
    assert planned(root, capsys, "--budget", "4")["estimate"]["run_seconds"] > 10, "it starts, and is measured"


def test_where_nobody_knows_how_long_a_run_takes_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_project(tmp_path / "project")
    (root / "prepare.py").write_text((root / "prepare.py").read_text().replace("TIME_BUDGET", "SECONDS"))
    (root / "train.py").write_text((root / "train.py").read_text().replace("TIME_BUDGET", "SECONDS"))
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qam", "x"], cwd=root, check=True)
    estimate = planned(root, capsys)["estimate"]
    assert estimate["run_seconds"] is estimate["experiments_per_hour"] is None
    shown = rows(root, capsys)
    assert shown["estimate"].endswith("`--dry-run --try` runs it now") and "–" not in " ".join(shown.values())


def _lines_of_settings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.split("where each setting comes from\n")[1].splitlines()
