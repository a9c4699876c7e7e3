"""The first lines of leaderboard and status: what the swarm is, its best result, its counts and its cost."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.text import Text

from swarm.snapshot.records import Snapshot, TrunkView
from swarm.views.tables import STATUS_STYLES, gain_style
from swarm.wording.facts import times
from swarm.wording.formatting import (
    Scale,
    clean,
    dollars,
    machine_hours,
    plural,
    share,
    short_id,
    shorten,
    sparkline,
)
from swarm.wording.standing import tally
from swarm.wording.verdict_text import judged
from swarm.wording.warnings import warnings

MESSAGE_LINES = 3
_SWARM_STYLES = {"starting": "cyan", "running": "green", "draining": "yellow", "interrupted": "red", "failed": "red"}


def header(snapshot: Snapshot, width: int) -> list[Text]:
    """What the swarm is, how far it came, what it cost: four lines, and one more where there is a warning."""
    lines = [_identity(snapshot, width), _best(snapshot, width), _counts(snapshot, width), _champion(snapshot, width)]
    if found := warnings(snapshot):
        lines += [Text(line, "yellow") for line in _wrapped("! " + found[0], width)]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    """A message on at most three lines; where it is longer, what it ends with, the remedy, is kept."""
    lines = textwrap.wrap(text, max(width, 2))
    return lines if len(lines) <= MESSAGE_LINES else [lines[0], *lines[1 - MESSAGE_LINES :]]


def _identity(snapshot: Snapshot, width: int) -> Text:
    left = Text.assemble(
        (clean(snapshot.tag), "bold"), "  ", (f"● {snapshot.status}", _SWARM_STYLES.get(snapshot.status, "bold"))
    )
    for detail in (snapshot.device, snapshot.researcher, snapshot.policy):
        if detail and left.cell_len + len(detail) + 40 <= width:
            left.append(f" · {clean(detail)}", "dim")
    return _spread(left, Text(times(snapshot, " · ")), width)


def _best(snapshot: Snapshot, width: int) -> Text:
    scale = Scale.of(snapshot)
    if snapshot.baseline is None:
        return Text(shorten(f"{scale.metric}: the baseline is being measured", width), "bold")
    line = Text.assemble(
        (f"{scale.metric} ", ""),
        (scale.value(snapshot.baseline if snapshot.best is None else snapshot.best), "bold"),
        "  ",
    )
    newest = snapshot.trunk[-1] if len(snapshot.trunk) > 1 else None
    if newest is None:
        line.append("the baseline, nothing kept yet", "dim")
    else:
        line.append(scale.interval(newest.gain, newest.low, newest.high), gain_style(newest.gain, newest.low))
        line.append(f"  from baseline {scale.value(snapshot.baseline)}", "dim")
        counted = f", mean of {plural(newest.n, 'fresh run' if newest.fresh else 'run')}"
        if line.cell_len + len(counted) <= width:
            line.append(counted, "dim")
    room = min(width - line.cell_len - 2, 48)
    if newest is not None and room >= 8:
        return _spread(line, Text(sparkline(_climb(snapshot, room)), "green"), width)
    line.truncate(width, overflow="ellipsis")
    return line


def _climb(snapshot: Snapshot, buckets: int) -> list[float | None]:
    """The trunk's gain over the baseline at evenly spaced moments from the start until now."""
    span = max((snapshot.ended or snapshot.now) - snapshot.started, 1.0)
    moments = (snapshot.started + span * (bucket + 1) / buckets for bucket in range(buckets))
    return [_gain_at(snapshot.trunk, moment) for moment in moments]


def _gain_at(trunk: Sequence[TrunkView], moment: float) -> float | None:
    reached = [step for step in trunk if step.at <= moment]
    if not reached:
        return None
    return 0.0 if reached[-1].position == 0 else reached[-1].gain


def _counts(snapshot: Snapshot, width: int) -> Text:
    counts = snapshot.counts
    tally = Text(plural(len(judged(snapshot)), "experiment") + " ·")
    for status in ("keep", "discard", "crash"):
        tally.append(f" {counts.get(status, 0)} {status}", STATUS_STYLES[status])
    details = [
        tally,
        Text(_rate(snapshot)),
        Text(_noise(snapshot)),
        Text("" if snapshot.train_share is None else f"{share(snapshot.train_share)} training"),
        *(Text(f"{counts[name]} {name}") for name in ("duplicate", "invalid") if counts.get(name)),
        Text(f"limits {clean(snapshot.limits)}" if snapshot.limits else ""),
    ]
    return _joined(details, width)


def _rate(snapshot: Snapshot) -> str:
    """Experiments an hour, once there are some to count by."""
    done, hours = len(judged(snapshot)), ((snapshot.ended or snapshot.now) - snapshot.started) / 3600
    return f"{done / hours:.3g} an hour" if done > 1 and hours > 0 else ""


def _noise(snapshot: Snapshot) -> str:
    if snapshot.noiseless:
        return "exact: one run decides"
    return "noise unmeasured" if snapshot.sigma == 0 else f"sigma {Scale.of(snapshot).value(snapshot.sigma)}"


def _champion(snapshot: Snapshot, width: int) -> Text:
    limit = "" if snapshot.spend_limit_usd is None else f" of ${snapshot.spend_limit_usd:g}"
    resources = f"{dollars(snapshot.spent_usd)}{limit} · {machine_hours(snapshot)}"
    if snapshot.champion is None:
        kept = len(snapshot.trunk) - 1
        confirms = not snapshot.noiseless
        why = f"{tally(snapshot) or f'{kept} kept'}{', none confirmed' * confirms}" if kept > 0 else "nothing kept"
        left = Text(f"{'no champion yet: ' * confirms}{why}", "dim")
    else:
        titles = {experiment.id: experiment.title for experiment in snapshot.experiments}
        title = clean(titles.get(snapshot.champion, ""))
        left = Text.assemble(("champion", "bold magenta"), f" {short_id(snapshot.champion, snapshot.tag)}  {title}")
    return _spread(left, Text(resources, "dim"), width)


def _spread(left: Text, right: Text, width: int) -> Text:
    """`left` and `right` at the two ends of one line; `left` gives way."""
    if right.cell_len + 12 > width:
        left.truncate(width, overflow="ellipsis")
        return left
    left.truncate(width - right.cell_len - 2, overflow="ellipsis")
    return Text.assemble(left, " " * (width - left.cell_len - right.cell_len), right)


def _joined(details: Sequence[Text], width: int) -> Text:
    """As many of `details`, first things first, as one line holds."""
    line = Text()
    for detail in filter(None, details):
        addition = Text.assemble((" · ", "dim"), detail) if line else detail
        if not line or line.cell_len + addition.cell_len <= width:
            line.append_text(addition)
    line.truncate(width, overflow="ellipsis")
    return line
