"""The verb for records that any loop wrote: which of its keeps are real gains?"""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.options import add_verb
from swarm.errors import UsageError
from swarm.named_file import read_named
from swarm.text import plural

if TYPE_CHECKING:
    from swarm.history.earlier import Row
    from swarm.judge.record import JudgedRecord, Recorded

ENOUGH = 3  # numbers from which on a record can be judged
_LEDGER = b"SQLite format 3\0"  # what such a file begins with


def add_to(verbs: Any) -> None:
    judging = add_verb(
        verbs, judge, json=True, repo=False, examples=("results.tsv", "results.tsv --sigma 0.001 --picture judged.png")
    )
    judging.add_argument(
        "file", metavar="RESULTS", help="results.tsv, autoresearch.jsonl, another tool's log, or a ledger.sqlite"
    )
    judging.add_argument("--tag", metavar="TAG", help="of a ledger: which swarm (the newest)")
    judging.add_argument("--metric", metavar="NAME", help="the column to judge (the only one there is)")
    judging.add_argument("--direction", metavar="lower|higher", help="which is better (known by the metric's name)")
    judging.add_argument(
        "--sigma", type=float, metavar="NUMBER", help="how much one run of the same code differs from the next"
    )
    judging.add_argument("--picture", metavar="FILE", help="draw it as a PNG")


def judge(options: argparse.Namespace) -> int:
    """Tells which keeps in the record of any loop are real gains.

    It also says where its last state truly is. Nothing is run: every run in the
    record measures the keep below it again, so that all together tell luck from
    gain.
    """
    from swarm.cli.output import console, print_json
    from swarm.views import judged_record

    path = Path(options.file)
    is_ledger = _is_ledger(path)
    record, ladder = _judged_swarm(path, options) if is_ledger else _judged_file(path, options)
    metric, direction, rows, known = record.metric, record.direction, record.rows, is_ledger or bool(options.sigma)
    chosen = ladder[len(ladder) // 2]
    scale = judged_record.scale_for(metric, direction, chosen)
    if options.picture:
        title = f"{path.name}: {chosen.likely} of {plural(len(chosen.keeps), 'keep')}"
        title = f"{title} stand out of a noise of {chosen.sigma:.2g}"
        judged_record.draw(rows, chosen, scale, title, Path(options.picture))
    if options.json:
        judged = [judged_record.as_json(one, scale) for one in ladder]
        print_json({"file": options.file, "metric": metric, "direction": direction, "judged": judged})
        return 0
    terminal = console()
    words = (line for one in ladder for line in judged_record.summary(one, scale, said=known))
    for line in (judged_record.heading(path.name, chosen, scale), *words):
        terminal.print(line, highlight=False, markup=False, soft_wrap=True)
    if chosen.keeps:
        terminal.print()
        terminal.print(judged_record.keeps_table(ladder, chosen, scale, terminal.width))
    if not known:
        terminal.print()
        hint = "sigma is not known: run the same code four times and give --sigma, the deviation of the four numbers"
        terminal.print(hint, highlight=False, soft_wrap=True)
    return 0


@dataclass(frozen=True, slots=True)
class Record:
    """What a file says: its metric, the direction that is better, its lines with a number, and how many crashed."""

    metric: str
    direction: str
    rows: list[Recorded]
    crashed: int


def _judged_file(path: Path, options: argparse.Namespace) -> tuple[Record, list[JudgedRecord]]:
    """The record in a file, judged under the sigma that is given, or under several that it may be."""
    from swarm.judge.record import LADDER, judge_record, most_noise

    if options.tag:
        raise UsageError(f"--tag {options.tag} goes with a ledger: {path} is none")
    if options.sigma is not None and not 0 < options.sigma < float("inf"):
        raise UsageError(f"--sigma {options.sigma}: give a number above 0, in the metric's own units")
    record = read_record(path, options.metric, options.direction)
    most = most_noise(record.rows)
    if not most and options.sigma is None:
        raise UsageError(f"{path}: equal numbers tell no noise; give --sigma NUMBER")
    sigmas = [options.sigma] if options.sigma else [most * share for share in LADDER]
    return record, [judge_record(record.rows, sigma) for sigma in sigmas]


def _is_ledger(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            return file.read(len(_LEDGER)) == _LEDGER
    except (OSError, ValueError):
        return False  # whoever reads it says why


def _judged_swarm(path: Path, options: argparse.Namespace) -> tuple[Record, list[JudgedRecord]]:
    """One swarm of a ledger, whose noise is known."""
    from swarm.ledger.database import Ledger
    from swarm.ledger.judged import judged_swarm
    from swarm.ledger.swarms import newest_tag
    from swarm.ledger.transaction import of_swarm

    for name in ("metric", "direction", "sigma"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} goes with a table of results: a ledger knows it")
    with contextlib.closing(Ledger(path)) as ledger:
        tag = options.tag or newest_tag(ledger)
        try:
            tx = of_swarm(ledger, tag or "")
        except KeyError as error:
            raise UsageError(f"{path} has no swarm called {tag}" if tag else f"{path} has no swarm") from error
        rows, judged = judged_swarm(tx)
        return Record(tx.swarm.metric, tx.swarm.direction, rows, 0), [judged]


def read_record(path: Path, metric: str | None, direction: str | None) -> Record:
    """The record in a file that a person named; UsageError where metric or direction is open."""
    from swarm.history.import_results import goals_in, metrics_in, read_results
    from swarm.project.directions import direction_of, read_direction

    content = read_named(path)
    known = metrics_in(content)
    if metric is None:
        able = goals_in(content) or tuple(known)
        if len(able) != 1:
            there = f"It may be one of {', '.join(able)}" if able else "No column looks like one"
            raise UsageError(f"{path}: which metric? {there}; name it with --metric NAME")
        metric = able[0]
    asked = direction and read_direction(direction)
    if direction and not asked:
        raise UsageError(f"--direction {direction}: say lower or higher")
    better = asked or known.get(metric) or direction_of(metric)
    if not better:
        raise UsageError(f"is {metric} better lower or higher? say --direction lower or --direction higher")
    rows, aside = read_results(content, metric)
    recorded = _recorded(rows, 1.0 if better == "lower" else -1.0)
    if len(recorded) < ENOUGH:
        why = f"; line {aside[0].line}: {aside[0].reason}" if aside else ""
        raise UsageError(f"{path} has {plural(len(recorded), 'row')} with {metric}, too few to be judged{why}")
    return Record(metric, better, recorded, sum(row.status == "crash" for row in rows))


def _recorded(rows: tuple[Row, ...], sign: float) -> list[Recorded]:
    from swarm.judge.record import Recorded

    return [
        Recorded(row.line, sign * row.value, row.status == "keep", row.description, row.block)
        for row in rows
        if row.value is not None and row.status != "crash"
    ]
