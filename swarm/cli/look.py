"""The verbs that look: watch, status, show, report and doctor. They only read; report also writes its three files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.ablate import write_minimal
from swarm.cli.options import add_verb, find, folder_of, in_repository, reading, swarm_root_of
from swarm.cli.output import console, print_json, write_exactly
from swarm.errors import UsageError
from swarm.text import whole

if TYPE_CHECKING:
    from swarm.ledger.database import Ledger
    from swarm.records import Run
    from swarm.snapshot.records import ExperimentView, Snapshot


def add_to(verbs: Any) -> None:
    watching = add_verb(verbs, watch, tag=True, examples=("", "--svg leaderboard.svg"))
    watching.add_argument("--once", action="store_true", help="one frame, then exit")
    watching.add_argument("--svg", metavar="FILE", type=Path, help="one frame as a picture, for a README or a chat")
    add_verb(verbs, status, tag=True, json=True, examples=("", "--tag apr5 --json"))
    showing = add_verb(verbs, show, tag=True, json=True, examples=("gpu0-0007", "champion --patch > champion.patch"))
    showing.add_argument(
        "what", metavar="ID", help="an experiment, its commit, champion, baseline, or an agent such as gpu0"
    )
    showing.add_argument("--patch", action="store_true", help="only the change, as a patch for git apply or git am")
    showing.add_argument("--minimal", action="store_true", help="with champion --patch: without what does not matter")
    showing.add_argument("--transcript", action="store_true", help="the researcher's transcript, not the run's log")
    showing.add_argument("-f", "--follow", action="store_true", help="an agent's log or transcript as it grows")
    reporting = add_verb(verbs, report, tag=True, json=True, examples=("", "--gpu-usd-per-hour 2.50"))
    reporting.add_argument(
        "--gpu-usd-per-hour", type=float, metavar="USD", help="price of a GPU hour, for the report's cost"
    )
    add_verb(verbs, doctor, json=True, examples=("", "-C ../my-project"))


def watch(options: argparse.Namespace) -> int:
    """Shows the live leaderboard of a swarm, from any terminal.

    Keys: q leaves, Enter opens a row, ? lists the others. None of them ends the
    swarm.
    """
    from swarm.views.leaderboard import VISITOR, export_svg, render
    from swarm.views.leaderboard import watch as follow
    from swarm.views.status import WIDEST

    screen = console()
    if options.svg and options.svg.suffix.lower() != ".svg":
        raise UsageError(f"--svg {options.svg}: an SVG picture is written, so its name ends in .svg")
    with reading(options) as (read, _):
        if options.svg:
            try:
                print(export_svg(read(), options.svg))
            except OSError as error:
                raise UsageError(f"--svg {options.svg} cannot be written: {error.strerror}") from error
        elif options.once:
            screen.print(render(read(), min(screen.width, WIDEST), screen.height, VISITOR))
        else:
            from swarm.cli.keyboard import keyboard
            from swarm.views.browser import Browser

            with keyboard() as keys:
                follow(read, screen, keys=keys, browser=Browser(VISITOR) if keys else None)
    return 0


def status(options: argparse.Namespace) -> int:
    """Shows in a few lines where a swarm stands."""
    from swarm.views.status import render_status, status_json

    with reading(options) as (read, _):
        snapshot = read()
    if options.json:
        print_json(status_json(snapshot))
    else:
        console().print(render_status(snapshot))
    return 0


def show(options: argparse.Namespace) -> int:
    """Shows one experiment, the champion, or what an agent is doing."""
    with reading(options) as (read, ledger):
        snapshot = read()
        if options.what in [agent.agent for agent in snapshot.agents]:
            return _show_agent(snapshot, options, lambda: read().is_led)
        if options.follow:
            raise UsageError(f"--follow goes with an agent, such as gpu0: {options.what:.40} is none")
        view, champion = find(snapshot, options.what), options.what == "champion"
        if options.minimal:
            if not (champion and options.patch):
                raise UsageError("--minimal goes with a champion's patch: show champion --patch --minimal")
            write_minimal(swarm_root_of(options), snapshot, view, ledger)
            return 0
        if champion and snapshot.champion is None and not options.patch:
            print(f"{snapshot.tag} has no champion yet: this is the newest kept step, {view.id}", file=sys.stderr)
        if options.transcript:
            return _show_transcript(snapshot, view)
        patch = patch_of(swarm_root_of(options), snapshot, view, champion)
        if options.patch:
            from swarm.views.patch import mail

            write_exactly(mail(snapshot, view, patch, champion))
        elif options.json:
            from swarm.views.clocked import clocked
            from swarm.views.experiment import experiment_json

            clock = [clocked(run) for run in _with_parent(ledger, view)]
            against = _against(snapshot, view, champion)
            details = {"patch": whole(patch), "patch_against": against, "clock": clock[0], "parents_clock": clock[1]}
            print_json(experiment_json(snapshot, view) | details)
        else:
            _show_experiment(snapshot, view, whole(patch), _against(snapshot, view, champion), ledger)
    return 0


def report(options: argparse.Namespace) -> int:
    """Writes report.md, progress.png and report.html, and names them."""
    usd = options.gpu_usd_per_hour
    if usd is not None and not (0 <= usd < float("inf")):
        raise UsageError(f"--gpu-usd-per-hour {usd:g}: a price is 0 or more")
    with reading(options) as (read, _):
        save_report(swarm_root_of(options), read(), usd, options.json)
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Checks what a swarm needs on this machine, and says how to fix it."""
    from swarm.launch.doctor import examine, examine_machine

    folder = folder_of(options)
    findings = examine(folder) if in_repository(folder) else examine_machine(folder)
    if options.json:
        print_json([{"name": f.name, "ok": f.ok, "told": f.text, "remedy": f.remedy} for f in findings])
    else:
        for finding in findings:
            console().print(finding)
    return 0 if all(f.ok is not False for f in findings) else 1


def _show_experiment(snapshot: Snapshot, view: ExperimentView, patch: str, against: str, ledger: Ledger) -> None:
    from swarm.views.clocked import clocked_line
    from swarm.views.experiment import render_experiment
    from swarm.wording.confirmation_results import confirmations_of
    from swarm.wording.formatting import Scale

    run, parent = _with_parent(ledger, view)
    tail = run.log_tail if run and view.failure else ""
    runs = [run for run in snapshot.runs if run.experiment == view.id]
    tests = confirmations_of(snapshot, view.id)
    scale, clock = Scale.of(snapshot), clocked_line(run, parent)
    console().print(render_experiment(view, runs, patch, tail, scale, snapshot.sigma, tests, clock, against))


def _with_parent(ledger: Ledger, view: ExperimentView) -> tuple[Run | None, Run | None]:
    """The newest run of an experiment, and of its parent's code."""
    from swarm.ledger.experiments import experiment
    from swarm.ledger.run_results import newest_parent_run, newest_result

    return newest_result(ledger, view.id), newest_parent_run(ledger, experiment(ledger, view.id))


def _show_agent(snapshot: Snapshot, options: argparse.Namespace, is_running: Callable[[], bool]) -> int:
    """The log of what the agent runs now (or ran last), or what it thinks; with -f as it grows."""
    from swarm.snapshot.agent_files import LOGS, TRANSCRIPTS
    from swarm.views.follow import follow

    files = TRANSCRIPTS if options.transcript else LOGS
    follow(Path(snapshot.folder, options.what), files, sys.stdout, is_running if options.follow else None)
    return 0


def _show_transcript(snapshot: Snapshot, view: ExperimentView) -> int:
    """Prints the transcript of the researcher's work on an experiment."""
    from swarm.wording.formatting import clean_block

    path = Path(snapshot.folder, view.agent, "transcripts", f"{view.id}.md")
    if not path.exists():
        raise UsageError(f"{view.id} has no transcript: the sweep, which writes none, proposed it, or another host")
    print(clean_block(path.read_text(errors="replace")), end="")
    return 0


def patch_of(root: Path, snapshot: Snapshot, view: ExperimentView, champion: bool) -> str:
    """The experiment's change as a patch: against its parent; the champion's against the baseline."""
    from swarm.history.repository import History

    older = snapshot.trunk[0].commit if champion else view.parent
    return History(root).diff(older, view.commit) + "\n" if older and view.commit and older != view.commit else ""


def _against(snapshot: Snapshot, view: ExperimentView, champion: bool) -> str:
    """What that patch is against, in words."""
    from swarm.wording.formatting import plural

    if champion:
        steps = sum(0 < step.position <= view.position for step in snapshot.trunk)
        return f"the baseline: all of {plural(steps, 'step')}"
    parent = next((step for step in snapshot.trunk if step.commit and step.commit == view.parent), None)
    if parent is None or parent.position == 0:
        return "its parent" if parent is None else "its parent, the baseline"
    return f"its parent, step {parent.position} ({parent.title})"


def save_report(root: Path, snapshot: Snapshot, usd: float | None, as_json: bool = False) -> None:
    """Writes report.md, progress.png and report.html into the swarm's folder, and prints where they are."""
    from swarm.views.report import write_report
    from swarm.web.report import write_page
    from swarm.wording.headline import headline
    from swarm.wording.verdict_text import is_held

    kept = {e.id: e for e in snapshot.experiments if (e.status == "keep" and not e.baseline) or is_held(e)}
    patches = {id: whole(patch_of(root, snapshot, view, champion=False)) for id, view in kept.items()}
    document, picture = write_report(snapshot, Path(snapshot.folder), usd, patches)
    page = write_page(root, snapshot, Path(snapshot.folder), usd)
    if as_json:
        files = {"report": str(document), "picture": str(picture), "page": str(page)}
        print_json({"tag": snapshot.tag, "headline": headline(snapshot)} | files)
    else:
        console().print(headline(snapshot), markup=False, highlight=False)
        print(f"report: {document}\npicture: {picture}\npage: {page}")
