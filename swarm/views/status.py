"""A swarm in short, as the verb `status` prints it: for people, or as JSON."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from swarm.snapshot.records import Snapshot
from swarm.views.comparable_swarms import render_swarms
from swarm.views.header import header
from swarm.views.strict_json import strict_json
from swarm.views.tables import agents_table, experiments_table, last_judged
from swarm.wording.audit_marks import legend
from swarm.wording.formatting import Portable, clean
from swarm.wording.pace import money_seconds, per_hour, seconds_left
from swarm.wording.standing import kept_steps, standing
from swarm.wording.verdict_text import failures, tried

_LISTED = 5  # experiments
WIDEST = 120  # cells, of the header where no screen is its end


class _Status(Struct, frozen=True):
    snapshot: Snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        snapshot, width = self.snapshot, options.max_width
        parts: list[RenderableType] = [*header(snapshot, min(width, WIDEST))]
        if snapshot.agents:
            parts += [Text(), agents_table(snapshot, snapshot.agents, width)]
        newest = last_judged(snapshot, _LISTED)
        if newest:
            parts += [Text(), experiments_table(snapshot, newest, width)]
        if meant := legend(newest):
            parts.append(Text(", ".join(meant), "dim"))
        if len(snapshot.swarms) > 1:
            parts += [Text(), render_swarms(snapshot)]
        parts += [Text(), Text(clean(snapshot.folder), "dim")]
        yield Portable(Group(*parts))


def render_status(snapshot: Snapshot) -> RenderableType:
    """A swarm in short, printed once: header, every agent, the last verdicts, where the files are."""
    return _Status(snapshot)


COPIED = (
    *("tag", "status", "started", "now", "ended", "deadline", "limits", "folder", "branch", "policy", "researcher"),
    *("device", "budget", "metric", "direction", "baseline", "sigma", "best", "champion", "train_share", "gpu_hours"),
    *(
        "end_runs",
        "usual_seconds",
        "spent_usd",
        "reserved_usd",
        "spend_limit_usd",
        "tokens",
        "token_limit",
        "cache_share",
        "warnings",
        "saturated",
    ),
)


def status_json(snapshot: Snapshot) -> dict[str, Any]:
    """A swarm as one strict JSON object: what is not known is null, and no number is NaN or infinite.

    `failures` counts the runs that gave no number, by kind (oom, nan, diverged, timeout, stall, code, ...); a filler
    that gave way to an idea is none, and `train_share` is without fillers.
    `nights` are all swarms of the repository; only the `comparable` ones may be ranked with this one. `agents`,
    `experiments` (with a verdict, without the baseline), `keep`, `discard` and `crash` are counts; what they
    count is listed in `agent_list` and `experiment_list`. `baseline`, `sigma` and `best` are in units of the metric,
    every `gain` is positive where it is better, times are unix seconds.
    """
    counts = {"keep": 0, "discard": 0, "crash": 0, **snapshot.counts}
    newest = snapshot.trunk[-1] if len(snapshot.trunk) > 1 else None
    return strict_json(
        {
            **{name: getattr(snapshot, name) for name in COPIED},
            **counts,
            "failures": failures(snapshot),
            "agents": len(snapshot.agents),
            "experiments": len(tried(snapshot)),
            "steps": len(standing(snapshot)),
            "kept": len(kept_steps(snapshot)),
            "experiments_per_hour": per_hour(snapshot),
            "seconds_left": seconds_left(snapshot),
            "money_seconds": money_seconds(snapshot),
            "hidden_split": snapshot.hidden_split,
            "hidden": snapshot.hidden,
            "best_gain": newest.gain if newest else None,
            "best_interval": [newest.low, newest.high] if newest else None,
            "agent_list": snapshot.agents,
            "experiment_list": snapshot.experiments,
            "trunk": snapshot.trunk,
            "confirmations": snapshot.confirmations,
            "runs": snapshot.runs,
            "nights": [{**strict_json(swarm), "comparable": not swarm.differs} for swarm in snapshot.swarms],
            "notes": [{"at": at, "text": text} for at, text in snapshot.notes],
        }
    )
