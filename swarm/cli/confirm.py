"""The verb confirm: compares an experiment with its rival on fresh seeds, after the swarm has ended."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from swarm.cli.options import add_places, add_verb, find, places_of, reading, swarm_root_of
from swarm.cli.output import console, print_json, tell
from swarm.errors import UsageError

if TYPE_CHECKING:
    from swarm.ledger.database import Ledger
    from swarm.snapshot.records import ExperimentView, Snapshot


def add_to(verbs: Any) -> None:
    confirming = add_verb(
        verbs, confirm, tag=True, json=True, examples=("champion --against baseline", "gpu0-0007 --seeds 4")
    )
    confirming.add_argument("what", metavar="ID", help="an experiment, its commit, or champion")
    confirming.add_argument("--seeds", type=int, default=8, help="fresh runs of each arm (%(default)s)")
    confirming.add_argument(
        "--against", help="parent, baseline, champion or an ID (parent; with --budgets the baseline)"
    )
    confirming.add_argument(
        "--budgets", metavar="TIMES", help="several training times, as 5m,10m,20m: whether the gain holds at scale"
    )
    add_places(confirming)


def confirm(options: argparse.Namespace) -> int:
    """Compares an experiment with its rival on fresh seeds."""
    from swarm.coordinator.confirmation import Question, answer
    from swarm.views.comparison import comparison_json, render_comparison

    with reading(options) as (read, ledger):
        snapshot = read()
        view = find(snapshot, options.what)
        if options.what == "champion" and snapshot.champion is None:
            print(f"{snapshot.tag} has no champion yet: this is the newest kept step, {view.id}", file=sys.stderr)
        against = options.against or ("baseline" if options.budgets else "parent")
        rival = find(snapshot, _rival(snapshot, view, against, ledger))
    if options.budgets:
        return _climb(options, snapshot, view, rival)
    question = Question(view.id, rival.id, options.seeds)
    places = places_of(options)
    comparison = answer(swarm_root_of(options), snapshot.tag, question, places, tell)
    if options.json:
        print_json(comparison_json(snapshot, view, rival, comparison))
    else:
        console().print(render_comparison(snapshot, view, rival, comparison))
    return 0


def _climb(options: argparse.Namespace, snapshot: Snapshot, view: ExperimentView, rival: ExperimentView) -> int:
    """The same at several budgets."""
    from swarm.coordinator.ladder import LadderQuestion, climb_ladder
    from swarm.project.durations import read_duration
    from swarm.project.settings import Config
    from swarm.snapshot.records import LadderView
    from swarm.views.ladder import ladder_json, render_ladder

    if options.address:
        raise UsageError("--budgets runs on this machine: leave out --address")
    budgets = tuple(read_duration(text, "--budgets") for text in options.budgets.split(","))
    question = LadderQuestion(view.id, rival.id, budgets, options.seeds)
    places = Config(gpus=options.gpus, agents=options.agents)
    ladder = climb_ladder(swarm_root_of(options), snapshot.tag, question, places, tell)
    found = LadderView(view.id, view.title, rival.id, ladder)
    if options.json:
        print_json(ladder_json(snapshot, found))
    else:
        console().print(render_ladder(snapshot, found))
    return 0


def _rival(snapshot: Snapshot, view: ExperimentView, against: str, ledger: Ledger) -> str:
    """The id of the rival that `against` names; UsageError where the two cannot be compared."""
    from swarm.ledger.experiments import baseline, experiment
    from swarm.ledger.trunk import parent_experiment

    if view.baseline:
        raise UsageError(f"{view.id} is the baseline, which others are compared with: name an experiment")
    if view.status in (None, "crash"):
        raise UsageError(f"{view.id} gave no result to confirm: it is {view.status or view.state}")
    named = {
        "parent": lambda: parent_experiment(ledger, snapshot.tag, view.id) or baseline(ledger, snapshot.tag),
        "baseline": lambda: baseline(ledger, snapshot.tag),
    }
    if against == "champion" and snapshot.champion is None:
        raise UsageError(f"{snapshot.tag} has no champion yet: use --against baseline")
    rival = find(snapshot, named[against]() if against in named else against).id
    if experiment(ledger, view.id).source == experiment(ledger, rival).source:
        raise UsageError(f"{view.id} and {rival} are the same code: choose another --against")
    return rival
