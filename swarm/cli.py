"""The command line: one small function per verb. Everything heavy is imported by the verb that needs it.

Exit codes: 0 done or drained, 1 error, 2 usage, 4 a limit was reached before anything ran, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm import __version__
from swarm.errors import SwarmError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from swarm.board.ledger import Ledger
    from swarm.board.snapshot import ExperimentView, Snapshot
    from swarm.config import Config
    from swarm.slots import Seating

DESCRIPTION = """Machines do research overnight: one agent per GPU edits the training code, trains, keeps what is
better, and shares what it learned with all others."""

EPILOG = """\
every day    launch, watch, status, show, report, tell, stop, doctor
now and then attach, confirm, import, export, prune
developers   bench, simulate, chaos

A first night:  python prepare.py && python -m swarm launch --hours 8
"""

EXPORTS = ("tsv", "csv", "json", "parquet")
ASIDE = 20  # lines of a file that were set aside, told at most


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; gives the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.verb(options)
    except SwarmError as error:
        print(f"swarm: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


# -- the verbs -----------------------------------------------------------------------------------------------------


def launch(options: argparse.Namespace) -> int:
    """Plans, prints the plan, and runs the swarm until its limit or Ctrl-C."""
    from swarm.config import read_config
    from swarm.plan import make_plan, researcher_options
    from swarm.project import load_settings
    from swarm.researchers.auto import introduce
    from swarm.views.plan import describe

    root = _root(options)
    flags = {name: value for name, value in vars(options).items() if name not in ("verb", "directory", "json")}
    config, settings = read_config(flags, load_settings(root), os.environ)
    plan = make_plan(root, config, seats=_seats(config.address or os.environ.get("RAY_ADDRESS")))
    if options.json:
        return _launch_for_programs(plan, flags)
    console = _console()
    print(introduce(plan.config.researcher, plan.researchers.values(), researcher_options(plan.config, plan.project)))
    console.print(describe(plan, settings if config.dry_run else ()))
    if config.dry_run:
        return 0
    if config.detach:
        child, log = _detach(plan, flags)
        print(f"{plan.tag} runs on its own (pid {child}, log {log})")
        print("see it:  python -m swarm watch     end it:  python -m swarm stop")
        return 0
    return _run(plan, console)


def watch(options: argparse.Namespace) -> int:
    """The live leaderboard, from any terminal."""
    from swarm.views.leaderboard import VISITOR, render
    from swarm.views.leaderboard import watch as follow

    console = _console()
    with _reading(options) as (read, _):
        if options.once:
            console.print(render(read(), console.width, console.height, VISITOR))
        else:
            follow(read, console)
    return 0


def status(options: argparse.Namespace) -> int:
    """Where the swarm stands, in a few lines."""
    from swarm.views.show import render_status, status_json

    with _reading(options) as (read, _):
        snapshot = read()
    if options.json:
        _print_json(status_json(snapshot))
    else:
        _console().print(render_status(snapshot))
    return 0


def show(options: argparse.Namespace) -> int:
    """One experiment in full, the champion, or what an agent is doing."""
    with _reading(options) as (read, ledger):
        snapshot = read()
        if options.what in [agent.agent for agent in snapshot.agents]:
            return _show_agent(snapshot, options, lambda: read().status in ("running", "draining"))
        view = _find(snapshot, options.what)
        if options.transcript:
            return _show_transcript(snapshot, view)
        patch = _patch(_root(options), snapshot, view, champion=options.what == "champion")
        if options.patch:
            from swarm.views.patch import mail

            print(mail(snapshot, view, patch, champion=options.what == "champion"), end="")
        elif options.json:
            from swarm.views.show import experiment_json

            _print_json(experiment_json(snapshot, view) | {"patch": patch})
        else:
            _show_experiment(snapshot, view, patch, ledger)
    return 0


def report(options: argparse.Namespace) -> int:
    """Writes report.md and progress.png, and says where they are."""
    with _reading(options) as (read, _):
        _write_report(_root(options), read(), options.gpu_usd_per_hour, options.json)
    return 0


def tell(options: argparse.Namespace) -> int:
    """A word to all researchers, in every briefing from now on."""
    text = " ".join(options.text).strip()
    if not text:
        raise UsageError('there is nothing to tell: python -m swarm tell "try smaller batches"')
    with _reading(options) as (read, _):
        snapshot = read()
    if snapshot.status in ("running", "draining"):
        draft = Path(snapshot.folder, f".tell-{time.time_ns()}")
        draft.write_text(text)
        draft.rename(draft.with_name(f"{draft.name[1:]}.txt"))
    else:
        from swarm.board.board import Board
        from swarm.board.ledger import Ledger
        from swarm.board.reader import ledger_path

        with contextlib.closing(Ledger(ledger_path(_root(options)), write=True)) as ledger:
            Board(ledger, snapshot.tag).tell(text)
    if options.json:
        _print_json({"tag": snapshot.tag, "told": text})
    else:
        print(f"told {snapshot.tag}: it is in every briefing from now on")
    return 0


def stop(options: argparse.Namespace) -> int:
    """Lets the swarm finish what runs (or, with --now, ends it), and waits for that."""
    with _reading(options) as (read, _):
        snapshot = read()
        if snapshot.status not in ("running", "draining"):
            raise UsageError(f"the swarm {snapshot.tag} is not running: it is {snapshot.status}")
        Path(snapshot.folder, "stop").write_text("now" if options.now else "drain")
        how = "stopping" if options.now else "draining; `python -m swarm stop --now` ends it at once"
        if not options.json:
            print(f"{snapshot.tag}: {how}")
        while read().status in ("running", "draining") and not options.no_wait:
            time.sleep(0.5)
        if options.json:
            _print_json({"tag": snapshot.tag, "status": read().status})
    return 0


def attach(options: argparse.Namespace) -> int:
    """A tmux window per agent; or, with an agent's name, its conversation, taken over until you leave it."""
    from swarm import attach as terminal

    with _reading(options) as (read, _):
        snapshot = read()
    if snapshot.status not in ("running", "draining"):
        raise UsageError(f"the swarm {snapshot.tag} is not running: it is {snapshot.status}")
    if options.agent:
        agents = {agent.agent: agent for agent in snapshot.agents}
        if options.agent not in agents:
            raise UsageError(f"{snapshot.tag} has no agent {options.agent}; there are: {', '.join(agents)}")
        return terminal.take_over(Path(snapshot.folder, options.agent), agents[options.agent])
    root = _root(options)
    terminal.open_windows(root, snapshot)
    if options.json:
        _print_json({"session": terminal.session(snapshot), "windows": list(terminal.windows(root, snapshot))})
    elif sys.stdout.isatty():
        terminal.enter(snapshot)
    else:
        print(f"tmux attach -t {terminal.session(snapshot)}")
    return 0


def export(options: argparse.Namespace) -> int:
    """The night as a table: one row an experiment, or with --runs one a run."""
    from swarm.views.export import experiments, runs, write

    target = Path(options.output) if options.output else None
    format = options.format or (target.suffix.removeprefix(".") if target else "tsv")
    if format not in EXPORTS:
        raise UsageError(f"--format {format}: it is one of {', '.join(EXPORTS)}")
    if format == "parquet" and target is None:
        raise UsageError("parquet is no text: give a file with --output night.parquet")
    with _reading(options) as (read, _):
        snapshot = read()
    try:
        print(write(runs(snapshot) if options.runs else experiments(snapshot), format, target), end="")
    except OSError as error:
        raise UsageError(f"--output {target} cannot be written: {error.strerror}") from error
    return 0


def import_(options: argparse.Namespace) -> int:
    """Brings results.tsv files of earlier nights onto the board, where researchers are shown them."""
    from swarm.board.importing import bring_in
    from swarm.board.ledger import Ledger
    from swarm.board.reader import ledger_path, make_home
    from swarm.board.results import read_results
    from swarm.project import load_project

    root = _root(options)
    project = load_project(root)
    texts = {name: _bytes(Path(name)) for name in options.files}
    read = {name: read_results(text, project.metric) for name, text in texts.items()}
    make_home(ledger_path(root).parent)
    told = []
    with contextlib.closing(Ledger(ledger_path(root), write=True)) as ledger:
        for name, (rows, aside) in read.items():
            new = bring_in(ledger, Path(name).name, rows, project.metric, project.direction, time.time())
            told.append({"file": name, "imported": new, "known": len(rows) - new, "aside": aside})
    if options.json:
        _print_json([{**file, "aside": [dataclasses.asdict(line) for line in file["aside"]]} for file in told])
        return 0
    for file in told:
        new, known, aside = file["imported"], file["known"], file["aside"]
        print(f"{file['file']}: {new} imported, {known} known already, {len(aside)} set aside")
        for line in aside[:ASIDE]:
            print(f"  line {line.line}: {line.reason}")
        if len(aside) > ASIDE:
            print(f"  and {len(aside) - ASIDE} more: see them with --json")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Checks what a night needs; each line is fine, or says what mends it."""
    from swarm.doctor import examine

    findings = examine(_root(options))
    if options.json:
        _print_json([{"name": f.name, "ok": f.ok, "told": f.told, "remedy": f.remedy} for f in findings])
    else:
        for finding in findings:
            _console().print(finding)
    return 0 if all(f.ok is not False for f in findings) else 1


def confirm(options: argparse.Namespace) -> int:
    """Runs an experiment and its rival on fresh seeds and compares them, as a paper needs it."""
    from swarm.config import Config
    from swarm.confirmation import Question, answer
    from swarm.views.comparison import comparison_json, render_comparison

    with _reading(options) as (read, ledger):
        snapshot = read()
        view = _find(snapshot, options.what)
        rival = _find(snapshot, _rival(snapshot, view, options.against, ledger))
    question = Question(view.id, rival.id, options.seeds)
    seats = Config(gpus=options.gpus, agents=options.agents)
    told = answer(_root(options), snapshot.tag, question, seats, lambda line: print(line, file=sys.stderr, flush=True))
    if options.json:
        _print_json(comparison_json(snapshot, view, rival, told))
    else:
        _console().print(render_comparison(snapshot, view, rival, told))
    return 0


def prune(options: argparse.Namespace) -> int:
    """Removes a night's branches, refs and files; what it learned stays in the ledger."""
    import shutil

    from swarm.board.history import History

    with _reading(options, tag=options.name) as (read, _):
        snapshot = read()
    if snapshot.status in ("running", "draining"):
        raise UsageError(f"the swarm {snapshot.tag} is running: `python -m swarm stop` first")
    if not options.yes:
        raise UsageError(f"this deletes the branches, refs and files of {snapshot.tag}: say so with --yes")
    refs = History(_root(options)).forget(snapshot.tag)
    shutil.rmtree(snapshot.folder, ignore_errors=True)
    print(
        f"{snapshot.tag}: {refs} branches and refs removed, and {snapshot.folder}; the ledger still knows what it tried"
    )
    return 0


def bench(options: argparse.Namespace) -> int:
    """Experiments per hour and train share of 1, 2, 4 and 8 agents with the synthetic trainer."""
    from swarm.simulation.bench import measure
    from swarm.views.bench import table

    agents = tuple(int(count) for count in options.agents.split(","))
    result = measure(agents, budget=options.budget, think=options.think, experiments=options.experiments)
    if options.json:
        _print_json(result)
    else:
        _console().print(table(result))
    return 0


def simulate(options: argparse.Namespace) -> int:
    """Simulated nights with a known truth: what a policy gains, and how often it is fooled."""
    from swarm.simulation import study as studies
    from swarm.simulation.load import measure
    from swarm.views.simulate import night, tables

    study = studies.read_study(vars(options))
    if options.once:
        from swarm.simulation.night import simulate as simulate_night

        begun, what = time.monotonic(), study.night()
        _console().print(night(what, simulate_night(what), time.monotonic() - begun))
        return 0
    results = studies.run(study, _progress)
    flat = results.flat() | (measure(1.0, 10_000) if options.quick else measure())
    if options.json:
        _print_json(flat)
    else:
        _console().print(tables(results, flat))
    return 0


def chaos(options: argparse.Namespace) -> int:
    """Hurts a swarm of its own again and again (kills, full disk, lost answers), and checks that nothing was lost."""
    from swarm.chaos.chaos import drill, sound

    if options.faults < 1 or options.agents < 1:
        raise UsageError("--faults and --agents must be at least 1")
    result = drill(options.faults, options.seed, options.agents, lambda line: print(line, file=sys.stderr, flush=True))
    if options.json:
        _print_json(result)
    else:
        print("\n".join(f"{name:18}{'n/a' if value is None else value}" for name, value in result.items()))
    return 0 if sound(result) else 1


# -- pieces --------------------------------------------------------------------------------------------------------


def _seats(address: str | None) -> Callable[[Config], Seating]:
    """Where agents can work: on the GPUs of the cluster at `address`, or else on this machine."""
    if not address:
        from swarm.slots import seats_here

        return seats_here
    from swarm.coordinator.muster import muster

    print(f"asking the cluster at {address} for GPUs", flush=True)
    return functools.partial(muster, address, functools.partial(print, flush=True))


def _run(plan: Any, console: Console) -> int:
    """The swarm in the foreground, with its leaderboard, and the report at the end."""
    from swarm.board.reader import open_ledger, read_snapshot
    from swarm.coordinator.head import run
    from swarm.views.leaderboard import OWNER
    from swarm.views.leaderboard import watch as follow

    def show(done: Callable[[], bool]) -> None:
        with contextlib.closing(open_ledger(plan.root)) as ledger:
            follow(lambda: read_snapshot(plan.root, ledger, plan.tag), console, stopping=OWNER, done=done)

    print(f"starting Ray and {len(plan.slots)} agents; first the baseline on each, twice", flush=True)
    with _awake():
        code, reason = run(plan, show)
    with contextlib.closing(open_ledger(plan.root)) as ledger:
        snapshot = read_snapshot(plan.root, ledger, plan.tag)
    print(f"{plan.tag} has ended: {reason}", file=sys.stderr if code == 1 else sys.stdout)
    _write_report(plan.root, snapshot, plan.config.gpu_usd_per_hour)
    return code if snapshot.runs else 4


def _launch_for_programs(plan: Any, flags: Mapping[str, Any]) -> int:
    """The plan as JSON, or the detached launch with where to find it."""
    from swarm.views.plan import plan_json

    if plan.config.dry_run:
        _print_json(plan_json(plan))
        return 0
    if not plan.config.detach:
        raise UsageError("launch --json goes with --dry-run, which prints the plan, or with --detach")
    child, log = _detach(plan, flags)
    _print_json({"tag": plan.tag, "pid": child, "log": str(log)})
    return 0


def _detach(plan: Any, flags: Mapping[str, Any]) -> tuple[int, Path]:
    """The same launch in a session of its own, without a terminal. Once it runs: its process and its log."""
    from swarm.board.ledger import locked
    from swarm.board.reader import ledger_path
    from swarm.config import flag

    typed = {**flags, "tag": plan.tag}
    typed.pop("detach", None)
    secret = {"SWARM_NOTIFY": url} if (url := typed.pop("notify", None)) else {}  # not for everybody's `ps`
    words = [[flag(name)] if value is True else [flag(name), str(value)] for name, value in typed.items()]
    rest = ["launch", "-C", str(plan.root), *(word for pair in words for word in pair)]
    plan.folder.mkdir(parents=True, exist_ok=True)
    log = plan.folder / "launch.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "swarm", *rest],
            cwd=plan.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "SWARM_DETACH": "no"} | secret,
        )
    while child.poll() is None and not locked(ledger_path(plan.root)):
        time.sleep(0.2)
    if child.poll() is not None and child.returncode != 0:
        raise SwarmError(f"the swarm did not start; {log} says why:\n{log.read_text()[-2000:]}")
    return child.pid, log


@contextlib.contextmanager
def _awake() -> Iterator[None]:
    """Keeps a Mac from sleeping while the swarm runs."""
    if sys.platform != "darwin":
        yield
        return
    keeper = subprocess.Popen(["caffeinate", "-i", "-w", str(os.getpid())])
    try:
        yield
    finally:
        keeper.terminate()


@contextlib.contextmanager
def _reading(options: argparse.Namespace, tag: str | None = None) -> Iterator[tuple[Callable[[], Snapshot], Ledger]]:
    """A function that reads the swarm's snapshot (of --tag, else of the newest), and the ledger behind it."""
    from swarm.board.reader import newest_tag, open_ledger, read_snapshot

    root = _root(options)
    with contextlib.closing(open_ledger(root)) as ledger:
        name = tag or options.tag or newest_tag(ledger)
        if name is None:
            raise UsageError("no swarm was ever started here: python -m swarm launch")
        yield lambda: read_snapshot(root, ledger, name), ledger


def _find(snapshot: Snapshot, what: str) -> ExperimentView:
    """The experiment called `what`: an id, its end (gpu0-0007), a commit, or "champion"."""
    if what == "champion":
        what = snapshot.champion or snapshot.trunk[-1].experiment
        if not what:
            raise UsageError(f"{snapshot.tag} has kept nothing yet: the baseline leads")
    for view in snapshot.experiments:
        if what in (view.id, view.id.removeprefix(f"{snapshot.tag}-")) or (view.commit or "-").startswith(what):
            return view
    raise UsageError(f"{snapshot.tag} has no experiment {what}: see `python -m swarm status` for what there is")


def _rival(snapshot: Snapshot, view: ExperimentView, against: str, ledger: Ledger) -> str:
    """The id of what `against` names, as the other arm of a confirmation; UsageError where there is nothing to ask."""
    from swarm.board.confirmations import baseline, parent_of

    if view.baseline:
        raise UsageError(f"{view.id} is the baseline, which others are compared with: name an experiment")
    if view.status in (None, "crash"):
        raise UsageError(f"{view.id} gave no result to confirm: it is {view.status or view.state}")
    named = {
        "parent": lambda: parent_of(ledger, snapshot.tag, view.id),
        "baseline": lambda: baseline(ledger, snapshot.tag),
    }
    if against == "champion" and snapshot.champion is None:
        raise UsageError(f"{snapshot.tag} has no champion yet: use --against baseline")
    rival = _find(snapshot, named[against]() if against in named else against).id
    same = "SELECT count(DISTINCT source) FROM experiments WHERE id IN (?, ?)"
    if ledger.value(same, view.id, rival) < 2:
        raise UsageError(f"{view.id} and {rival} are the same code: choose another --against")
    return rival


def _patch(root: Path, snapshot: Snapshot, view: ExperimentView, champion: bool) -> str:
    """The experiment's change as a patch: against its parent; the champion's against the baseline."""
    from swarm.board.history import History

    older = snapshot.trunk[0].commit if champion else view.parent
    return History(root).diff(older, view.commit) + "\n" if older and view.commit and older != view.commit else ""


def _show_experiment(snapshot: Snapshot, view: ExperimentView, patch: str, ledger: Ledger) -> None:
    from swarm.records import decode
    from swarm.views.confirmations import of_experiment
    from swarm.views.show import render_experiment
    from swarm.views.text import Scale

    result = ledger.value(
        "SELECT result FROM runs WHERE experiment = ? AND result IS NOT NULL ORDER BY started DESC", view.id
    )
    tail = decode(result).log_tail if result and view.failure else ""
    runs = [run for run in snapshot.runs if run.experiment == view.id]
    tests = of_experiment(snapshot, view.id)
    _console().print(render_experiment(view, runs, patch, tail, Scale.of(snapshot), snapshot.sigma, tests))


def _show_agent(snapshot: Snapshot, options: argparse.Namespace, goes_on: Callable[[], bool]) -> int:
    """The log of what the agent runs now (or ran last), or what it thinks; with -f as it grows."""
    from swarm.views.follow import LOGS, TRANSCRIPTS, follow

    newest = TRANSCRIPTS if options.transcript else LOGS
    follow(Path(snapshot.folder, options.what), newest, sys.stdout, goes_on if options.follow else None)
    return 0


def _show_transcript(snapshot: Snapshot, view: ExperimentView) -> int:
    """What was said on the way to an experiment."""
    from swarm.views.text import clean_block

    path = Path(snapshot.folder, view.agent, "transcripts", f"{view.id}.md")
    if not path.exists():
        raise UsageError(f"{view.id} has no transcript: the sweep thought of it, or it was thought of elsewhere")
    print(clean_block(path.read_text(errors="replace")), end="")
    return 0


def _write_report(root: Path, snapshot: Snapshot, usd: float | None, as_json: bool = False) -> None:
    from swarm.views.report import headline, write_report

    kept = {e.id: e for e in snapshot.experiments if e.status == "keep" and not e.baseline}
    patches = {id: _patch(root, snapshot, view, champion=False) for id, view in kept.items()}
    document, picture = write_report(snapshot, Path(snapshot.folder), usd, patches)
    if as_json:
        told = {"tag": snapshot.tag, "headline": headline(snapshot)}
        _print_json(told | {"report": str(document), "picture": str(picture)})
    else:
        print(headline(snapshot))
        print(f"report: {document}\npicture: {picture}")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; nothing was imported") from error


def _root(options: argparse.Namespace) -> Path:
    """The repository the command is about: --repo, or the one around the current folder."""
    start = Path(options.directory).absolute()
    if not start.is_dir():
        raise UsageError(f"--repo {options.directory}: there is no such folder")
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            break
    else:
        raise UsageError(f"{start} is not in a git repository: run `git init` there, or name one with --repo FOLDER")
    if start != folder and (start / "swarm.toml").is_file():
        raise UsageError(
            f"{start} has a swarm.toml of its own, but is a part of the repository {folder}: copy it out,"
            " and `git init && git add . && git commit -m start` there"
        )
    return folder


def _console() -> Console:
    from rich.console import Console

    return Console()


def _progress(done: int, of: int) -> None:
    """How far the work is, where a person looks on."""
    if sys.stderr.isatty():
        print(f"\r{done} of {of} nights", end="" if done < of else "\n", file=sys.stderr, flush=True)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


# -- the parser ----------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m swarm",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"swarm {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_launch(verbs)
    _add(verbs, watch, tag=True).add_argument("--once", action="store_true", help="one frame, then leave")
    _add(verbs, status, tag=True, json=True)
    showing = _add(verbs, show, tag=True, json=True)
    showing.add_argument("what", metavar="ID", help="an experiment, its commit, champion, or an agent such as gpu0")
    showing.add_argument("--patch", action="store_true", help="only the change, for git apply or git am")
    showing.add_argument("--transcript", action="store_true", help="what was thought and said, not the run's log")
    showing.add_argument("-f", "--follow", action="store_true", help="an agent's log or transcript as it grows")
    _add(verbs, report, tag=True, json=True).add_argument(
        "--gpu-usd-per-hour", type=float, help="adds what the GPUs cost"
    )
    _add(verbs, tell, tag=True, json=True).add_argument("text", nargs="+", help="what the researchers should know")
    stopping = _add(verbs, stop, tag=True, json=True)
    stopping.add_argument("--now", action="store_true", help="end running trainings at once; --resume runs them again")
    stopping.add_argument("--no-wait", action="store_true", help="do not wait until it has ended")
    attaching = _add(verbs, attach, tag=True, json=True)
    attaching.add_argument("agent", nargs="?", help="talk with this agent's model; without it: windows on all agents")
    exporting = _add(verbs, export, tag=True)
    exporting.add_argument("--format", help=f"{', '.join(EXPORTS)} (by the file's ending, else tsv)")
    exporting.add_argument("--output", "-o", metavar="FILE", help="where to write it (stdout)")
    exporting.add_argument("--runs", action="store_true", help="one row a run, with seed and purpose")
    importing = _add(verbs, import_, json=True)
    importing.add_argument("files", nargs="+", metavar="RESULTS", help="results.tsv files, as messy as they are")
    _add(verbs, doctor, json=True)
    confirming = _add(verbs, confirm, tag=True, json=True)
    confirming.add_argument("what", metavar="ID", help="an experiment, its commit, or champion")
    confirming.add_argument("--seeds", type=int, default=8, help="fresh runs of each arm (%(default)s)")
    confirming.add_argument("--against", default="parent", help="parent, baseline, champion or an ID (%(default)s)")
    confirming.add_argument("--gpus", help="how many GPUs or which, where not the night's")
    confirming.add_argument("--agents", type=int, help="how many runs at a time on CPU cores, where not the night's")
    pruning = _add(verbs, prune)
    pruning.add_argument("name", metavar="TAG", help="the swarm to remove")
    pruning.add_argument("--yes", action="store_true", help="yes, delete them")
    benching = _add(verbs, bench, json=True)
    benching.add_argument("--agents", default="1,2,4,8", help="numbers of agents to compare (%(default)s)")
    benching.add_argument("--budget", type=float, default=4.0, help="seconds per run (%(default)s)")
    benching.add_argument("--think", type=float, default=0.0, help="seconds a researcher thinks (%(default)s)")
    benching.add_argument("--experiments", type=int, default=6, help="experiments per agent (%(default)s)")
    _add_simulate(verbs)
    hurting = _add(verbs, chaos, json=True)
    hurting.add_argument("--faults", type=int, default=30, help="how often it is hurt (%(default)s; about 6 s each)")
    hurting.add_argument("--seed", type=int, default=0, help="decides which faults, and on whom (%(default)s)")
    hurting.add_argument("--agents", type=int, default=2, help="agents of the swarm (%(default)s)")
    return parser


def _add_simulate(verbs: Any) -> None:
    parser = _add(verbs, simulate, json=True)
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and shorter nights: the same figures in a minute, less exact")
    add("--once", action="store_true", help="one night only, told in full; with --gpus 1000 as large as you like")
    add("--nights", type=int, help="nights of each kind (100)")
    add("--hours", type=float, help="hours of a night (12)")
    add("--gpus", type=int, help="GPUs of a swarm (8)")
    add("--sigma", help="noise of the metric, one or more (0.0006,0.0012)")
    add("--landscape", help="default, klike, or both (default,klike)")
    add("--policy", help="what is compared with greedy (race); race:keep_z=1.5:max_runs=4 changes its rules")
    add("--offset", type=float, help="spread of the GPUs' offsets in sigmas (0.5)")
    add("--repeats", type=float, help="share of proposals that repeat an earlier idea in other words (0.3)")
    add("--budget", type=float, help="seconds of a run (300)")
    add("--think", type=float, help="seconds a researcher thinks about an idea (60)")
    add("--seed", type=int, help="the first night's seed (0); equal seeds give equal nights")
    add("--workers", type=int, help="processes (one per core)")


def _add(verbs: Any, verb: Callable[..., int], tag: bool = False, json: bool = False) -> argparse.ArgumentParser:
    """A subparser named and described after its function."""
    text = (verb.__doc__ or "").strip()
    parser = verbs.add_parser(verb.__name__.strip("_"), help=text.split("\n")[0], description=text)
    parser.set_defaults(verb=verb)
    parser.add_argument("-C", "--repo", dest="directory", default=".", metavar="FOLDER", help="the repository (here)")
    if tag:
        parser.add_argument("--tag", help="which swarm (the newest)")
    if json:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def _add_launch(verbs: Any) -> None:
    """Launch's flags have no defaults here: what was not typed comes from the environment or [tool.swarm]."""
    parser = _add(verbs, launch, json=True)
    parser.argument_default = argparse.SUPPRESS
    add = parser.add_argument
    add("--tag", help="the swarm's name (today, such as nov20)")
    add("--gpus", help="how many GPUs (8) or which (0,1,5); default: all")
    add("--agents", type=int, help="how many agents on CPU cores (one per core); on GPUs at most so many")
    add("--device", help="auto, cuda, mps, cpu, or sim (simulated GPUs)")
    add("--hours", type=float, help="time limit; its end is kept for a closing wave")
    add("--max-experiments", type=int, help="stop after so many experiments")
    add("--max-usd", type=float, help="money limit for models, all agents together (20)")
    add("--max-tokens", type=int, help="limit of the models' prompts and answers together, in tokens")
    add("--budget", type=float, help="training seconds per run (300, or the project's)")
    add(
        "--researcher",
        help="who thinks: auto, sweep, claude, claude-code, command, scripted, package.module:Class; or claude:4,sweep",
    )
    add("--model", help="the model a researcher should use")
    add("--think-limit", type=float, help="seconds a researcher may think until the sweep stands in for it (1200)")
    add("--command", help="the command researcher's CLI, such as 'codex exec --sandbox workspace-write {prompt}'")
    add("--command-env", help="names of variables it may see beside the usual ones, such as OPENAI_API_KEY")
    add("--script", help="the scripted researcher's file")
    add("--think", type=float, help="the scripted researcher's thinking time in seconds")
    add("--sandbox", help="auto (where bubblewrap works), require, or off: what trainings can reach (auto)")
    add("--policy", help="race (replicate, then keep) or greedy (one run decides)")
    add("--researcher-seed", type=int, help="seed of the researchers' choices (0)")
    add("--from", dest="from_tag", metavar="TAG", help="start from what another swarm found")
    add("--resume", action="store_true", help="go on with --tag after anything")
    add("--detach", action="store_true", help="run without this terminal; come back with watch")
    add("--dry-run", action="store_true", help="print the plan, touch nothing")
    add("--address", help="join this Ray cluster (on its head: auto) instead of starting an own one")
    add("--wait", help="how long a cluster gets to bring its GPUs, as 90s, 15m, 2h (15m)")
    add("--notify", metavar="URL", help="a webhook (ntfy, Slack, Discord, or JSON) for champions, crashes and the end")
    add("--push", metavar="REMOTE", help="git remote that gets every commit as it is recorded")
    add("--gpu-usd-per-hour", type=float, help="for the report's cost")
