"""One row per judged experiment: a line to sort and filter by, and below it all that is known of it.

A row has two sizes. The full one has the change, the losses and the log's end; the short one says by which command
to see them. `rows` gives the full size to what matters most, as long as the page stays under its limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swarm.snapshot.records import ConfirmationView, ExperimentView, RunView, Snapshot
from swarm.web.curves import curves
from swarm.web.details import Detail
from swarm.web.html import Html, block, el, join
from swarm.wording.audit_marks import audit_text, marks
from swarm.wording.confirmation_results import confirmation_sentence, confirmations_of
from swarm.wording.formatting import UNKNOWN, Scale, clean, clock, duration, quantity, short_id
from swarm.wording.verdict_text import judged, outcome_word, verdict_text

_TITLE, _RATIONALE, _PATCH, _LOG = 200, 1500, 6000, 1500  # characters of a full row; of a short one:
_SHORT_TITLE, _SHORT_RATIONALE = 110, 160
_SHOWN_RUNS = 12
KINDS = ("kept", "near miss", "held", "broke a guard", "refuted", "unproven", "crashed")  # the most important first
_NO_DETAIL = Detail()


def rows(snapshot: Snapshot, details: Mapping[str, Detail], most: int) -> dict[str, Html]:
    """Every judged experiment's row by its name on the page, the newest first; about `most` bytes together."""
    found = judged(snapshot)[::-1]
    runs: dict[str, list[RunView]] = {}
    for run in snapshot.runs:
        runs.setdefault(run.experiment, []).append(run)
    scale = Scale.of(snapshot)
    short = {view.id: row(snapshot, view, (), _NO_DETAIL, scale, full=False) for view in found}
    room = most - sum(map(_size, short.values()))
    chosen = dict(short)
    for view in sorted(found, key=lambda view: KINDS.index(outcome_word(view, snapshot.sigma))):
        if room <= 0:
            break
        detail = details.get(view.id, _NO_DETAIL)
        full = row(snapshot, view, runs.get(view.id, ()), detail, scale, full=True)
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
        el("span", word if word != "kept" or view.rung in ("seen", "kept") else clean(view.rung), class_="w"),
        el("span", clean(view.title)[: _TITLE if full else _SHORT_TITLE], class_="t"),
        el("span", scale.value(view.value) + marks(view), class_="v"),
        el("span", scale.interval(view.gain, view.low, view.high), class_="g"),
        el("span", name, class_="a"),
    )
    body = el("div", *_body(snapshot, view, runs, detail, scale, full), id=name)
    return el(
        "details",
        summary,
        body,
        class_=f"x {word.replace(' ', '-')}",
        data_v=None if view.value is None else f"{view.value:.9g}",
        data_g=None if view.gain is None else f"{view.gain:.9g}",
    )


def _body(
    snapshot: Snapshot, view: ExperimentView, runs: Sequence[RunView], detail: Detail, scale: Scale, full: bool
) -> list[Html | None]:
    rationale = clean(view.rationale)
    shown = [
        el("p", rationale[: _RATIONALE if full else _SHORT_RATIONALE], class_="why") if rationale else None,
        el("p", el("b", verdict_text(view, snapshot.sigma)), f" {clean(view.reason)[:300]}" if view.reason else ""),
        el("p", f"In quarantine: {clean(view.quarantine)}", class_="bad") if view.quarantine else None,
        _about(view),
    ]
    if not full:
        name = short_id(clean(view.id), snapshot.tag)
        return [*shown, el("p", el("code", f"python -m swarm show {name}"), class_="more")]
    tests: list[ConfirmationView] = confirmations_of(snapshot, view.id)
    return [
        *shown,
        *(el("p", confirmation_sentence(test, scale)) for test in tests),
        curves(detail.curve, detail.parents_curve),
        _runs(runs, scale, any(run.hidden is not None for run in runs)),
        _patch(detail.patch),
        el("pre", block(detail.log_tail[-_LOG:], _LOG), class_="log") if detail.log_tail.strip() else None,
    ]


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
    lines = block(patch, _PATCH).split("\n")
    kinds = {"+": "ins", "-": "del"}
    shown = []
    for line in lines:
        if line.startswith(("diff ", "index ", "--- ", "+++ ")):
            if line.startswith("+++ "):
                shown.append(el("b", line[4:].removeprefix("b/")))
        elif line[:1] in kinds:
            shown.append(el(kinds[line[0]], line))
        else:
            shown.append(line)
    return el("pre", join(shown, "\n"), class_="diff")
