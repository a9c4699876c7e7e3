"""What became of a capsule here: its numbers and ours in two columns, for a terminal or as JSON."""

from __future__ import annotations

from typing import Any

from msgspec import structs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.coordinator.verification import Claim, Verified
from swarm.wording.formatting import UNKNOWN, Portable, clean

_STYLES = {"holds": "green", "does not hold": "red", "unclear": "yellow"}


def render_verified(verified: Verified) -> RenderableType:
    """The two columns, and whether the claim holds."""
    capsule, found = verified.capsule, verified.comparison
    rows = {
        f"mean {capsule.metric}": (
            f"{capsule.mean:.6g} ({capsule.low:.6g} to {capsule.high:.6g} expected)",
            f"{verified.mean:.6g}",
        ),
        "the baseline's": (
            UNKNOWN if capsule.baseline is None else f"{capsule.baseline:.6g}",
            f"{verified.baseline:.6g}",
        ),
        "gain over the baseline": (
            UNKNOWN if capsule.gain is None else f"{capsule.gain:.3g}",
            f"{found.gain:.3g} ({found.low:.3g} to {found.high:.3g})",
        ),
        "runs": (f"{capsule.runs}{'' if capsule.fresh else ', selected by them'}", f"{found.pairs} + {found.pairs}"),
        **{name: (str(capsule.key.get(name)), str(verified.key.get(name))) for name in ("device", *verified.differs)},
    }
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in ("", "capsule", "here"):
        drawn.add_column(heading)
    for name, cells in rows.items():
        drawn.add_row(Text(name, "dim"), *(Text(clean(cell)) for cell in cells))
    title = Text(f"{clean(capsule.experiment)}  {clean(capsule.title)}", "bold")
    return Portable(Group(title, drawn, Text(sentence(verified), _STYLES[verified.claim])))


def sentence(verified: Verified) -> str:
    """The verdict in words, and what it rests on."""
    more = "; more --seeds would tell" if verified.claim == Claim.UNCLEAR else ""
    if verified.shifted:
        return (
            f"{verified.claim}: the untouched code itself measures otherwise here, as on a busy machine, so that only"
            f" the gain over the baseline is compared{more}"
        )
    if not verified.differs:
        return f"{verified.claim}: the mean here is held against the interval, as machine and data are the same"
    others = ", ".join(map(clean, verified.differs))
    return f"{verified.claim}: another {others}, so that only the gain over the baseline is compared{more}"


def verified_json(verified: Verified) -> dict[str, Any]:
    capsule, found = verified.capsule, verified.comparison
    return {
        "experiment": capsule.experiment,
        "metric": capsule.metric,
        "direction": capsule.direction,
        "expected": {"mean": capsule.mean, "low": capsule.low, "high": capsule.high, "gain": capsule.gain},
        "mean": verified.mean,
        "baseline": verified.baseline,
        **{name: value for name, value in structs.asdict(found).items() if name in ("gain", "low", "high")},
        "n": found.pairs,
        "differs": list(verified.differs),
        "shifted": verified.shifted,
        "key": dict(verified.key),
        "claim": verified.claim,
    }
