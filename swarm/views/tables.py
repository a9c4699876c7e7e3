"""The leaderboard's tables: one row per agent, one row per experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from rich.table import Table
from rich.text import Text

from swarm.records import Outcome
from swarm.snapshot.records import AgentView, ExperimentView, Snapshot
from swarm.views.columns import Column, fitting_table
from swarm.wording.audit_marks import marks
from swarm.wording.formatting import Scale, clean, clock, dollars, quantity, share, short_id, shorten
from swarm.wording.verdict_text import is_held, is_large, is_near_miss, judged

STATUS_STYLES = {"keep": "green", "discard": "dim", "crash": "red"}
RUNG_STYLES = {"seen": "dim", "carried": "blue", "kept": "green", "confirmed": "bold cyan", "champion": "bold magenta"}
RUNG_STYLES |= {"undone": "red", "invalid": "bold red", "tainted": "red"}
_STATES = {
    "training": ("●", "green"),
    "measuring": ("◐", "cyan"),
    "drafting": ("○", "yellow"),
    "starting": ("○", "cyan"),
    "resting": ("·", "dim"),
    "stopped": ("■", "dim"),
    "lost": ("×", "bold red"),
    "fenced": ("▲", "bold red"),
}
_BAR = 8


# ---------------------------------------------------------------------------------------------------------------
# Agents


def agents_table(snapshot: Snapshot, agents: Sequence[AgentView], width: int) -> Table:
    """One row per agent. A narrow terminal has one word for what the GPU does: why it trains, or its state."""
    roomy = width >= 100
    interval = partial(_best_gain, scale=Scale.of(snapshot))
    mixed = len({agent.researcher for agent in snapshot.agents}) > 1
    columns: list[Column[AgentView]] = [
        Column("agent", lambda a: Text(clean(a.agent), "bold"), 0, cells=5),
        Column("branch", lambda a: Text(clean(a.branch), "dim"), 11),
        Column("state", partial(_state, brief=not roomy), 2, cells=11),
        *([Column("purpose", lambda a: Text(clean(a.purpose), "cyan"), 3, cells=9)] if roomy else []),
        Column("tries now", _tries, 1, cells=max(18, min(width // 4, 26)), stretch=2),
        Column("progress", _bar, 6, cells=_BAR, optional=True),
        Column("loss", lambda a: Text(quantity(a.loss, "", 3)), 5, cells=5, right=True, optional=True),
        Column("vs baseline", interval, 4, cells=16),
        Column("k/d/c", _tally, 7, cells=6, right=True),
        Column("spent", _spent, 8, right=True, optional=True),
        Column("load", lambda a: Text(share(a.gpu_load)), 8, cells=4, right=True, optional=True),
        Column("memory", lambda a: Text(quantity(a.gpu_memory_gb, " GB", 1)), 9, right=True, optional=True),
        Column("power", lambda a: Text(quantity(a.gpu_watts, " W")), 9, right=True, optional=True),
        Column("device", lambda a: Text(clean(a.device), "dim"), 13, optional=True),
        Column("researcher", lambda a: Text(clean(a.researcher), "dim"), 4 if mixed else 10, optional=True),
        Column("why", partial(_why, snapshot=snapshot), 12, cells=18, stretch=3, optional=True),
    ]
    return fitting_table(columns, agents, width)


def agents_beyond(hidden: Sequence[AgentView], width: int) -> Text:
    """One line for the agents that have no row: "+56 more: 48 training, 6 drafting, 2 lost"."""
    states = ", ".join(f"{count} {state}" for state, count in Counter(a.state for a in hidden).most_common())
    return Text(shorten(f"+{len(hidden)} more: {states}", width), "dim")


def _state(agent: AgentView, brief: bool) -> Text:
    sign, style = _STATES.get(agent.state, ("·", ""))
    word = agent.purpose if brief and agent.state == "training" and agent.purpose else agent.state
    return Text(f"{sign} {'first run' if word == 'first' else clean(word)}", style)


def _tries(agent: AgentView) -> Text:
    return Text(clean(agent.title)) if agent.title else Text(clean(agent.note), "dim")


def _bar(agent: AgentView) -> Text:
    """How much of the training budget is used, in half cells."""
    if agent.experiment is None or agent.budget <= 0:
        return Text()
    used = 1.0 if agent.state == "measuring" else min(max(agent.seconds / agent.budget, 0.0), 1.0)
    full, half = divmod(int(used * _BAR * 2), 2)
    done = "━" * full + "╸" * half
    return Text.assemble((done, "green" if used < 1 else "cyan"), ("─" * (_BAR - len(done)), "dim"))


def _best_gain(agent: AgentView, scale: Scale) -> Text:
    return Text(scale.interval(agent.gain, agent.low, agent.high), gain_style(agent.gain, agent.low))


def _tally(agent: AgentView) -> Text:
    parts = zip(("keep", "discard", "crash"), (agent.keep, agent.discard, agent.crash), strict=True)
    return Text("/").join(Text(str(count), STATUS_STYLES[status] if count else "dim") for status, count in parts)


def _spent(agent: AgentView) -> Text:
    return Text(dollars(agent.usd) if agent.usd else "", "dim")


def _why(agent: AgentView, snapshot: Snapshot) -> Text:
    return Text(next((clean(e.rationale) for e in snapshot.experiments if e.id == agent.experiment), ""), "dim")


def gain_style(gain: float | None, low: float | None) -> str:
    """Green where the whole interval is better, red where the value is worse, plain between."""
    if gain is None:
        return "dim"
    if low is not None and low > 0:
        return "green"
    return "red" if gain < 0 else ""


# ---------------------------------------------------------------------------------------------------------------
# Experiments


def last_judged(snapshot: Snapshot, count: int) -> list[ExperimentView]:
    """The newest verdicts, newest first; the baseline is none."""
    return judged(snapshot)[::-1][: max(count, 0)]


def experiments_table(snapshot: Snapshot, experiments: Sequence[ExperimentView], width: int) -> Table:
    """One row per judged experiment; its value carries the marks of audit_marks.py."""
    scale = Scale.of(snapshot)
    room = max((len(marks(e)) for e in experiments), default=0)
    columns: list[Column[ExperimentView]] = [
        Column("judged", lambda e: Text(clock(e.judged or 0.0), "dim"), 7),
        Column("experiment", lambda e: Text(short_id(clean(e.id), snapshot.tag)), 0),
        Column("status", lambda e: Text(e.status or "", STATUS_STYLES.get(e.status or "", "")), 2, cells=7),
        Column("rung", _rung, 4, cells=9),
        Column(scale.metric, partial(_value, scale=scale, room=room), 5, right=True, foreign=True),
        Column("n", lambda e: Text(str(e.value_n), "dim"), 8, right=True),
        Column("vs parent", partial(_gain, scale=scale), 3, cells=16),
        Column("title", _title, 1, cells=max(18, min(width // 4, 40)), stretch=2),
        Column("category", lambda e: Text(clean(e.category), "dim"), 9),
        Column("peak", lambda e: Text(_gigabytes(e.peak_vram_mb), "dim"), 11, right=True, optional=True),
        Column("commit", lambda e: Text((e.commit or "")[:7], "dim"), 10, cells=7, optional=True),
        Column("why", lambda e: Text(clean(e.reason), "dim"), 12, cells=24, stretch=3, optional=True),
    ]
    return fitting_table(columns, experiments, width)


def _rung(experiment: ExperimentView) -> Text:
    """How far it is proven; where the verdict says more than that it was seen, its word."""
    if is_near_miss(experiment) or is_held(experiment):
        return Text("held", "bold yellow") if is_held(experiment) else Text("near miss", "yellow")
    if experiment.outcome is Outcome.REJECTED:
        return Text("rejected", "bold red")
    if is_large(experiment):
        return Text(f"{clean(experiment.rung)} !", "bold yellow")
    return Text("" if experiment.status == "crash" else clean(experiment.rung), RUNG_STYLES.get(experiment.rung, ""))


def _value(experiment: ExperimentView, scale: Scale, room: int) -> Text:
    return Text(scale.value(experiment.value) + marks(experiment).ljust(room))


def _gain(experiment: ExperimentView, scale: Scale) -> Text:
    if experiment.status == "crash":
        return Text(clean(experiment.failure or "crash"), "red")
    ranked = experiment.status == "keep" and not experiment.quarantine
    style = gain_style(experiment.gain, experiment.low) if ranked else "dim"
    return Text(scale.interval(experiment.gain, experiment.low, experiment.high), style)


def _title(experiment: ExperimentView) -> Text:
    return Text(clean(experiment.title), "dim" if experiment.status == "discard" else "")


def _gigabytes(megabytes: float | None) -> str:
    return quantity(None if megabytes is None else megabytes / 1024, " GB", 1)
