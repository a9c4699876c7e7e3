"""How long a swarm still takes, under every kind of limit, by what it did until now."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarm.records import Purpose
from swarm.snapshot.records import AgentView, EndRuns, Event, ExperimentView, RunView, Snapshot
from swarm.wording.formatting import about
from swarm.wording.pace import active_seconds, drain_text, money_seconds, per_hour, remaining, seconds_left

START, BEAT = 1_000_000.0, 60.0


def verdict(number: int, at: float) -> ExperimentView:
    return ExperimentView(
        f"apr5-gpu0-{number:04}", "gpu0", "a title", "batch", "judged", "discard", "seen", created=at - 50, judged=at
    )


def running(number: int, at: float, purpose: str = "first") -> RunView:
    return RunView(
        f"apr5-gpu0-{number:04}.1", 1, f"apr5-gpu0-{number:04}", "gpu0", purpose, 1, "running", None, None, None, None,
        None, "", at,
    )  # fmt: skip


@pytest.fixture
def swarm() -> Snapshot:
    """Two agents; ten minutes of start and baselines, then ten verdicts, one a minute; it runs until told."""
    agents = tuple(AgentView(f"gpu{n}", "", "cpu", "sweep", "training") for n in range(2))
    first = START + 600
    return Snapshot(
        tag="apr5", now=first + 9 * BEAT, started=START, ended=None, status="running", folder=".swarm/apr5", branch="",
        metric="loss", direction="lower", policy="carry", researcher="sweep", device="cpu", budget=50.0, deadline=None,
        limits="", baseline=1.0, sigma=0.1, best=1.0, champion=None, agents=agents, usual_seconds=100.0,
        experiments=tuple(verdict(n, first + n * BEAT) for n in range(10)),
    )  # fmt: skip


def test_until_it_is_told_there_is_only_the_rate(swarm: Snapshot) -> None:
    assert per_hour(swarm) == pytest.approx(60), "by its verdicts, not by its start and its baselines"
    assert seconds_left(swarm) is None and remaining(swarm) == []
    assert per_hour(replace(swarm, experiments=swarm.experiments[:1])) is None, "one verdict is no pace"
    stuck = replace(swarm, now=swarm.now + 1800)
    assert per_hour(stuck) == pytest.approx(7 * 3600 / (7 * BEAT + 1800)), "it falls while nothing comes"


def test_experiments_are_counted_down_with_the_runs_at_the_end(swarm: Snapshot) -> None:
    limited = replace(swarm, max_experiments=16)
    assert seconds_left(limited) == pytest.approx(6 * BEAT) and remaining(limited) == ["about 6 min left"]
    found = replace(limited, end_runs=EndRuns(doubts=2, wanted=8, done=0, begun=False))
    assert seconds_left(found) == pytest.approx(6 * BEAT + 10 * 100.0 / 2)
    assert seconds_left(replace(limited, experiments=())) is None, "nobody knows yet"


def test_hours_end_it_unless_its_experiments_do_so_earlier(swarm: Snapshot) -> None:
    timed = replace(swarm, deadline=swarm.now + 3600)
    assert seconds_left(timed) == 3600 and remaining(timed) == ["1:00:00 left"]
    assert remaining(replace(timed, max_experiments=16)) == ["about 6 min left"]
    assert remaining(replace(timed, max_experiments=999)) == ["1:00:00 left"]


def test_money_lasts_as_long_as_it_did_until_now(swarm: Snapshot) -> None:
    ran = swarm.now - swarm.started
    assert money_seconds(swarm) is None
    assert money_seconds(replace(swarm, spend_limit_usd=20.0)) is None, "nothing is spent"
    assert money_seconds(replace(swarm, spend_limit_usd=20.0, spent_usd=5.0)) == pytest.approx(3 * ran)


def test_the_time_in_which_nobody_led_it_counts_for_nothing(swarm: Snapshot) -> None:
    crashed, resumed = swarm.now, swarm.now + 86400
    later = tuple(verdict(20 + n, resumed + 300 + n * BEAT / 2) for n in range(5))
    again = replace(
        swarm, now=later[-1].judged or 0.0, experiments=(*swarm.experiments, *later), max_experiments=25,
        events=(Event(crashed, "gpu0", "discard", ""), Event(resumed, "swarm", "resumed", "")),
    )  # fmt: skip
    assert active_seconds(again) == pytest.approx((crashed - START) + (again.now - resumed))
    assert per_hour(again) == pytest.approx(120) and seconds_left(again) == pytest.approx(10 * BEAT / 2)
    over = replace(again, ended=again.now, status="finished")
    assert per_hour(over) == pytest.approx(15 / active_seconds(over) * 3600) and seconds_left(over) is None


def test_the_closing_wave_is_counted_and_ends_when_its_runs_do(swarm: Snapshot) -> None:
    wave = EndRuns(doubts=0, wanted=16, done=5, begun=True)
    runs = tuple(running(n, swarm.now - 40, Purpose.CLOSING) for n in range(2))
    closing = replace(swarm, end_runs=wave, runs=runs, max_experiments=10)
    assert seconds_left(closing) == pytest.approx((9 * 100 + 2 * 60) / 2)
    assert remaining(closing) == ["closing 5 of 16, about 8 min", "closing 5 of 16"]
    ablating = replace(closing, end_runs=replace(wave, done=16, ablated=4, room=20), runs=())
    assert remaining(ablating)[1:] == ["ablation 4 of 20"] and seconds_left(ablating) == pytest.approx(16 * 100 / 2)
    last = replace(closing, end_runs=replace(wave, done=15), runs=runs[:1])
    assert seconds_left(last) == pytest.approx(60), "one agent makes it, however many there are"


def test_a_stop_waits_for_what_runs_usually_take(swarm: Snapshot) -> None:
    stopped = replace(swarm, status="draining", runs=(running(1, swarm.now - 90), running(2, swarm.now - 78)))
    assert drain_text(stopped) == "2 runs to finish, about 0:22" and seconds_left(stopped) == pytest.approx(22)
    late = replace(stopped, now=stopped.now + 44)
    assert drain_text(late) == "2 runs to finish, 0:22 later than usual" and seconds_left(late) == 0
    assert drain_text(replace(stopped, runs=())) == "the last results are written down"
    unknown = replace(stopped, usual_seconds=None)
    assert "none has ended yet" in drain_text(unknown) and seconds_left(unknown) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "1 s"), (22.2, "23 s"), (89, "89 s"), (95, "2 min"), (3600, "60 min"), (9000, "2.5 h"), (90000, "25 h"),
     (300000, "3 days")],
)  # fmt: skip
def test_an_estimate_has_one_unit(seconds: float, said: str) -> None:
    assert about(seconds) == said
