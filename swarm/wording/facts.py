"""What a swarm ran, on what, and how it ended: pairs of a label and a sentence, for every kind of report."""

from __future__ import annotations

from collections import Counter
from statistics import median

from swarm.records import Failure
from swarm.snapshot.records import Snapshot
from swarm.wording.audit_marks import audit_text
from swarm.wording.formatting import Scale, clean, duration, machine_hours, plural, share
from swarm.wording.pace import remaining
from swarm.wording.standing import tally_explained
from swarm.wording.verdict_text import failures, tried

UNMEASURED = "unmeasured: every repeat gave the same number, so seeds do not reach the code"
NOISELESS = "none: equal code gives equal numbers, so that one run decides"


def facts(snapshot: Snapshot) -> dict[str, str]:
    """Label and text, harmless on one line each but not escaped for any format."""
    counts, scale = Counter(e.status for e in tried(snapshot)), Scale.of(snapshot)
    purposes = Counter(run.purpose for run in snapshot.runs)
    end = snapshot.ended or snapshot.now
    rows = {
        "experiments": f"{counts.total()}: {counts['keep']} keep, {counts['discard']} discard, {counts['crash']} crash",
        "runs": f"{len(snapshot.runs)}: {tally(purposes)}" if purposes else "0",
        "runs without a number": tally(failures(snapshot)) or "none",
        **_ended_early(snapshot),
        "refused as repetitions": str(snapshot.counts.get("duplicate", 0)),
        "time": f"{duration(end - snapshot.started)}, {snapshot.status}",
        "machines": f"{plural(len(snapshot.agents), 'agent')}, {clean(snapshot.device)}",
        "machine time": f"{machine_hours(snapshot)}, {share(snapshot.train_share)} of it training",
        "noise of one run (sigma)": _noise(snapshot, scale),
        "researcher": clean(snapshot.researcher),
        "rule and budget": f"{clean(snapshot.lost_policy or snapshot.policy)}, {snapshot.budget:g} s a run",
    }
    if words := tally_explained(snapshot):
        rows["at the end"] = words
    if why := why_it_ended(snapshot):
        rows["why it ended"] = why
    trust = Counter(audit_text(run.audited, run.sandboxed) for run in snapshot.runs if run.metric is not None)
    rows["runs with a number"] = tally(trust) or "none"
    return rows


def _ended_early(snapshot: Snapshot) -> dict[str, str]:
    """What ending hopeless runs half way has saved; nothing where none was."""
    ended = [run.seconds or 0.0 for run in snapshot.runs if run.failure == Failure.FUTILE]
    whole = [run.seconds for run in snapshot.runs if run.metric is not None and run.seconds is not None]
    if not ended or not whole:
        return {}
    saved = sum(max(0.0, median(whole) - seconds) for seconds in ended)
    return {"ended half way as hopeless": f"{plural(len(ended), 'run')}, which saved {duration(saved)} of machine time"}


def times(snapshot: Snapshot, between: str = ", ") -> str:
    """How long it took, or how long it runs and what is left of it."""
    return between.join([elapsed(snapshot), *remaining(snapshot)[:1]])


def elapsed(snapshot: Snapshot) -> str:
    """How long it took, or runs by now."""
    if snapshot.ended is not None:
        return f"took {duration(snapshot.ended - snapshot.started)}"
    return f"{duration(snapshot.now - snapshot.started)} elapsed"


def why_it_ended(snapshot: Snapshot) -> str:
    """The reason in a line; "" of a swarm that goes on, or whose end nobody noted."""
    last = snapshot.events[-1] if snapshot.events else None
    return clean(last.text.splitlines()[0]) if last and last.kind == snapshot.status and last.text else ""


def tally(counts: Counter) -> str:
    """The counts as words, the greatest first: "12 first, 3 replicate"."""
    return ", ".join(f"{count} {clean(str(name))}" for name, count in counts.most_common())


def _noise(snapshot: Snapshot, scale: Scale) -> str:
    if snapshot.noiseless:
        return NOISELESS
    return UNMEASURED if snapshot.sigma == 0 else scale.value(snapshot.sigma)
