"""Writes report.md, the account of one swarm, and progress.png beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.views.audit_marks import audit_text
from swarm.views.comparable_swarms import swarms_markdown
from swarm.views.confirmation_results import confirmations_table
from swarm.views.formatting import (
    UNKNOWN,
    Scale,
    clock,
    dollars,
    duration,
    machine_hours,
    plural,
    share,
    short_id,
    shorten,
)
from swarm.views.headline import headline, second_opinion, title
from swarm.views.markdown import code, escape, fenced, table
from swarm.views.progress_plot import draw_progress
from swarm.views.recommendations import recommend
from swarm.views.standing import LADDER, is_kept, is_weighed, rung_text, tally_explained
from swarm.views.verdict_text import FAILURES, broke_guard, failures, is_held, is_near_miss, is_refuted, judged

_LISTED = 8  # titles named of each kind; the rest is counted
_FOLLOWED = 4  # experiments named of those that followed a note of people
_SMALL_WORDS = frozenset(
    ["about", "could", "from", "have", "instead", "less", "like", "maybe", "more", "please", "should", "some", "than"]
) | {"that", "this", "what", "with", "would"}

UNMEASURED = "unmeasured: every repeat gave the same number, so seeds do not reach the code"
NOISELESS = "none: equal code gives equal numbers, so that one run decides"


def write_report(
    snapshot: Snapshot, folder: Path, usd_per_gpu_hour: float | None, patches: Mapping[str, str]
) -> tuple[Path, Path]:
    """Writes report.md and progress.png into `folder` and returns their paths.

    `usd_per_gpu_hour` prices the machine, where known; `patches` holds the diffs of experiments by id, of which those
    that were kept are shown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture = draw_progress(snapshot, folder / "progress.png")
    sections = {
        "What ran": _ran(snapshot),
        "What was discovered": _discovered(snapshot, patches),
        "Confirmations": confirmations_table(snapshot),
        "In quarantine": _quarantined(snapshot),
        "Better, and not kept": _guarded(snapshot),
        "What did not work": _refused(snapshot),
        "Near misses": _near_misses(snapshot),
        "Crashes": _crashes(snapshot),
        "The ladder of evidence": LADDER * is_weighed(snapshot),
        "What people said": _notes(snapshot),
        "What to try next": "\n".join(f"- {advice}" for advice in recommend(snapshot)),
        "Cost": _cost(snapshot, usd_per_gpu_hour),
        "Agents": _agents(snapshot),
        "Other swarms": swarms_markdown(snapshot),
    }
    parts = [
        f"# {escape(title(snapshot))}",
        headline(snapshot, markdown=True),
        *filter(None, [_opened(snapshot), second_opinion(snapshot)]),
        f"![every experiment of the swarm]({picture.name})",
    ]
    parts += [f"## {name}\n\n{text}" for name, text in sections.items() if text]
    report = folder / "report.md"
    report.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return report, picture


# ---------------------------------------------------------------------------------------------------------------
# Sections, each empty where there is nothing to say


def _opened(snapshot: Snapshot) -> str:
    """What is no ordinary run's to use, said where nobody misses it."""
    lines = [f"**Demonstration only: {escape(snapshot.demonstration)}.**"] if snapshot.demonstration else []
    lines += [f"**Open to every run: {escape('; '.join(snapshot.opened))}.**"] if snapshot.opened else []
    return "\n\n".join(lines)


def _ran(snapshot: Snapshot) -> str:
    from pandas import DataFrame

    counts, scale = Counter(e.status for e in judged(snapshot)), Scale.of(snapshot)
    purposes = Counter(run.purpose for run in snapshot.runs)
    end = snapshot.ended or snapshot.now
    rows = {
        "experiments": f"{counts.total()}: {counts['keep']} keep, {counts['discard']} discard, {counts['crash']} crash",
        "runs": f"{len(snapshot.runs)}: {_tally(purposes)}" if purposes else "0",
        "runs without a number": _tally(failures(snapshot)) or "none",
        "refused as repetitions": snapshot.counts.get("duplicate"),
        "time": f"{duration(end - snapshot.started)}, {snapshot.status}",
        "machines": f"{plural(len(snapshot.agents), 'agent')}, {escape(snapshot.device)}",
        "machine time": f"{machine_hours(snapshot)}, {share(snapshot.train_share)} of it training",
        "noise of one run (sigma)": _noise(snapshot, scale),
        "researcher": escape(snapshot.researcher),
        "rule and budget": f"{escape(snapshot.lost_policy or snapshot.policy)}, {snapshot.budget:g} s a run",
    }
    if words := tally_explained(snapshot):
        rows["at the end"] = words
    last = snapshot.events[-1] if snapshot.events else None
    if last and last.kind == snapshot.status:
        rows["why it ended"] = escape(last.text.splitlines()[0])
    trust = Counter(audit_text(run.audited, run.sandboxed) for run in snapshot.runs if run.metric is not None)
    rows["runs with a number"] = _tally(trust) or "none"
    return table(DataFrame({"": list(rows), "this swarm": list(rows.values())}, dtype=object))


def _noise(snapshot: Snapshot, scale: Scale) -> str:
    if snapshot.noiseless:
        return NOISELESS
    return UNMEASURED if snapshot.sigma == 0 else scale.value(snapshot.sigma)


def _tally(counts: Counter) -> str:
    return ", ".join(f"{count} {escape(str(name))}" for name, count in counts.most_common())


def _discovered(snapshot: Snapshot, patches: Mapping[str, str]) -> str:
    from pandas import DataFrame

    scale, experiments = Scale.of(snapshot), {e.id: e for e in snapshot.experiments}
    rows, details = [], []
    for step in snapshot.trunk:
        view = experiments.get(step.experiment)
        if step.position == 0 or view is None or view.quarantine:
            continue
        rows.append(
            {
                "step": step.position,
                "on its parent": scale.interval(view.gain, view.low, view.high),
                "n": view.n,
                "from the baseline": scale.interval(step.gain, step.low, step.high),
                "rung": rung_text(view),
                "trust": audit_text(view.audited, view.sandboxed),
                "commit": code(view.commit[:7]) if view.commit else UNKNOWN,
                "what": escape(view.title),
                "why it was tried": escape(view.rationale) or UNKNOWN,
            }
        )
        if patches.get(view.id):
            summary = f"<summary>Step {step.position}: {escape(view.title)}</summary>"
            details.append(f"<details>{summary}\n\n{fenced(patches[view.id], 'diff')}\n\n</details>")
    if not rows:
        return "Nothing was kept."
    return "\n\n".join([table(DataFrame(rows)), *details])


def _quarantined(snapshot: Snapshot) -> str:
    """What was caught after it was kept, and what was built on it."""
    flagged = [e for e in judged(snapshot) if e.quarantine]
    lines = [f"- {code(short_id(e.id, snapshot.tag))} {escape(e.title)}: {escape(e.quarantine)}" for e in flagged]
    return "\n".join(lines)


def _refused(snapshot: Snapshot) -> str:
    """By category: refuted is what very likely does not help, unproven what merely did not show that it does."""
    from pandas import DataFrame, crosstab

    experiments = [e for e in judged(snapshot) if not e.quarantine]
    if not any(e.status != "keep" for e in experiments):
        return ""
    frame = DataFrame(
        {
            "category": [escape(e.category) for e in experiments],
            "outcome": [_outcome(e, snapshot.sigma) for e in experiments],
            "title": [escape(e.title) for e in experiments],
        }
    )
    guarded = [word for word in ("broke a guard", "held") if word in set(frame["outcome"])]
    outcomes = ["kept", "refuted", "unproven", "near miss", *guarded, "crashed"]
    counts = crosstab(frame["category"], frame["outcome"]).reindex(columns=outcomes, fill_value=0)
    counts.insert(0, "tried", counts.sum(axis=1))
    counts = counts.sort_values("tried", ascending=False).reset_index()
    paragraphs = [
        "Refuted: even the upper 95% bound of the gain is under half a sigma. "
        "Unproven: too few runs to say more than that no gain showed.",
        table(counts),
    ]
    for outcome in ("refuted", "unproven"):
        lost = frame[frame["outcome"] == outcome].groupby("category", sort=False)["title"]
        named = [f"- {category}: {_named(list(titles))}" for category, titles in lost]
        if named:
            paragraphs.append(f"{outcome.capitalize()}, by category:\n\n" + "\n".join(named))
    return "\n\n".join(paragraphs)


def _outcome(experiment: ExperimentView, sigma: float | None) -> str:
    if experiment.status != "discard":
        return "kept" if experiment.status == "keep" else "crashed"
    if broke_guard(experiment):
        return "broke a guard"
    if is_near_miss(experiment) or is_held(experiment):
        return "held" if is_held(experiment) else "near miss"
    return "refuted" if is_refuted(experiment, sigma) else "unproven"


def _named(titles: Sequence[str]) -> str:
    beyond = [f"and {len(titles) - _LISTED} more"] if len(titles) > _LISTED else []
    return "; ".join([*titles[:_LISTED], *beyond])


def _guarded(snapshot: Snapshot) -> str:
    """What measured better and broke a guard, failed a check, or is held for a person, the reason first."""
    scale = Scale.of(snapshot)
    waits = [e for e in judged(snapshot) if broke_guard(e) or is_held(e)]
    better = [e for e in waits if (e.gain or 0.0) > 0 and not e.quarantine]
    better.sort(key=lambda e: -(e.gain or 0.0))
    lines = [
        f"- {escape(e.reason)}: {code(short_id(e.id, snapshot.tag))} {escape(e.title)}"
        f" ({scale.interval(e.gain, e.low, e.high)} on its parent)"
        for e in better[:_LISTED]
    ]
    lines += [f"- and {len(better) - _LISTED} more"] if len(better) > _LISTED else []
    return "\n".join(lines)


def _near_misses(snapshot: Snapshot) -> str:
    from pandas import DataFrame

    scale = Scale.of(snapshot)
    missed = sorted(filter(is_near_miss, judged(snapshot)), key=lambda e: -(e.gain or 0.0))
    rows = [
        {
            "experiment": code(short_id(e.id, snapshot.tag)),
            "on its parent": scale.interval(e.gain, e.low, e.high),
            "n": e.n,
            "what": escape(e.title),
        }
        for e in missed[:_LISTED]
    ]
    return table(DataFrame(rows)) if rows else ""


def _crashes(snapshot: Snapshot) -> str:
    crashed: dict[str, list[ExperimentView]] = {}
    for experiment in judged(snapshot):
        if experiment.status == "crash":
            crashed.setdefault(experiment.failure or "", []).append(experiment)
    lines = []
    for failure, experiments in sorted(crashed.items(), key=lambda item: -len(item[1])):
        why = FAILURES.get(failure, "gave no number")
        named = [escape(e.title) + (f" ({escape(shorten(e.reason, 100))})" if e.reason else "") for e in experiments]
        lines.append(f"- {len(experiments)}: {why}. {_named(named)}")
    return "\n".join(lines)


def _notes(snapshot: Snapshot) -> str:
    """Every note of people with the later experiments that share a word with it."""
    lines = []
    for at, note in snapshot.notes:
        came = [e for e in judged(snapshot) if e.created >= at and _stems(note) & _stems(f"{e.title} {e.category}")]
        statuses = _tally(Counter(e.status for e in came))
        outcome = (
            f"{plural(len(came), 'later experiment')} with its words: {statuses}" if came else "not taken up by name"
        )
        lines.append(f'- {clock(at)}, "{escape(note)}": {outcome}')
        came.sort(key=lambda e: e.status != "keep")  # what was kept first
        lines += [f"  - {code(short_id(e.id, snapshot.tag))} {escape(e.title)}: {e.status}" for e in came[:_FOLLOWED]]
        lines += [f"  - and {len(came) - _FOLLOWED} more"] if len(came) > _FOLLOWED else []
    return "\n".join(lines)


def _stems(text: str) -> set[str]:
    """The words that carry meaning, cut so that batch, batches and batching are one."""
    return {word[:5] for word in re.findall(r"[a-z0-9]{4,}", text.lower()) if word not in _SMALL_WORDS}


def _cost(snapshot: Snapshot, usd_per_gpu_hour: float | None) -> str:
    spent = f"Researcher {_thinking(snapshot)}; {machine_hours(snapshot)}"
    if usd_per_gpu_hour is None:
        priced = f"{code('--gpu-usd-per-hour')} prices them"
        return f"{spent} ({priced}){_per_gain(snapshot, snapshot.spent_usd) if snapshot.spent_usd else ''}."
    machine = snapshot.gpu_hours * usd_per_gpu_hour
    total = snapshot.spent_usd + machine
    words = f"{spent} at {dollars(usd_per_gpu_hour)} each are {dollars(machine)}; {dollars(total)} in all"
    return f"{words}{_per_gain(snapshot, total)}."


def _thinking(snapshot: Snapshot) -> str:
    """What the models cost, with their tokens where there were any."""
    if not snapshot.tokens:
        return dollars(snapshot.spent_usd)
    cached = "" if snapshot.cache_share is None else f", {share(snapshot.cache_share)} of the prompts from the cache"
    return f"{dollars(snapshot.spent_usd)} ({snapshot.tokens:,} tokens{cached})"


def _per_gain(snapshot: Snapshot, usd: float) -> str:
    """What a step cost that was kept, and one that was confirmed on fresh seeds."""
    kept = [e for e in judged(snapshot) if e.status == "keep" and not e.quarantine and is_kept(e)]
    confirmed = sum(e.rung in ("confirmed", "champion") for e in kept)
    parts = [f", {dollars(usd / len(kept))} for each kept step"] if kept else []
    parts += [f", {dollars(usd / confirmed)} for each confirmed gain"] if confirmed else []
    return "".join(parts)


def _agents(snapshot: Snapshot) -> str:
    from pandas import DataFrame

    if not snapshot.agents:
        return ""
    scale = Scale.of(snapshot)
    runs = Counter(run.agent for run in snapshot.runs)
    seconds = {
        a.agent: sum(run.seconds or 0.0 for run in snapshot.runs if run.agent == a.agent) for a in snapshot.agents
    }
    frame = DataFrame(
        {
            "agent": [escape(a.agent) for a in snapshot.agents],
            "device": [escape(a.device) for a in snapshot.agents],
            "keep": [a.keep for a in snapshot.agents],
            "discard": [a.discard for a in snapshot.agents],
            "crash": [a.crash for a in snapshot.agents],
            "runs": [runs[a.agent] for a in snapshot.agents],
            "busy": [duration(seconds[a.agent]) for a in snapshot.agents],
            "spent": [dollars(a.usd) for a in snapshot.agents],
            "best from the baseline": [scale.interval(a.gain, a.low, a.high) for a in snapshot.agents],
        }
    )
    return table(frame)
