"""The results of confirmations (the strict tests on fresh seeds), as a sentence and as a table of the report."""

from __future__ import annotations

from swarm.judge.closing import Headline
from swarm.snapshot.records import ConfirmationView, Snapshot
from swarm.wording.formatting import UNKNOWN, Scale, clean, short_id
from swarm.wording.markdown import code, escape, table

_ASKED = {"swarm": "while it ran", "closing": "closing wave", "people": "by hand"}


def confirmations_of(snapshot: Snapshot, experiment: str) -> list[ConfirmationView]:
    """The confirmations of one experiment, oldest first."""
    return [test for test in snapshot.confirmations if test.experiment == experiment]


def confirmation_sentence(test: ConfirmationView, scale: Scale) -> str:
    """`confirmed against baseline: −0.0047 ± 0.0009 on 4 + 4 fresh runs, p 0.0004`."""
    against = f"against {clean(test.rival_title)}"
    if test.ended is None:
        return f"being tested {against} on {test.wanted} + {test.wanted} fresh runs"
    if test.gain is None:
        return f"not confirmed {against}: too many of its fresh runs gave no number"
    word = "confirmed" if test.state == "confirmed" else "not confirmed"
    interval = scale.interval(test.gain, test.low, test.high)
    second = f"; on the hidden split {hidden_gain(test.hidden, scale)}" if test.hidden else ""
    decided = ""
    if test.corrected_gain is not None and scale.change(test.corrected_gain) != scale.change(test.gain):
        decided = f" (corrected for GPUs and steps {scale.change(test.corrected_gain)}, which decided)"
    runs = f"{test.n} + {test.m} fresh runs"
    return f"{word} {against}: {interval}{decided} on {runs}, p {_probability(test.p)}{second}"


def hidden_gain(hidden: Headline | None, scale: Scale) -> str:
    """The gain on the hidden split with its interval."""
    return UNKNOWN if hidden is None else scale.interval(hidden.gain, hidden.gain_low, hidden.gain_high)


def confirmations_table(snapshot: Snapshot) -> str:
    """All confirmations of the swarm as a Markdown table; empty where there was none."""
    scale = Scale.of(snapshot)
    corrected = any(
        test.corrected_gain is not None and scale.change(test.corrected_gain) != scale.change(test.gain)
        for test in snapshot.confirmations
    )
    rows = [
        {
            "experiment": code(short_id(test.experiment, snapshot.tag)),
            "against": escape(test.rival_title),
            "asked": _ASKED[test.asked],
            "gain": scale.interval(test.gain, test.low, test.high),
            **({"corrected": scale.change(test.corrected_gain)} if corrected else {}),
            "fresh runs": UNKNOWN if test.n is None else f"{test.n} + {test.m}",
            "p": _probability(test.p),
            **({"hidden split": hidden_gain(test.hidden, scale)} if snapshot.hidden_split else {}),
            "outcome": test.state,
            "what": escape(test.title),
        }
        for test in snapshot.confirmations
    ]
    return table(rows)


def _probability(p: float | None) -> str:
    return UNKNOWN if p is None else f"{p:.2g}"
