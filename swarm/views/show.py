"""What `show` and `status` print: one experiment in full, or a swarm in short, for people or as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from swarm.snapshot.records import ConfirmationView, ExperimentView, RunView, Snapshot
from swarm.views.confirmations import of_experiment, sentence
from swarm.views.groups import render_groups
from swarm.views.header import header
from swarm.views.tables import RUNG_STYLES, STATUS_STYLES, agents_table, experiments_table, last_judged
from swarm.views.text import Portable, Scale, clean, clean_block, clock, quantity
from swarm.views.trust import is_unaudited, is_unboxed, told
from swarm.views.verdicts import failures, judged, verdict

_STATUS_EXPERIMENTS = 5


# ---------------------------------------------------------------------------------------------------------------
# One experiment


def render_experiment(
    view: ExperimentView,
    runs: Sequence[RunView],
    diff: str,
    log_tail: str,
    scale: Scale | None = None,
    sigma: float | None = None,
    tests: Sequence[ConfirmationView] = (),
) -> RenderableType:
    """An experiment in full: idea, verdict in plain words, every run, the diff against its parent, the log's end.

    `scale` tells how the metric is written (`Scale.of(snapshot)`), `sigma` the noise that tells refuted from
    unproven. `tests` are its confirmations. `diff` and `log_tail` may be empty.
    """
    scale = scale or Scale()
    parts: list[RenderableType] = [
        Text.assemble((clean(view.id), "bold"), "  ", _word(view), f"  {clean(view.title)}"),
        Text(f"{clean(view.category)} · {clean(view.agent)} · {_commits(view)}", "dim"),
    ]
    if view.rationale:
        parts += [Text(), Text(clean(view.rationale))]
    parts += [Text(), Text(verdict(view, sigma), "bold")]
    if view.quarantine:
        parts.append(Text(f"in quarantine: {clean(view.quarantine)}", "bold red"))
    if view.reason:
        parts.append(Text(clean(view.reason)))
    parts += [Text(sentence(test, scale)) for test in tests]
    parts += [_figures(view, scale), Text(), _runs_table(runs, scale)]
    if diff.strip():
        parts += [Text(), *_coloured(diff)]
    if log_tail.strip():
        parts += [Text(), Text("end of the log", "dim"), Padding(Text(clean_block(log_tail)), (0, 0, 0, 2))]
    return Portable(Group(*parts))


def _word(view: ExperimentView) -> Text:
    if view.status is None:
        return Text(clean(view.state), "yellow")
    word = Text(view.status, STATUS_STYLES.get(view.status, ""))
    if view.status != "keep" and not view.quarantine:
        return word
    return Text.assemble(word, " ", (view.rung, RUNG_STYLES.get(view.rung, "")))


def _commits(view: ExperimentView) -> str:
    commit = f"commit {view.commit[:7]}" if view.commit else "no commit yet"
    return f"{commit} on {view.parent[:7]}" if view.parent else commit


def _figures(view: ExperimentView, scale: Scale) -> Text:
    line = Text.assemble(f"{scale.metric} ", (scale.value(view.value), "bold"))
    if not view.baseline:
        line.append(f"  {scale.interval(view.gain, view.low, view.high)} against its parent")
    line.append(f" ({scale.direction} is better, ± is a 95% interval)  peak memory {_memory(view)}", "dim")
    line.append_text(_trust(view))
    return line


def _trust(view: ExperimentView) -> Text:
    """A line on who vouches for the number; none without one."""
    if view.value is None:
        return Text()
    who = "unaudited: its own code printed the number" if is_unaudited(view) else "audited: the referee measured it"
    where = "outside a sandbox, with your rights" if is_unboxed(view) else "in a sandbox"
    return Text(f"\n{who}; trained {where}", "yellow" if is_unaudited(view) or is_unboxed(view) else "dim")


def _memory(view: ExperimentView) -> str:
    return quantity(None if view.peak_vram_mb is None else view.peak_vram_mb / 1024, " GB", 1)


def _runs_table(runs: Sequence[RunView], scale: Scale) -> RenderableType:
    if not runs:
        return Text("no run yet", "dim")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in ("run", "started", "purpose", "agent"):
        table.add_column(heading, no_wrap=True)
    for heading in ("seed", scale.metric, "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    second = any(run.hidden is not None for run in runs)
    if second:
        table.add_column("hidden split", justify="right", no_wrap=True)
    for heading in ("came to", "trust"):
        table.add_column(heading, no_wrap=True)
    for run in runs:
        attempt = f" (attempt {run.attempt})" if run.attempt > 1 else ""
        outcome = run.failure or run.state
        cells = (clean(run.id) + attempt, clock(run.started, seconds=True), clean(run.purpose), clean(run.agent))
        figures = (str(run.seed), scale.value(run.metric), quantity(run.seconds, "", 1))
        figures += (scale.value(run.hidden),) if second else ()
        table.add_row(*map(Text, cells + figures), Text(clean(outcome), "red" if run.failure else ""), _vouched(run))
    return table


def _vouched(run: RunView) -> Text:
    return Text(told(run.audited, run.sandboxed), "dim" if run.audited and run.sandboxed else "yellow")


def _coloured(diff: str) -> Iterator[Text]:
    for line in clean_block(diff).strip("\n").split("\n"):
        if line.startswith(("+++", "---", "diff ", "index ")):
            style = "bold"
        else:
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        yield Text(line, style, no_wrap=True, overflow="ignore")


def experiment_json(snapshot: Snapshot, view: ExperimentView) -> dict[str, Any]:
    """An experiment and its runs as one strict JSON object, with the verdict in plain words."""
    runs = [run for run in snapshot.runs if run.experiment == view.id]
    told = {"verdict": verdict(view, snapshot.sigma), "confirmations": of_experiment(snapshot, view.id), "runs": runs}
    return _strict(view) | _strict(told)


# ---------------------------------------------------------------------------------------------------------------
# A whole swarm


@dataclass(frozen=True, slots=True)
class _Status:
    snapshot: Snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        snapshot, width = self.snapshot, options.max_width
        parts: list[RenderableType] = [*header(snapshot, width)]
        if snapshot.agents:
            parts += [Text(), agents_table(snapshot, snapshot.agents, width)]
        newest = last_judged(snapshot, _STATUS_EXPERIMENTS)
        if newest:
            parts += [Text(), experiments_table(snapshot, newest, width)]
        if len(snapshot.nights) > 1:
            parts += [Text(), render_groups(snapshot)]
        parts += [Text(), Text(clean(snapshot.folder), "dim")]
        yield Portable(Group(*parts))


def render_status(snapshot: Snapshot) -> RenderableType:
    """A swarm in short, printed once: header, every agent, the last verdicts, where the files are."""
    return _Status(snapshot)


_MONEY = ("spent_usd", "reserved_usd", "spend_limit_usd", "tokens", "token_limit", "cache_share")


def status_json(snapshot: Snapshot) -> dict[str, Any]:
    """A swarm as one strict JSON object: what is not known is null, and no number is NaN or infinite.

    `failures` counts the runs that gave no number, by kind (oom, nan, diverged, timeout, stall, code, ...); a filler
    that gave way to an idea is none, and `train_share` is without fillers.
    `nights` are all of the repository, of which only `comparable` ones may be ranked with this one. `agents`,
    `experiments` (with a verdict, without the baseline), `keep`, `discard` and `crash` are counts; what they
    count is listed in `agent_list` and `experiment_list`. `baseline`, `sigma` and `best` are in units of the metric,
    every `gain` is positive where it is better, times are unix seconds.
    """
    counts = {"keep": 0, "discard": 0, "crash": 0, **snapshot.counts}
    newest = snapshot.trunk[-1] if len(snapshot.trunk) > 1 else None
    shown = (
        "tag",
        "status",
        "started",
        "now",
        "ended",
        "deadline",
        "limits",
        "folder",
        "branch",
        "policy",
        "researcher",
    )
    rest = (
        "device",
        "budget",
        "metric",
        "direction",
        "baseline",
        "sigma",
        "best",
        "champion",
        "train_share",
        "gpu_hours",
    )
    whole = {name: getattr(snapshot, name) for name in (*shown, *rest, *_MONEY, "warnings", "saturated")}
    return _strict(
        {
            **whole,
            **counts,
            "failures": failures(snapshot),
            "agents": len(snapshot.agents),
            "experiments": len(judged(snapshot)),
            "hidden_split": snapshot.hidden_split,
            "hidden": snapshot.hidden,
            "best_gain": newest.gain if newest else None,
            "best_interval": [newest.low, newest.high] if newest else None,
            "agent_list": snapshot.agents,
            "experiment_list": snapshot.experiments,
            "trunk": snapshot.trunk,
            "confirmations": snapshot.confirmations,
            "runs": snapshot.runs,
            "nights": [{**_strict(night), "comparable": not night.differs} for night in snapshot.nights],
            "notes": [{"at": at, "text": text} for at, text in snapshot.notes],
        }
    )


def _strict(value: Any) -> Any:
    """`value` as JSON knows it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _strict(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
