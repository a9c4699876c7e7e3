"""Flags that several verbs share, and what the words of a command line name: repository, swarm, experiment."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.parsing import HelpFormatter
from swarm.errors import UsageError
from swarm.invoked import program
from swarm.project.durations import Unit, read_duration

if TYPE_CHECKING:
    from swarm.ledger.database import Ledger
    from swarm.project.settings import Config
    from swarm.snapshot.records import ExperimentView, Snapshot


def add_verb(
    verbs: Any,
    verb: Callable[..., int],
    tag: bool = False,
    json: bool = False,
    examples: Sequence[str] = (),
    repo: bool = True,
) -> argparse.ArgumentParser:
    """A subparser named and described after its function; its help ends with `examples`: a verb's words, and after two
    blanks what they do."""
    text = "\n".join(line.strip() for line in (verb.__doc__ or "").strip().splitlines())
    name = verb.__name__.strip("_")
    lines = [f"  {program()} {name} {example}".rstrip() for example in examples]
    parser = verbs.add_parser(
        name,
        description=text,
        epilog="\n".join(["examples:", *lines]) if lines else None,
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(verb=verb)
    if repo:
        parser.add_argument(
            "-C",
            "--repo",
            dest="directory",
            default=".",
            metavar="FOLDER",
            help="the project's folder (the current one)",
        )
    if tag:
        parser.add_argument("--tag", help="which swarm (the newest)")
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


def add_time(add: Callable[..., Any], name: str, unit: Unit = Unit.SECONDS, **more: Any) -> None:
    """A flag for a time: 90s, 15m, 8h, or a bare number of the unit; UsageError for anything else."""
    add(name, type=lambda text: read_duration(text, name, unit), metavar="TIME", **more)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where runs are made once a swarm is over; `places_of` reads it."""
    parser.add_argument("--gpus", help="how many GPUs or which (those of the swarm)")
    parser.add_argument("--agents", type=int, help="how many runs at a time on CPU cores (as the swarm)")
    parser.add_argument("--address", help="join this Ray cluster (on its head: auto) and use its GPUs")
    add_time(
        parser.add_argument, "--wait", default="15m", help="how long a cluster gets to bring its GPUs (%(default)s)"
    )


def places_of(options: argparse.Namespace) -> Config:
    from swarm.project.settings import Config

    return Config(gpus=options.gpus, agents=options.agents, address=options.address, wait=options.wait)


def root_of(options: argparse.Namespace) -> Path:
    """The folder that is researched: that of -C, or the current one. It may be a part of its repository."""
    start = folder_of(options)
    if not in_repository(start):
        raise UsageError(f"{start} is not in a git repository: run `git init` there, or name one with -C FOLDER")
    return start


def folder_of(options: argparse.Namespace) -> Path:
    """The folder of -C, or the current one, in a repository or not."""
    start = Path(options.directory).absolute()
    try:
        there = start.is_dir()
    except (OSError, ValueError):  # a name of thousands of characters, or with a null in it
        there = False
    if not there:
        raise UsageError(f"-C {options.directory:.200}: there is no such folder")
    return start


def in_repository(folder: Path) -> bool:
    return bool(_around(folder))


def swarm_root_of(options: argparse.Namespace) -> Path:
    """The folder whose swarms a command looks at: of that of -C and those around it in the repository, the nearest
    where a swarm was started."""
    from swarm.ledger.database import file_at
    from swarm.ledger.home import ledger_path

    start = root_of(options)
    return next((folder for folder in _around(start) if file_at(ledger_path(folder))), start)


def _around(start: Path) -> tuple[Path, ...]:
    """The folder and those around it, up to the root of its repository; none where it is in no repository."""
    start = start.resolve()  # a link to a folder of a repository is that folder
    folders = (start, *start.parents)
    depth = next((depth for depth, folder in enumerate(folders) if (folder / ".git").exists()), -1)
    return folders[: depth + 1]


@contextlib.contextmanager
def reading(options: argparse.Namespace, tag: str | None = None) -> Iterator[tuple[Callable[[], Snapshot], Ledger]]:
    """A function that reads the swarm's snapshot (of --tag, else of the newest), and the ledger behind it."""
    from swarm.ledger.home import open_ledger
    from swarm.ledger.swarms import newest_tag
    from swarm.snapshot.read import read_snapshot

    root = swarm_root_of(options)
    with contextlib.closing(open_ledger(root)) as ledger:
        name = tag or options.tag or newest_tag(ledger)
        if name is None:
            raise UsageError("no swarm was ever started here: python -m swarm launch")
        yield lambda: read_snapshot(root, ledger, name), ledger


def find(snapshot: Snapshot, what: str) -> ExperimentView:
    """The experiment called `what`: an id, its end (gpu0-0007), a commit, "champion" or "baseline"."""
    if what == "champion":
        what = snapshot.champion or snapshot.trunk[-1].experiment
        if not what:
            raise UsageError(f"{snapshot.tag} has kept nothing yet: the baseline leads")
    for view in snapshot.experiments:
        if what == "baseline" and view.baseline:
            return view
        if what in (view.id, view.id.removeprefix(f"{snapshot.tag}-")) or (view.commit or "-").startswith(what):
            return view
    raise UsageError(f"{snapshot.tag} has no experiment {what}: see `python -m swarm status` for what there is")
