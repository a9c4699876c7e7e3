"""One experiment in full, as the verb `show` prints it: for people, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from swarm.snapshot.records import ConfirmationView, ExperimentView, RunView, Snapshot
from swarm.views.columns import Column, fitting_table
from swarm.views.strict_json import strict_json
from swarm.views.tables import RUNG_STYLES, STATUS_STYLES
from swarm.wording.audit_marks import audit_text, is_unaudited, is_unsandboxed
from swarm.wording.confirmation_results import confirmation_sentence, confirmations_of
from swarm.wording.formatting import Portable, Scale, clean, clean_block, clock, plural, quantity
from swarm.wording.prior_art import known_text
from swarm.wording.verdict_text import verdict_text


def render_experiment(
    view: ExperimentView,
    runs: Sequence[RunView],
    diff: str,
    log_tail: str,
    scale: Scale | None = None,
    sigma: float | None = None,
    tests: Sequence[ConfirmationView] = (),
    clocked: str = "",
    against: str = "",
) -> RenderableType:
    """An experiment in full: idea, verdict in plain words, every run, the diff against its parent, the log's end.

    `scale` is how the metric is written (`Scale.of(snapshot)`), `sigma` the noise that separates refuted from
    unproven. `tests` are its confirmations, `clocked` says how its time was spent, `against` what the
    diff is against. `diff` and `log_tail` may be empty.
    """
    scale = scale or Scale()
    parts: list[RenderableType] = [
        Text.assemble((clean(view.id), "bold"), "  ", _word(view), f"  {clean(view.title)}"),
        Text(f"{clean(view.category)} · {clean(view.agent)} · {_commits(view)}{_novelty(view)}", "dim"),
        *([Text(f"known elsewhere: {known_text(view.known)}", "dim")] if view.known else []),
    ]
    if view.rationale:
        parts += [Text(), Text(clean(view.rationale))]
    parts += [Text(), Text(verdict_text(view, sigma), "bold")]
    if view.quarantine:
        parts.append(Text(f"in quarantine: {clean(view.quarantine)}", "bold red"))
    if view.reason:
        parts.append(Text(clean(view.reason)))
    parts += [Text(confirmation_sentence(test, scale)) for test in tests]
    parts.append(_figures(view, scale))
    parts += [Text(clean(clocked), "dim")] if clocked else []
    parts += [Text(), _Runs(runs, scale) if runs else Text("no run yet", "dim")]
    if diff.strip():
        parts += [Text(), *([Text(f"diff against {clean(against)}", "dim")] if against else []), *_coloured(diff)]
    if log_tail.strip():
        parts += [Text(), Text("end of the log", "dim"), Padding(Text(clean_block(log_tail)), (0, 0, 0, 2))]
    return Portable(Group(*parts))


def _word(view: ExperimentView) -> Text:
    if view.status is None:
        return Text(clean(view.state), "yellow")
    word = Text(view.status, STATUS_STYLES.get(view.status, ""))
    if view.status != "keep" and not view.quarantine:
        return word
    return Text.assemble(word, " ", (view.rung, RUNG_STYLES.get(view.rung, "")))


def _commits(view: ExperimentView) -> str:
    commit = f"commit {view.commit[:7]}" if view.commit else "no commit yet"
    return f"{commit} on {view.parent[:7]}" if view.parent else commit


def _novelty(view: ExperimentView) -> str:
    return f" · {view.novelty} by prior art" if view.novelty else ""


def _figures(view: ExperimentView, scale: Scale) -> Text:
    line = Text.assemble(f"{scale.metric} ", (scale.value(view.value), "bold"))
    if view.value is not None:
        line.append(f" (mean of {plural(view.value_n, 'fresh run' if view.fresh else 'run')})", "dim")
    if not view.baseline:
        line.append(f"  {scale.interval(view.gain, view.low, view.high)} against its parent")
        if view.plain_gain is not None and scale.change(view.plain_gain) != scale.change(view.gain):
            line.append(f", as judged; the runs as measured differ by {scale.change(view.plain_gain)}")
    line.append(f" ({scale.direction} is better, ± is a 95% interval)  peak memory {_memory(view)}", "dim")
    line.append_text(_trust(view))
    return line


def _trust(view: ExperimentView) -> Text:
    """A line on who measured the number, and where its code ran; none without a number."""
    if view.value is None:
        return Text()
    who = "unaudited: its own code printed the number" if is_unaudited(view) else "audited: the referee measured it"
    where = "outside a sandbox, with your rights" if is_unsandboxed(view) else "in a sandbox"
    return Text(f"\n{who}; trained {where}", "yellow" if is_unaudited(view) or is_unsandboxed(view) else "dim")


def _memory(view: ExperimentView) -> str:
    return quantity(None if view.peak_vram_mb is None else view.peak_vram_mb / 1024, " GB", 1)


class _Runs(Struct, frozen=True):
    """One row per run, with the columns that the terminal has room for."""

    runs: Sequence[RunView]
    scale: Scale

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        scale = self.scale
        corrected = any(scale.differs(run.corrected, run.metric) for run in self.runs)
        columns: list[Column[RunView]] = [
            Column("run", lambda r: Text(clean(r.id) + (f" (attempt {r.attempt})" if r.attempt > 1 else "")), 0),
            Column("started", lambda r: Text(clock(r.started, seconds=True)), 8),
            Column("purpose", lambda r: Text(clean(r.purpose)), 3),
            Column("agent", lambda r: Text(clean(r.agent)), 9),
            Column("seed", lambda r: Text(str(r.seed)), 5, right=True),
            Column(scale.metric, lambda r: Text(scale.value(r.metric)), 1, right=True, foreign=True),
            *([Column("corrected", lambda r: Text(scale.value(r.corrected)), 4, right=True)] if corrected else []),
            Column("seconds", lambda r: Text(quantity(r.seconds, "", 1)), 7, right=True),
            Column("hidden split", lambda r: Text(scale.value(r.hidden)), 4, right=True, optional=True),
            Column("outcome", lambda r: Text(clean(r.failure or r.state), "red" if r.failure else ""), 2),
            Column("trust", _audited, 6),
        ]
        yield fitting_table(columns, self.runs, options.max_width)


def _audited(run: RunView) -> Text:
    return Text(audit_text(run.audited, run.sandboxed), "dim" if run.audited and run.sandboxed else "yellow")


def _coloured(diff: str) -> Iterator[Text]:
    for line in clean_block(diff).strip("\n").split("\n"):
        if line.startswith(("+++", "---", "diff ", "index ")):
            style = "bold"
        else:
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        yield Text(line, style, overflow="fold")  # a patch is read in full, wherever it goes


def experiment_json(snapshot: Snapshot, view: ExperimentView) -> dict[str, Any]:
    """An experiment and its runs as one strict JSON object, with the verdict in plain words."""
    runs = [run for run in snapshot.runs if run.experiment == view.id]
    details = {
        "verdict": verdict_text(view, snapshot.sigma),
        "confirmations": confirmations_of(snapshot, view.id),
        "runs": runs,
    }
    return strict_json(view) | strict_json(details)
