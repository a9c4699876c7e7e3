"""Writes report.md, the account of one swarm, and progress.png beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.views.ablation import ablation_section
from swarm.views.comparable_swarms import swarms_markdown
from swarm.views.ladder import ladders_section
from swarm.views.prior_text import prior_section
from swarm.views.progress_plot import draw_progress
from swarm.wording.audit_marks import audit_text
from swarm.wording.confirmation_results import confirmations_table
from swarm.wording.cost import cost
from swarm.wording.decision import decisions
from swarm.wording.facts import facts, tally
from swarm.wording.formatting import (
    UNKNOWN,
    Scale,
    clock,
    dollars,
    duration,
    plural,
    short_id,
    shorten,
)
from swarm.wording.headline import headline, second_opinion, title
from swarm.wording.markdown import code, escape, fenced, table
from swarm.wording.recommendations import recommend
from swarm.wording.standing import LADDER, is_weighed, rung_text
from swarm.wording.verdict_text import (
    FAILURES,
    broke_guard,
    is_held,
    is_large,
    is_near_miss,
    judged,
    outcome_word,
    tried,
)

_OUTCOMES = {  # columns, and whether one is left out where it is empty
    "kept": False,
    "carried": True,
    "undone": True,
    "refuted": False,
    "unproven": False,
    "near miss": False,
    "broke a guard": True,
    "held": True,
    "crashed": False,
}
_LISTED = 8  # titles named of each kind; the rest is counted
_FOLLOWED = 4  # experiments named of those that followed a note of people
_SMALL_WORDS = frozenset(
    ["about", "could", "from", "have", "instead", "less", "like", "maybe", "more", "please", "should", "some", "than"]
) | {"that", "this", "what", "with", "would"}


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
        "For a person to look at": _for_a_person(snapshot, patches),
        "What ran": _ran(snapshot),
        "What was discovered": _discovered(snapshot, patches),
        "Confirmations": confirmations_table(snapshot),
        "What of it matters": ablation_section(snapshot),
        "Scale ladder": ladders_section(snapshot),
        "In quarantine": _quarantined(snapshot),
        "Better, and not kept": _guarded(snapshot),
        "What did not work": _refused(snapshot),
        "Prior art": prior_section(snapshot),
        "Near misses": _near_misses(snapshot),
        "Crashes": _crashes(snapshot),
        "The ladder of evidence": LADDER * is_weighed(snapshot),
        "What people said": _notes(snapshot),
        "What to try next": "\n".join(f"- {advice}" for advice in recommend(snapshot)),
        "Cost": cost(snapshot, usd_per_gpu_hour),
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
    return table([{"": label, "this swarm": escape(text)} for label, text in facts(snapshot).items()])


def _discovered(snapshot: Snapshot, patches: Mapping[str, str]) -> str:
    scale, experiments = Scale.of(snapshot), {e.id: e for e in snapshot.experiments}
    rows, details = [], []
    corrected = any(scale.differs(step.corrected, step.value) for step in snapshot.trunk)
    for step in snapshot.trunk:
        view = experiments.get(step.experiment)
        if step.position == 0 or view is None or view.quarantine:
            continue
        rows.append(
            {
                "step": step.position,
                scale.metric: scale.value(step.value),
                "mean of": plural(step.n, "fresh run" if step.fresh else "run"),
                "from the baseline": scale.interval(step.gain, step.low, step.high),
                **({"corrected": scale.value(step.corrected)} if corrected else {}),
                "on its parent, as judged": scale.interval(view.gain, view.low, view.high),
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
    return "\n\n".join([table(rows), *details])


def _for_a_person(snapshot: Snapshot, patches: Mapping[str, str]) -> str:
    """What is held, and large gains that no referee measured, each with its diff and the verb that decides it."""
    scale, parts = Scale.of(snapshot), []
    for view in [*filter(is_held, judged(snapshot)), *filter(is_large, judged(snapshot))]:
        name = short_id(view.id, snapshot.tag)
        gain = scale.interval(view.gain, view.low, view.high)
        kind = "large, unaudited: kept and built on" if is_large(view) else "held, nothing is built on it"
        way = ", ".join(f"{code(verb)} {does}" for verb, does in decisions(view, name).items())
        parts.append(f"**{escape(view.title)}** ({code(name)}, {gain} on its parent), {kind}; {way}.")
        parts += [fenced(patches[view.id], "diff")] if patches.get(view.id) else []
    return "\n\n".join(parts)


def _quarantined(snapshot: Snapshot) -> str:
    """What was caught after it was kept, and what was built on it."""
    flagged = [e for e in judged(snapshot) if e.quarantine]
    lines = [f"- {code(short_id(e.id, snapshot.tag))} {escape(e.title)}: {escape(e.quarantine)}" for e in flagged]
    return "\n".join(lines)


def _refused(snapshot: Snapshot) -> str:
    """By category: refuted is what very likely does not help, unproven what merely did not show that it does."""
    experiments = [e for e in tried(snapshot) if not e.quarantine]
    if not any(e.status != "keep" for e in experiments):
        return ""
    titles: dict[str, dict[str, list[str]]] = {}  # by outcome and category
    for e in experiments:
        of_outcome = titles.setdefault(outcome_word(e, snapshot.sigma), {})
        of_outcome.setdefault(escape(e.category), []).append(escape(e.title))
    outcomes = [outcome for outcome, rare in _OUTCOMES.items() if not rare or outcome in titles]
    counted = Counter(escape(e.category) for e in experiments)
    counts = [
        {"category": category, "tried": number}
        | {outcome: len(titles.get(outcome, {}).get(category, ())) for outcome in outcomes}
        for category, number in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]
    paragraphs = [
        "Refuted: even the upper 95% bound of the gain is under half a sigma. "
        "Unproven: too few runs to say more than that no gain showed.",
        table(counts),
    ]
    for outcome in ("refuted", "unproven"):
        named = [f"- {category}: {_named(lost)}" for category, lost in titles.get(outcome, {}).items()]
        if named:
            paragraphs.append(f"{outcome.capitalize()}, by category:\n\n" + "\n".join(named))
    return "\n\n".join(paragraphs)


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
    return table(rows)


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
        statuses = tally(Counter(e.status for e in came))
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


def _agents(snapshot: Snapshot) -> str:
    if not snapshot.agents:
        return ""
    scale = Scale.of(snapshot)
    runs = Counter(run.agent for run in snapshot.runs)
    seconds = {
        a.agent: sum(run.seconds or 0.0 for run in snapshot.runs if run.agent == a.agent) for a in snapshot.agents
    }
    rows = [
        {
            "agent": escape(a.agent),
            "device": escape(a.device),
            "keep": a.keep,
            "discard": a.discard,
            "crash": a.crash,
            "runs": runs[a.agent],
            "busy": duration(seconds[a.agent]),
            "spent": dollars(a.usd),
            "best from the baseline": scale.interval(a.gain, a.low, a.high),
        }
        for a in snapshot.agents
    ]
    return table(rows)
