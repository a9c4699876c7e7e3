"""A person's word: what is held is accepted, what was kept is taken back with what was built on it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm import cli
from swarm.board.notifications import NotificationFeed
from swarm.ledger.transitions import crown
from swarm.records import Metrics, Run
from swarm.snapshot.build import Picture
from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.views.header import header
from swarm.views.report import write_report
from swarm.wording.verdict_text import verdict_text
from tests.board.nights import Night


def printed(night: Night, agent: str, value: float) -> None:
    """The agent's next run; its own code alone printed the number."""
    work = night.measure(agent)
    night.clock.tick(10.0)
    mine = night.ledger.value("SELECT source FROM experiments WHERE id = ?", work.experiment)
    number = value if work.source == mine and work.source != night.base.sha else night.mean(work.source) or 1.0
    run = Run(work.run, work.attempt, night.clock.now, 10.0, 9.0, metrics=Metrics(number, audited=False))
    night.call("record", agent, night.fences[agent], run)


def kept(night: Night, knob: int, value: float) -> str:
    name = night.draft("gpu0", knob)
    while night.state(name) != "judged":
        printed(night, "gpu0", value)
    assert night.row(name)["status"] == "keep", dict(night.row(name))
    return name


def look(night: Night, folder: Path | str = "") -> Snapshot:
    return Picture(night.ledger, night.board.swarm).snapshot(str(folder), night.clock.now)


def view(night: Night, name: str) -> ExperimentView:
    return next(view for view in look(night).experiments if view.id == name)


@pytest.mark.parametrize("level", [1.0, 0.0])
def test_a_large_gain_without_a_referee_is_kept_and_built_on_and_said(
    make_night: Callable[..., Night], tmp_path: Path, level: float
) -> None:
    night = make_night()
    night.baselines(level)
    feed = NotificationFeed(night.ledger, night.tag)
    large = kept(night, 0, level - 0.3)
    small = kept(night, 1, level - 0.31)
    assert night.trunk() == [None, large, small], "it is built on"
    assert (night.row(large)["outcome"], night.row(small)["outcome"]) == ("large", "gained")
    assert [news.experiment for news in feed.look() if news.kind == "large"] == [large]
    line = header(look(night), 160)[-1].plain
    assert line.startswith("! large, unaudited gain") and "swarm reject gpu0-0001" in line
    text = write_report(look(night), tmp_path, None, {large: "-a\n+b\n"})[0].read_text()
    first = text.split("\n## ")[1]
    assert first.startswith("For a person to look at") and "+b" in first and "swarm reject gpu0-0001" in first


def test_without_any_noise_a_gain_is_kept_too(make_night: Callable[..., Night]) -> None:
    night = make_night(sigma_prior=None)
    night.join()
    for agent in night.agents:
        for _ in range(2):
            night.run(agent, 1.0)
    assert night.trunk()[-1] is None
    large = kept(night, 0, 0.5)
    assert night.row(large)["outcome"] == "large" and night.trunk() == [None, large]


def test_what_is_rejected_goes_with_all_that_was_built_on_it(night: Night) -> None:
    good = night.keep("gpu0", 2, 0.99)
    large, small = kept(night, 0, 0.6), kept(night, 1, 0.59)
    night.board.decide("reject", large, "it prints a constant")
    assert [night.row(name)["rung"] for name in (good, large, small)] == ["kept", "invalid", "tainted"]
    newest = night.trunk()[-1]
    assert newest and night.row(newest)["source"] == night.row(good)["source"], "the trunk goes on from before it"
    assert view(night, large).quarantine == "it prints a constant"
    assert "! large" not in "\n".join(line.plain for line in header(look(night), 160))
    night.board.decide("reject", large)
    assert night.trunk()[-1] == newest, "a second time does nothing"


def test_what_is_held_is_kept_once_a_person_accepts_it(night: Night) -> None:
    held = night.draft("gpu0", 0)
    while night.state(held) != "judged":
        night.run("gpu0", 0.4)
    assert night.trunk() == [None]
    line = header(look(night), 160)[-1].plain
    assert "held for a person" in line and "swarm accept gpu0-0001" in line
    beside = night.keep("gpu0", 1, 0.99)
    night.board.projected({held: "a" * 40})
    night.board.decide("accept", held)
    assert night.trunk() == [None, beside, held], "the swarm went on beside it, and goes on from it"
    row = night.row(held)
    assert (row["status"], row["rung"], row["outcome"], row["commit_sha"]) == ("keep", "kept", "gained", None)
    assert night.row(beside)["rung"] == "undone"
    assert night.board.briefing("gpu0").position == 2
    later = night.keep("gpu0", 2, 0.39)
    assert night.trunk()[-1] == later
    night.board.decide("accept", later)
    assert night.trunk()[-1] == later, "it is not held"


def test_what_is_held_on_code_that_was_caught_cannot_be_accepted(night: Night) -> None:
    large = kept(night, 0, 0.98)
    held = night.draft("gpu0", 1)
    while night.state(held) != "judged":
        night.run("gpu0", 0.4)
    assert night.row(held)["outcome"] == "held"
    night.board.decide("reject", large)
    before = night.trunk()
    night.board.decide("accept", held)
    assert (night.row(held)["rung"], night.trunk()) == ("tainted", before)
    assert "held for a person" not in "\n".join(line.plain for line in header(look(night), 160))


def test_a_confirmed_step_leads_where_what_is_accepted_undoes_the_champion(night: Night) -> None:
    first = night.keep("gpu0", 0, 0.995)
    held = night.draft("gpu0", 1)
    while night.state(held) != "judged":
        work = night.measure("gpu0")
        night.record("gpu0", work, 0.4 if work.source == night.row(held)["source"] else 0.995)
    best = night.keep("gpu0", 2, 0.99)
    with night.ledger.transaction():
        for name in (first, best):
            crown(night.transaction(), name)
    night.board.decide("accept", held)
    assert [night.row(name)["rung"] for name in (first, best, held)] == ["champion", "undone", "kept"]


def test_what_is_held_waits_no_longer_once_a_person_rejects_it(night: Night) -> None:
    held = night.draft("gpu0", 0)
    while night.state(held) != "judged":
        night.run("gpu0", 0.4)
    night.board.decide("reject", held, "it reads the answers")
    row = night.row(held)
    assert (row["status"], row["outcome"], night.trunk()) == ("discard", "rejected", [None])
    assert "held for a person" not in "\n".join(line.plain for line in header(look(night), 160))
    assert "turned it down" in verdict_text(view(night, held), None)
    night.board.decide("accept", held)
    assert night.trunk() == [None], "it is not held any more"


def test_both_verbs_act_on_a_swarm_that_has_ended(
    night: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git[:3], "init", "-q"], check=True)
    (tmp_path / "train.py").write_bytes(night.base.files["train.py"])
    (tmp_path / ".gitignore").write_text(".swarm/\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    base = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    night.swarm(base_commit=base)
    held = night.draft("gpu0", 0)
    while night.state(held) != "judged":
        night.run("gpu0", 0.4)
    night.board.end("finished")
    night.ledger.close()

    def swarm(*words: str) -> tuple[int, str]:
        code = cli.main([words[0], "-C", str(tmp_path), *words[1:]])
        return code, "".join(capsys.readouterr())

    assert swarm("reject", "gpu0-0000")[0] == 2, "the baseline"
    assert swarm("accept", "gpu0-0001") == (0, f"{held} (k0 -> 2): accepted\n")
    code, said = swarm("accept", "gpu0-0001")
    assert code == 2 and "not held" in said
    show = subprocess.run([*git, "show", "autoresearch/apr5:train.py"], check=True, capture_output=True, text=True)
    assert "k0 = 2" in show.stdout, "git follows"
    assert swarm("reject", "gpu0-0001", "it", "cheats")[0] == 0
    show = subprocess.run([*git, "show", "autoresearch/apr5:train.py"], check=True, capture_output=True, text=True)
    assert "k0 = 1" in show.stdout
