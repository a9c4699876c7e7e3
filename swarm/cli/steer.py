"""The verbs that act on a running swarm: tell its researchers something, stop it, attach to its agents."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.options import add_verb, find, reading, swarm_root_of
from swarm.cli.output import print_json
from swarm.errors import UsageError
from swarm.invoked import program

UNANSWERED = 60.0  # seconds without the head taking a word after which a person is told how to end it

if TYPE_CHECKING:
    from swarm.snapshot.records import Snapshot


def add_to(verbs: Any) -> None:
    telling = add_verb(
        verbs, tell, tag=True, json=True, examples=("try smaller batches", "--tag apr5 look at the loader")
    )
    telling.add_argument("text", nargs="+", help="the note, as: try smaller batches")
    for verb, examples in (
        (accept, ("gpu0-0007", "--tag apr5 gpu0-0007")),
        (reject, ("gpu0-0007 it reads the answers", "--tag apr5 gpu0-0007")),
    ):
        judging = add_verb(verbs, verb, tag=True, json=True, examples=examples)
        judging.add_argument("what", metavar="ID", help="an experiment, or its commit")
    verbs.choices["reject"].add_argument("why", nargs="*", help="why, for researchers and the report")
    stopping = add_verb(verbs, stop, tag=True, json=True, examples=("", "--now"))
    stopping.add_argument("--now", action="store_true", help="end running trainings at once; `resume` runs them again")
    stopping.add_argument("--no-wait", action="store_true", help="return at once, before the swarm has ended")
    attaching = add_verb(verbs, attach, tag=True, json=True, examples=("", "gpu0"))
    attaching.add_argument("agent", nargs="?", help="whose conversation to take over; none: windows on all")


def tell(options: argparse.Namespace) -> int:
    """Adds a note for all researchers to every briefing from now on."""
    text = " ".join(options.text).strip()
    if not text:
        raise UsageError('there is nothing to tell: python -m swarm tell "try smaller batches"')
    with reading(options) as (read, _):
        snapshot = read()
    if snapshot.is_led:
        _hand_over(snapshot, f"tell-{time.time_ns()}.txt", text)
    elif snapshot.ended is not None:
        raise UsageError(
            f"the swarm {snapshot.tag} is over ({snapshot.status}), nobody would hear it: write it into program.md, or"
            f" go on with `python -m swarm resume --tag {snapshot.tag}` and tell it then"
        )
    else:
        from swarm.board.board import Board
        from swarm.ledger.database import Ledger
        from swarm.ledger.home import ledger_path

        with contextlib.closing(Ledger(ledger_path(swarm_root_of(options)), write=True)) as ledger:
            Board(ledger, snapshot.tag).tell(text)
    if options.json:
        print_json({"tag": snapshot.tag, "told": text})
    else:
        print(f"told {snapshot.tag}: it is in every briefing from now on")
    return 0


def accept(options: argparse.Namespace) -> int:
    """Keeps an experiment that is held for a person."""
    return _decide(options, "accept", "")


def reject(options: argparse.Namespace) -> int:
    """Takes a kept experiment back, with what was built on it."""
    return _decide(options, "reject", " ".join(options.why).strip())


def _decide(options: argparse.Namespace, word: str, why: str) -> int:
    """A running swarm's board does it within seconds; of one that has ended, this process does."""
    from swarm.board.person import cannot_accept, cannot_reject
    from swarm.ledger.experiments import experiment

    with reading(options) as (read, ledger):
        snapshot = read()
        view = find(snapshot, options.what)
        if refused := (cannot_accept if word == "accept" else cannot_reject)(experiment(ledger, view.id)):
            raise UsageError(refused)
    if snapshot.is_led:
        _hand_over(snapshot, f"decide-{time.time_ns()}.txt", f"{word}\n{view.id}\n{why}")
    else:
        _decide_here(swarm_root_of(options), snapshot, word, view.id, why)
    if options.json:
        print_json({"tag": snapshot.tag, "experiment": view.id, "decided": word})
    else:
        print(f"{view.id} ({view.title}): {word}ed")
    return 0


def _hand_over(snapshot: Snapshot, file: str, text: str) -> None:
    """Leaves a word for the head, which looks for it twice a second and never sees a part of it."""
    draft = Path(snapshot.folder, f".{file}-{time.time_ns()}")
    draft.write_text(text)
    draft.rename(draft.with_name(file))


def _decide_here(root: Path, snapshot: Snapshot, word: str, name: str, why: str) -> None:
    """The same without a head: in the ledger, in git and in results.tsv."""
    from swarm.board.board import Board
    from swarm.history.projection import Projection
    from swarm.history.repository import History
    from swarm.ledger.database import Ledger
    from swarm.ledger.home import ledger_path

    with contextlib.closing(Ledger(ledger_path(root), write=True)) as ledger:
        board = Board(ledger, snapshot.tag)
        board.decide(word, name, why)
        Projection(History(root), snapshot.tag, Path(snapshot.folder), board.projected).follow(ledger, whatever=True)


def stop(options: argparse.Namespace) -> int:
    """Lets a swarm finish what runs, then ends it; --now ends it at once."""
    with reading(options) as (read, _):
        snapshot = read()
        if snapshot.status == "stopped":
            if options.json:
                print_json({"tag": snapshot.tag, "status": "stopped"})
            else:
                print(f"{snapshot.tag}: it is stopped already")
            return 0
        if not snapshot.is_led:
            raise UsageError(f"the swarm {snapshot.tag} is not running: it is {snapshot.status}")
        again = "already " * (snapshot.status == "draining" or Path(snapshot.folder, "stop").exists())
        _hand_over(snapshot, "stop", "now" if options.now else "drain")
        if not options.json:
            print(f"{snapshot.tag}: {'stopping' if options.now else _drains(snapshot, again)}", flush=True)
        if not options.no_wait:
            _await_end(read, Path(snapshot.folder))
        if options.json:
            print_json({"tag": snapshot.tag, "status": read().status})
        elif not options.no_wait:
            print(f"{snapshot.tag}: it has ended ({read().status})")
    return 0


def _await_end(read: Callable[[], Snapshot], folder: Path) -> None:
    """Until no head leads the swarm any more. A head that hangs would be waited for without end: a person is told."""
    from swarm.ledger.head_lock import leader

    patience = time.monotonic() + UNANSWERED
    while read().is_led:
        time.sleep(0.5)
        if time.monotonic() > patience and (folder / "stop").exists():
            patience = math.inf
            print(
                f"swarm: the head, {leader(folder)}, has not taken this for {UNANSWERED:.0f} s. It may be starting Ray;"
                f" if it hangs, `kill -9` ends that process: no result is lost, and `{program()} resume` goes on",
                file=sys.stderr,
                flush=True,
            )


def _drains(snapshot: Snapshot, again: str) -> str:
    """What is waited for, with how long that usually takes, and how it is ended at once."""
    from swarm.wording.pace import drain, drain_text

    waited = f": {drain_text(snapshot)}" if drain(snapshot).runs else ""
    return f"{again}draining{waited}; `{program()} stop --now` ends it at once"


def attach(options: argparse.Namespace) -> int:
    """Opens tmux windows on all agents, or takes over a conversation."""
    from swarm.cli import attach as terminal

    with reading(options) as (read, _):
        snapshot = read()
    if not snapshot.is_led:
        raise UsageError(f"the swarm {snapshot.tag} is not running: it is {snapshot.status}")
    if options.agent:
        agents = {agent.agent: agent for agent in snapshot.agents}
        if options.agent not in agents:
            raise UsageError(f"{snapshot.tag} has no agent {options.agent}; there are: {', '.join(agents)}")
        return terminal.take_over(Path(snapshot.folder, options.agent), agents[options.agent])
    root = swarm_root_of(options)
    terminal.open_windows(root, snapshot)
    if options.json:
        print_json({"session": terminal.session(snapshot), "windows": list(terminal.windows(root, snapshot))})
    elif sys.stdout.isatty():
        terminal.enter(snapshot)
    else:
        print(f"tmux attach -t {terminal.session(snapshot)}")
    return 0
