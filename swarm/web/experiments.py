"""One row per judged experiment: a line to sort and filter by, and below it all that is known of it.

A row has two sizes. The full one has the change, the losses and the log's end; the short one says by which command
to see them. `rows` gives the full size to what matters most, as long as the page stays under its limit.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from swarm.snapshot.records import ConfirmationView, ExperimentView, RunView, Snapshot
from swarm.web.curves import curves
from swarm.web.details import Detail
from swarm.web.html import Html, block, el, join
from swarm.wording.audit_marks import audit_text, marks
from swarm.wording.confirmation_results import confirmation_sentence, confirmations_of
from swarm.wording.decision import decisions
from swarm.wording.formatting import UNKNOWN, Scale, clean, clock, duration, quantity, short_id
from swarm.wording.prior_art import known_text
from swarm.wording.verdict_text import judged, outcome_word, verdict_text

_TITLE, _RATIONALE, _PATCH, _LOG = 200, 1500, 6000, 1500  # characters of a full row; of a short one:
_SHORT_TITLE, _SHORT_RATIONALE = 110, 160
_SHOWN_RUNS = 12
KINDS = (  # the most important first
    *("kept", "carried", "near miss", "held", "broke a guard", "undone", "refuted", "unproven", "crashed"),
)
_NO_DETAIL = Detail()


def rows(
    snapshot: Snapshot, details: Mapping[str, Detail], most: int, known: dict[object, tuple[object, Html]] | None = None
) -> dict[str, Html]:
    """Every judged experiment's row by its name on the page, the newest first; about `most` bytes together.

    `known` holds rows between calls: what they were made of did not change since.
    """
    known = {} if known is None else known
    found = judged(snapshot)[::-1]
    runs: dict[str, list[RunView]] = {}
    for run in snapshot.runs:
        runs.setdefault(run.experiment, []).append(run)
    scale = Scale.of(snapshot)

    def made(view: ExperimentView, full: bool) -> Html:
        own, detail = (tuple(runs.get(view.id, ())), details.get(view.id, _NO_DETAIL)) if full else ((), _NO_DETAIL)
        evidence = (view, own, detail, scale, snapshot.sigma, tuple(confirmations_of(snapshot, view.id)))
        if (view.id, full) not in known or known[view.id, full][0] != evidence:
            known[view.id, full] = evidence, row(snapshot, view, own, detail, scale, full)
        return known[view.id, full][1]

    short = {view.id: made(view, full=False) for view in found}
    room = most - sum(map(_size, short.values()))
    chosen = dict(short)
    for view in sorted(found, key=lambda view: KINDS.index(outcome_word(view, snapshot.sigma))):
        if room <= 0:
            break
        full = made(view, full=True)
        if (more := _size(full) - _size(short[view.id])) <= room:
            chosen[view.id], room = full, room - more
    return {short_id(clean(view.id), snapshot.tag): chosen[view.id] for view in found}


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def row(
    snapshot: Snapshot, view: ExperimentView, runs: Sequence[RunView], detail: Detail, scale: Scale, full: bool
) -> Html:
    """One experiment. A link to its name opens it, without any script: browsers open what they go to."""
    name = short_id(clean(view.id), snapshot.tag)
    word = outcome_word(view, snapshot.sigma)
    summary = el(
        "summary",
        el("b", word if word != "kept" or view.rung in ("seen", "kept") else clean(view.rung)),
        el("span", clean(view.title)[: _TITLE if full else _SHORT_TITLE]),
        el("i", scale.interval(view.gain, view.low, view.high)),
        el("u", scale.value(view.value) + marks(view)),
        el("s", name),
    )
    body = el("div", *_body(snapshot, view, runs, detail, scale, full), id=name)
    return el(
        "details",
        summary,
        body,
        class_=f"x {word.replace(' ', '-')}",
        data_v=None if view.value is None else f"{view.value:.7g}",
        data_g=None if view.gain is None else f"{view.gain:.4g}",
    )


def _body(
    snapshot: Snapshot, view: ExperimentView, runs: Sequence[RunView], detail: Detail, scale: Scale, full: bool
) -> list[Html | None]:
    rationale, verdict = clean(view.rationale), verdict_text(view, snapshot.sigma)
    why = el("p", rationale[: _RATIONALE if full else _SHORT_RATIONALE], class_="why") if rationale else None
    caught = el("p", f"In quarantine: {clean(view.quarantine)[:300]}", class_="bad") if view.quarantine else None
    if not full:
        name = short_id(clean(view.id), snapshot.tag)
        about = el("p", el("b", verdict), " ", clean(view.category))
        return [why, about, *_decisions(snapshot, view), caught, el("code", f"swarm show {name}")]
    tests: list[ConfirmationView] = confirmations_of(snapshot, view.id)
    return [
        why,
        el("p", el("b", verdict), f" {clean(view.reason)[:300]}" if view.reason else ""),
        *_decisions(snapshot, view),
        caught,
        _about(view),
        el("p", f"{view.novelty}, by prior art: {known_text(view.known)}", class_="about") if view.known else None,
        *(el("p", confirmation_sentence(test, scale)) for test in tests),
        curves(detail.curve, detail.parents_curve),
        _runs(runs, scale, any(run.hidden is not None for run in runs)),
        _patch(detail.patch),
        el("pre", block(detail.log_tail[-_LOG:], _LOG), class_="log") if detail.log_tail.strip() else None,
    ]


def _decisions(snapshot: Snapshot, view: ExperimentView) -> list[Html]:
    """What waits for a person, with the commands that decide it."""
    tag = clean(snapshot.tag)
    ways = decisions(view, f"{short_id(clean(view.id), snapshot.tag)} --tag {tag}")
    return [el("p", el("code", f"python -m {command}"), f" {does}") for command, does in ways.items()]


def _about(view: ExperimentView) -> Html:
    memory = quantity(None if view.peak_vram_mb is None else view.peak_vram_mb / 1024, " GB", 1)
    parts = [
        clean(view.category),
        clean(view.agent),
        clock(view.judged or view.created),
        f"commit {view.commit[:7]}" if view.commit else "",
        f"peak memory {memory}" if memory != UNKNOWN else "",
        audit_text(view.audited, view.sandboxed) if view.value is not None else "",
    ]
    return el("p", " · ".join(part for part in parts if part), class_="about")


def _runs(runs: Sequence[RunView], scale: Scale, hidden: bool) -> Html | None:
    if not runs:
        return None
    heads = ["run", "purpose", "seed", scale.metric, *(["hidden"] if hidden else []), "took", "outcome"]
    lines = [
        [
            f".{clean(run.id).rpartition('.')[2]}" + (f" (attempt {run.attempt})" if run.attempt > 1 else ""),
            clean(run.purpose),
            str(run.seed),
            scale.value(run.metric),
            *([scale.value(run.hidden)] if hidden else []),
            duration(run.seconds),
            clean(run.failure or run.state),
        ]
        for run in runs[:_SHOWN_RUNS]
    ]
    beyond = el("p", f"and {len(runs) - _SHOWN_RUNS} more runs", class_="about") if len(runs) > _SHOWN_RUNS else None
    return join([table(heads, lines), beyond])


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Html:
    """A table that scrolls sideways where the screen is narrow."""
    head = el("tr", [el("th", text) for text in heads])
    return el("div", el("table", head, [el("tr", [el("td", cell) for cell in line]) for line in lines]), class_="wide")


def _patch(patch: str) -> Html | None:
    """The change, line by line in its colour."""
    if not patch.strip():
        return None
    shown: list[Html] = []
    for kind, lines in itertools.groupby(block(patch, _PATCH).split("\n"), _kind):
        text = "\n".join(lines)
        shown += [el(kind, text.replace("+++ b/", "")) if kind else el("span", text)] if kind != "hidden" else []
    return el("pre", join(shown, "\n"), class_="diff")


def _kind(line: str) -> str:
    """Which element a line of a patch becomes; "hidden" for what only git needs, "" for what did not change."""
    if line.startswith(("diff ", "index ", "--- ")):
        return "hidden"
    return "b" if line.startswith("+++ ") else {"+": "ins", "-": "del"}.get(line[:1], "")
