"""How a trial is shown: what repeats showed in words, the policy that follows, and text of others made harmless."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from rich.console import Console

from swarm.judge.decide import POLICIES
from swarm.launch.plan import Plan, make_plan, with_policy
from swarm.launch.trial import Repeat, Trial
from swarm.project.settings import Config
from swarm.records import Failure
from swarm.views.plan import describe_trial
from swarm.views.trial import log_tail, trial_json, trial_rows
from tests.launch.repositories import repository
from tests.launch.test_trial import trial_of

SAME = (Repeat(1001, 0.94721), Repeat(1002, 0.94721))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    root: Path = repository(tmp_path_factory.mktemp("trial") / "project")
    return make_plan(root, Config(device="cpu", agents=1, researcher="sweep").check())


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        (trial_of(0.94721), "not made again"),
        (trial_of(0.94721, (Repeat(1001, 0.9),)), "0.9 with the same seed: it does not repeat itself"),
        (trial_of(0.94721, (Repeat(1001, 0.94721, ("loss",)),)), "too, but another loss"),
        (trial_of(0.94721, (Repeat(1001, None, reason="it crashed"),)), "made again, it gave no number: it crashed"),
        (trial_of(0.94721, SAME[:1], seeded=True), "0.94721 with the same seed: it repeats itself"),
        (trial_of(0.94721, (SAME[0], Repeat(1002, 0.9))), "0.94721 with the same seed, 0.9 with another"),
        (trial_of(0.94721, SAME[:1]), "0.94721 in 2 runs: too few"),
        (trial_of(0.94721, SAME), "0.94721 in 3 runs, with other seeds too"),
    ],
)
def test_what_repeats_showed_is_said(trial: Trial, words: str, plan: Plan) -> None:
    assert words in trial_rows(plan, trial)["again"]


def test_the_policy_that_follows_is_said_with_its_reason(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = trial_of(0.94721, SAME)
    monkeypatch.delitem(POLICIES, "exact", raising=False)
    assert "policy" not in trial_rows(plan, exact)
    monkeypatch.setitem(POLICIES, "exact", POLICIES["race"])
    tried = with_policy(replace(plan, trial=exact), chosen=False)
    assert "one run decides" in trial_rows(tried, exact)["policy"] and "no seed" in trial_rows(tried, exact)["policy"]
    assert trial_rows(plan, exact)["policy"].startswith("carry, as you chose; with --policy exact")
    assert "policy" not in trial_rows(plan, trial_of(0.94721, (Repeat(1001, 0.9),)))


def test_what_a_program_printed_is_harmless(plan: Plan) -> None:
    found = {"cost": 1.0, "note\x1b[31m": "\x1b]0;title\x07[bold]red[/bold]" + 90 * "x", "nan": float("nan")}
    trial = trial_of(1.0, found=found)
    screen = Console(width=80, file=io.StringIO(), force_terminal=True, color_system=None)
    screen.print(describe_trial(replace(plan, trial=trial)))
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b]" not in shown and "\x1b[31m" not in shown and "[bold]red[/bold]" in shown and "nan nan" in shown
    assert json.loads(json.dumps(trial_json(trial), allow_nan=False))["found"]["nan"] is None
    failed = structs.replace(trial.run, metrics=None, failure=Failure.CODE, log_tail="\x1b[2Jone\n" + 200 * "y")
    screen.print(log_tail(replace(trial, run=failed)))
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert any(line.rstrip() == "  | one" for line in lines) and "\x1b[2J" not in "".join(lines)
    assert max(map(len, lines)) <= 80 and "y" * 60 in lines[-1] + lines[-2]
