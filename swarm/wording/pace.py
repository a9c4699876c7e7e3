"""How fast a swarm goes, and how long it still takes: measured on what it did, never promised.

A swarm that was interrupted and resumed is measured since then. What is not known yet is None.
"""

from __future__ import annotations

import math

from msgspec import Struct

from swarm.ledger.events import RESUMED
from swarm.snapshot.records import EndRuns, Snapshot
from swarm.wording.formatting import about, duration, plural
from swarm.wording.verdict_text import tried

_WINDOW = 4  # verdicts of each agent that the rate is taken from: a swarm's pace changes with what it found


class Drain(Struct, frozen=True):
    """What is waited for after a stop. `seconds` until the last run ends: below 0 by how much it is late."""

    runs: int
    seconds: float | None


def per_hour(snapshot: Snapshot) -> float | None:
    """Verdicts an hour, of the newest ones; over the whole time that a swarm ran once it has ended."""
    since = _life_began(snapshot)
    moments = [view.judged for view in tried(snapshot) if view.judged is not None]
    if snapshot.ended is not None:
        hours = active_seconds(snapshot) / 3600
        return len(moments) / hours if len(moments) > 1 and hours > 0 else None
    newest = [at for at in moments if at >= since][-max(8, _WINDOW * len(snapshot.agents)) :]
    span = snapshot.now - newest[0] if newest else 0.0
    return 3600 * (len(newest) - 1) / span if len(newest) > 1 and span > 0 else None


def active_seconds(snapshot: Snapshot) -> float:
    """How long the swarm was led, without the time between an interruption and the resumption."""
    ends, begins = [], [snapshot.started]
    last = snapshot.started
    for event in snapshot.events:
        if event.kind == RESUMED:
            ends.append(last)
            begins.append(event.at)
        last = max(last, event.at)
    ends.append(snapshot.now if snapshot.ended is None else snapshot.ended)
    return sum(max(end - begin, 0.0) for begin, end in zip(begins, ends, strict=True))


def seconds_left(snapshot: Snapshot) -> float | None:
    """Until the swarm ends by itself, whichever of its limits comes first; None where it has none, or nobody knows."""
    if snapshot.ended is not None or not snapshot.is_led:
        return None
    if snapshot.status == "draining":
        left = drain(snapshot).seconds
        return None if left is None else max(left, 0.0)
    if snapshot.end_runs and snapshot.end_runs.begun:
        return _closing_seconds(snapshot, snapshot.end_runs)
    known = [_until_experiments(snapshot)]
    known += [] if snapshot.deadline is None else [max(snapshot.deadline - snapshot.now, 0.0)]
    return min((seconds for seconds in known if seconds is not None), default=None)


def money_seconds(snapshot: Snapshot) -> float | None:
    """How long the money for models lasts at the pace until now; None without a limit, or where nothing is spent."""
    ran = active_seconds(snapshot)
    if snapshot.ended is not None or snapshot.spend_limit_usd is None or snapshot.spent_usd <= 0 or ran <= 0:
        return None
    return max(snapshot.spend_limit_usd - snapshot.spent_usd, 0.0) * ran / snapshot.spent_usd


def drain(snapshot: Snapshot) -> Drain:
    """The runs that a swarm waits for which starts nothing new, by what runs usually take."""
    running = [run for run in snapshot.runs if run.state == "running"]
    if not running or snapshot.usual_seconds is None:
        return Drain(len(running), None)
    return Drain(len(running), max(run.started + snapshot.usual_seconds - snapshot.now for run in running))


def drain_text(snapshot: Snapshot) -> str:
    """ "2 runs to finish, about 0:22"; a run that takes longer than usual is said to."""
    waited = drain(snapshot)
    if not waited.runs:
        return "the last results are written down"
    runs = f"{plural(waited.runs, 'run')} to finish"
    if waited.seconds is None:
        return f"{runs}, and none has ended yet that could tell how long it takes"
    if waited.seconds >= 1:
        return f"{runs}, about {duration(math.ceil(waited.seconds))}"
    late = f", {duration(-waited.seconds)} later than usual" if waited.seconds <= -1 else ", any moment"
    return runs + late


def remaining(snapshot: Snapshot) -> list[str]:
    """What is left, for a line: as much as there is to say first, then shorter; none where nothing is known."""
    left = seconds_left(snapshot)
    if snapshot.end_runs and snapshot.end_runs.begun and snapshot.status == "running":
        made = _made(snapshot.end_runs)
        return [*([] if left is None else [f"{made}, about {about(left)}"]), made]
    if left is None or snapshot.status == "draining":
        return []
    if snapshot.deadline is not None and left >= snapshot.deadline - snapshot.now:
        return [f"{duration(left)} left"]
    return [f"about {about(left)} left"]


def _made(runs: EndRuns) -> str:
    if runs.done < runs.wanted or not runs.room:
        return f"closing {runs.done} of {runs.wanted}"
    return f"ablation {runs.ablated} of {runs.room}"


def _until_experiments(snapshot: Snapshot) -> float | None:
    """Until the experiments are all judged and the runs at the end are made."""
    rate = per_hour(snapshot)
    if snapshot.max_experiments is None or not rate:
        return None
    to_judge = max(snapshot.max_experiments - len(tried(snapshot)), 0)
    end = 0.0 if snapshot.end_runs is None else _closing_seconds(snapshot, snapshot.end_runs)
    return 3600 * to_judge / rate + end


def _closing_seconds(snapshot: Snapshot, runs: EndRuns) -> float:
    """What the runs at the end take, all agents together, less what those that run have done by now."""
    usual = snapshot.budget if snapshot.usual_seconds is None else snapshot.usual_seconds
    agents = max(sum(agent.state != "stopped" for agent in snapshot.agents), 1)
    running = [run.started + usual - snapshot.now for run in snapshot.runs if run.state == "running" and runs.begun]
    waiting = max(runs.doubts + runs.wanted - runs.done + runs.room - runs.ablated - len(running), 0)
    begun = [max(left, 0.0) for left in running]
    return max([(waiting * usual + sum(begun)) / agents, *begun])


def _life_began(snapshot: Snapshot) -> float:
    return max([snapshot.started, *(event.at for event in snapshot.events if event.kind == RESUMED)])
