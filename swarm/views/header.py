"""The first lines of leaderboard and status: what the swarm is, its best result, its counts and its cost."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from swarm.snapshot.records import Snapshot, TrunkView
from swarm.views.tables import STATUS_STYLES, gain_style
from swarm.wording.facts import elapsed
from swarm.wording.formatting import (
    Scale,
    about,
    clean,
    dollars,
    machine_hours,
    plural,
    share,
    short_id,
    shorten,
    sparkline,
)
from swarm.wording.headline import without_baseline
from swarm.wording.pace import money_seconds, per_hour, remaining
from swarm.wording.standing import is_weighed, kept_steps, standing, tally
from swarm.wording.verdict_text import tried
from swarm.wording.warnings import warnings

MESSAGE_LINES = 3
_TITLE = 20  # cells that a title gets before what a swarm cost
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
    state = Text(f"● {snapshot.status}", _SWARM_STYLES.get(snapshot.status, "bold"))
    name = shorten(clean(snapshot.tag), max(width - state.cell_len - 2, 1))
    left, ran, to_come = Text.assemble((name, "bold"), "  ", state), elapsed(snapshot), remaining(snapshot)
    right = _fitting([*(f"{ran} · {text}" for text in to_come[:1]), *to_come, ran], width - left.cell_len - 2)
    for detail in (snapshot.device, snapshot.researcher, snapshot.policy):
        if detail and left.cell_len + len(detail) + right.cell_len + 5 <= width:
            left.append(f" · {clean(detail)}", "dim")
    return _spread(left, right, width)


def _best(snapshot: Snapshot, width: int) -> Text:
    scale = Scale.of(snapshot)
    if snapshot.baseline is None:
        waits = without_baseline(snapshot)
        return Text(f"{shorten(scale.metric, max(width - len(waits) - 2, 1))}: {waits}", "bold")
    value = scale.value(snapshot.baseline if snapshot.best is None else snapshot.best)
    metric = shorten(scale.metric, max(width - len(value) - 1, 1))
    line = Text.assemble(f"{metric} ", (value, "bold"))
    newest = snapshot.trunk[-1] if len(snapshot.trunk) > 1 else None
    if newest is None:
        return _appended(line, [("  the baseline, nothing kept yet", "dim")], width)
    counted = plural(newest.n, "fresh run" if newest.fresh else "run")
    line = _appended(
        line,
        [
            (f"  {scale.interval(newest.gain, newest.low, newest.high)}", gain_style(newest.gain, newest.low)),
            (f"  from baseline {scale.value(snapshot.baseline)}", "dim"),
            (f", {counted}" if newest.n == 1 else f", mean of {counted}", "dim"),
        ],
        width,
    )
    room = min(width - line.cell_len - 2, 48)
    return _spread(line, Text(sparkline(_climb(snapshot, room)), "green"), width) if room >= 8 else line


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
    number, most = len(tried(snapshot)), snapshot.max_experiments if snapshot.ended is None else None
    tally = Text(f"{number} of {plural(most, 'experiment')} ·" if most else f"{plural(number, 'experiment')} ·")
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
    rate = per_hour(snapshot)
    return "" if rate is None else f"{rate:.3g} an hour"


def _noise(snapshot: Snapshot) -> str:
    if snapshot.noiseless:
        return "exact: one run decides"
    return "noise unmeasured" if snapshot.sigma == 0 else f"sigma {Scale.of(snapshot).value(snapshot.sigma)}"


def _champion(snapshot: Snapshot, width: int) -> Text:
    """Who leads, and what it cost: where there is no room for both, the cost gives way word by word."""
    if snapshot.champion is None:
        texts = _no_champion(snapshot)
        right = _fitting(_costs(snapshot), width - cell_len(texts[-1]) - 2)
        room = width - right.cell_len - 2 * bool(right)
        return _spread(Text(next((text for text in texts if cell_len(text) <= room), ""), "dim"), right, width)
    titles = {experiment.id: experiment.title for experiment in snapshot.experiments}
    title = clean(titles.get(snapshot.champion, ""))
    left = Text.assemble(("champion", "bold magenta"), f" {short_id(snapshot.champion, snapshot.tag)}")
    right = _fitting(_costs(snapshot), width - left.cell_len - 2 - min(cell_len(title), _TITLE) - 2)
    room = width - left.cell_len - 2 - right.cell_len - 2 * bool(right)
    if room >= min(cell_len(title), _TITLE):  # somebody else's words: as much of them as there is room for
        left.append(f"  {shorten(title, room)}")
    return _spread(left, right, width)


def _no_champion(snapshot: Snapshot) -> list[str]:
    """What stands on the trunk, in full and then shorter."""
    steps, kept = standing(snapshot), kept_steps(snapshot)
    if not steps:
        return ["nothing kept"] if snapshot.noiseless else ["no champion yet: nothing kept", "nothing kept"]
    count = f"{len(kept)} of {plural(len(steps), 'step')} kept" if is_weighed(snapshot) else f"{len(kept)} kept"
    long = tally(snapshot) or count
    if snapshot.noiseless:
        return [long, count]
    return [f"no champion yet: {long}, none confirmed", long, f"{count}, none confirmed", count]


def _costs(snapshot: Snapshot) -> list[str]:
    """What it cost, in full and then shorter."""
    limit = "" if snapshot.spend_limit_usd is None else f" of ${snapshot.spend_limit_usd:g}"
    spent, held = f"{dollars(snapshot.spent_usd)}{limit}", machine_hours(snapshot)
    lasts = money_seconds(snapshot)
    money = [] if lasts is None or not snapshot.is_led else [f"{spent}, enough for {about(lasts)} · {held}"]
    return [*money, f"{spent} · {held}", spent]


def _fitting(texts: Sequence[str], room: int) -> Text:
    """The first of `texts`, dimly, that `room` cells hold whole; nothing where none does."""
    return Text(next((text for text in texts if cell_len(text) <= room), ""), "dim")


def _appended(line: Text, parts: Sequence[tuple[str, str]], width: int) -> Text:
    """The line with as many of the parts, first things first, as it holds whole."""
    for text, style in parts:
        if line.cell_len + cell_len(text) > width:
            break
        line.append(text, style)
    return line


def _spread(left: Text, right: Text, width: int) -> Text:
    """`left` and `right` at the two ends of one line, which holds both."""
    return Text.assemble(left, " " * max(width - left.cell_len - right.cell_len, 0), right) if right else left


def _joined(details: Sequence[Text], width: int) -> Text:
    """As many of `details`, first things first, as one line holds."""
    line = Text()
    for detail in filter(None, details):
        addition = Text.assemble((" · ", "dim"), detail) if line else detail
        if not line or line.cell_len + addition.cell_len <= width:
            line.append_text(addition)
    line.truncate(width, overflow="ellipsis")
    return line
