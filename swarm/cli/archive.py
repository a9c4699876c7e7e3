"""The verbs for results as files: import, export and prune."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.options import add_verb, reading, root_of, swarm_root_of
from swarm.cli.output import print_json, write_exactly
from swarm.errors import SwarmError, UsageError
from swarm.named_file import read_named

if TYPE_CHECKING:
    from swarm.history.earlier import Aside

EXPORTS = ("tsv", "csv", "json", "parquet")
ASIDE = 20  # unreadable lines of a file that are listed at most
COLUMNS = 12  # other metrics of a file that are named at most


def add_to(verbs: Any) -> None:
    importing = add_verb(verbs, import_, json=True, examples=("results.tsv", "old.jsonl --metric val_loss"))
    importing.add_argument("files", nargs="+", metavar="RESULTS", help="results.tsv or autoresearch.jsonl files")
    importing.add_argument("--metric", metavar="NAME", help="the column to read (this project's own metric)")
    importing.add_argument("--prior", action="store_true", help="they are prior art, JSON lines (docs/prior-art.md)")
    exporting = add_verb(verbs, export, tag=True, examples=("--format csv > swarm.csv", "--runs -o runs.parquet"))
    exporting.add_argument("--format", help=f"{', '.join(EXPORTS)} (by the file's extension, else tsv)")
    exporting.add_argument("--output", "-o", metavar="FILE", help="the file to write (stdout)")
    exporting.add_argument("--runs", action="store_true", help="one row per run, with seed and purpose")
    pruning = add_verb(verbs, prune, examples=("apr5", "apr5 --yes"))
    pruning.add_argument("name", metavar="TAG", help="the swarm to delete")
    pruning.add_argument("--yes", action="store_true", help="confirm the deletion")


def import_(options: argparse.Namespace) -> int:
    """Adds earlier results, or prior art, to what researchers see."""
    if options.prior:
        return _import_prior(options)
    from swarm.history.import_results import import_results, metrics_in, read_results
    from swarm.ledger.database import Ledger
    from swarm.ledger.home import ledger_path, make_home
    from swarm.project.directions import direction_of
    from swarm.project.project import load_project

    root = root_of(options)
    own = ledger_path(swarm_root_of(options)).parent.resolve()
    for name in options.files:
        if Path(os.path.realpath(name)).is_relative_to(own):
            raise UsageError(f"{name} is of a swarm of this repository, whose results are known; nothing was imported")
    project = load_project(root)
    metric = options.metric or project.metric
    contents = {name: _bytes(Path(name)) for name in options.files}
    read = {name: read_results(content, metric) for name, content in contents.items()}
    for name, (rows, aside) in read.items():
        if not rows:
            raise UsageError(_nothing_in(name, metric, metrics_in(contents[name]), aside))
    make_home(ledger_path(root).parent)
    imported = []
    with contextlib.closing(Ledger(ledger_path(root), write=True)) as ledger:
        for name, (rows, aside) in read.items():
            said = metrics_in(contents[name]).get(metric) or direction_of(metric) or ""
            direction = project.direction if metric == project.metric else said
            new = import_results(ledger, Path(name).name, rows, metric, direction, time.time())
            imported.append({"file": name, "imported": new, "known": len(rows) - new, "aside": aside})
    if options.json:
        print_json([{**file, "aside": [dataclasses.asdict(line) for line in file["aside"]]} for file in imported])
        return 0
    for file in imported:
        new, known, aside = file["imported"], file["known"], file["aside"]
        print(f"{file['file']}: {new} imported, {known} known already, {len(aside)} set aside")
        for line in aside[:ASIDE]:
            print(f"  line {line.line}: {line.reason}")
        if len(aside) > ASIDE:
            print(f"  and {len(aside) - ASIDE} more: see them with --json")
    return 0


def _import_prior(options: argparse.Namespace) -> int:
    """Keeps what is known elsewhere beside the ledger; the next swarm reads it."""
    from swarm.ledger.home import ledger_path, make_home
    from swarm.project.prior import keep_imported, some_prior

    root = root_of(options)
    contents = {name: _bytes(Path(name)) for name in options.files}
    for name, content in contents.items():
        some_prior(name, content)  # raises: before any file is kept
    make_home(ledger_path(root).parent)
    read = {name: keep_imported(root, name, content) for name, content in contents.items()}
    if options.json:
        print_json([{"file": name, "records": len(one.records), "aside": one.aside} for name, one in read.items()])
        return 0
    for name, one in read.items():
        print(f"{name}: {len(one.records)} records of prior art, {len(one.aside)} lines set aside")
        for line in one.aside[:ASIDE]:
            print(f"  {line}")
    return 0


def export(options: argparse.Namespace) -> int:
    """Writes a swarm as a table: one row per experiment, or per run."""
    from swarm.views.export import experiments, runs, write

    target = Path(options.output) if options.output else None
    format = options.format or (target.suffix.removeprefix(".") if target else "tsv")
    if format not in EXPORTS:
        raise UsageError(f"--format {format}: it is one of {', '.join(EXPORTS)}")
    if format == "parquet" and target is None:
        raise UsageError("parquet is binary: name a file with --output swarm.parquet")
    with reading(options) as (read, _):
        snapshot = read()
    try:
        write_exactly(write(runs(snapshot) if options.runs else experiments(snapshot), format, target))
    except OSError as error:
        raise UsageError(f"--output {target} cannot be written: {error.strerror}") from error
    return 0


def prune(options: argparse.Namespace) -> int:
    """Deletes a swarm's branches, refs and files; its results stay known."""
    from swarm.execution.machine.removal import remove_for_good
    from swarm.history.repository import History

    with reading(options, tag=options.name) as (read, _):
        snapshot = read()
    if snapshot.is_led:
        raise UsageError(f"the swarm {snapshot.tag} is running: `python -m swarm stop` first")
    if not options.yes:
        raise UsageError(f"this deletes the branches, refs and files of {snapshot.tag}: confirm with --yes")
    refs = History(swarm_root_of(options)).forget(snapshot.tag)
    if why := remove_for_good(Path(snapshot.folder)):
        raise SwarmError(
            f"{snapshot.tag}: {refs} branches and refs deleted, but not all of {snapshot.folder} ({why}):"
            " delete the rest with the rights that this needs"
        )
    print(f"{snapshot.tag}: {refs} branches and refs deleted, and {snapshot.folder}; the ledger keeps its results")
    return 0


def _nothing_in(name: str, metric: str, metrics: Mapping[str, str], aside: Sequence[Aside]) -> str:
    """Why nothing of a file can be imported, in one line with the remedy."""
    others = [other for other in metrics if other.lower() != metric.lower()]
    if others and metric not in metrics:
        shown = ", ".join(others[:COLUMNS])
        return f"{name} has no {metric}; it has {shown}: `--metric {others[0]}` reads that one; nothing was imported"
    why = "; ".join(f"line {line.line}: {line.reason}" for line in aside[:3])
    return f"{name} holds no row that could be read{why and f' ({why})'}; nothing was imported"


def _bytes(path: Path) -> bytes:
    try:
        return read_named(path)
    except UsageError as error:
        raise UsageError(f"{error}; nothing was imported") from error
