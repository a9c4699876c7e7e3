"""What prior art says of an idea, in a line: a hint from elsewhere, and whether anybody measured it there."""

from __future__ import annotations

from swarm.snapshot.records import KnownView
from swarm.wording.formatting import clean


def known_text(known: KnownView) -> str:
    """As "halve the batch: gain +0.0119 there, measured; SOURCE"."""
    return f"{clean(known.what)}: {effect_text(known.gain, known.estimated)}; {clean(known.source)}"


def effect_text(gain: float | None, estimated: bool) -> str:
    """The effect elsewhere, and how it is known."""
    if gain is None:
        return "effect not known"
    return f"gain {gain:+.4g} there, {'estimated' if estimated else 'measured'}"
