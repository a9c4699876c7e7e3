"""The verb ablate, and the champion's patch without what does not matter."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.options import add_places, add_verb, places_of, reading, swarm_root_of
from swarm.cli.output import console, print_json, tell, write_exactly
from swarm.errors import UsageError
from swarm.text import plural

if TYPE_CHECKING:
    from swarm.ledger.database import Ledger
    from swarm.ledger.transaction import Transaction
    from swarm.snapshot.records import AblationView, ExperimentView, Snapshot


def add_to(verbs: Any) -> None:
    ablating = add_verb(verbs, ablate, json=True, examples=("", "apr5 --gpus 4 --json"))
    ablating.add_argument("tag", metavar="TAG", nargs="?", help="which swarm (the newest)")
    ablating.add_argument("--tag", dest="named", metavar="TAG", help="the same")
    add_places(ablating)


def ablate(options: argparse.Namespace) -> int:
    """Measures which steps of the champion matter, on an ended swarm.

    Each step is left out of the final code and run twice beside it; what is
    left without the weak ones is then verified on fresh seeds.
    """
    from swarm.coordinator.ablation import ablate_line
    from swarm.ledger.ablations import ablation
    from swarm.ledger.transaction import of_swarm
    from swarm.snapshot.ablation import ablation_view
    from swarm.views.ablation import ablation_json, render_ablation

    if options.named and options.tag and options.named != options.tag:
        raise UsageError(f"{options.tag} and --tag {options.named} are two swarms: name one of them")
    options.tag = options.tag or options.named
    with reading(options) as (read, _):
        tag = read().tag
    places = places_of(options)
    number = ablate_line(swarm_root_of(options), tag, places, tell)
    with reading(options, tag) as (read, ledger):
        snapshot = read()
        titles = {view.id: view.title for view in snapshot.experiments}
        found = ablation_view(ledger, of_swarm(ledger, tag).swarm, ablation(ledger, number), titles)
    if options.json:
        print_json(ablation_json(snapshot, found))
    else:
        console().print(render_ablation(snapshot, found))
    return 0


def write_minimal(root: Path, snapshot: Snapshot, view: ExperimentView, ledger: Ledger) -> None:
    """Prints the champion's patch without what does not matter. UsageError where no fresh runs have verified it."""
    from swarm.history.repository import History
    from swarm.ledger.sources import load_source
    from swarm.ledger.transaction import of_swarm
    from swarm.views.patch import mail

    found, look = snapshot.ablation, of_swarm(ledger, snapshot.tag)
    swarm = look.swarm
    remedy = f"`python -m swarm ablate --tag {snapshot.tag}` measures it"
    if found is None:
        raise UsageError(f"nobody has measured yet which steps of {snapshot.tag} matter: {remedy}")
    if any(step.dropped for step in found.steps) and not (found.minimal and found.verified):
        raise UsageError(f"no fresh runs have verified the patch without what does not matter: {remedy}")
    minimal = load_source(ledger, found.minimal or _full(ledger, view))
    changed = minimal.edit_from(load_source(ledger, swarm.base_source)).files
    patch = History(root).diff_to(swarm.base_commit, changed)
    write_exactly(mail(snapshot, view, f"{patch}\n" if patch else "", champion=True, minimal=found))
    print(_told(found), file=sys.stderr)
    if found.minimal and (missing := _not_looked_at(look, found.minimal)):
        print(f"what the champion has and this code has not: {' and '.join(missing)}", file=sys.stderr)


def _full(ledger: Ledger, view: ExperimentView) -> str:
    from swarm.ledger.experiments import experiment

    return experiment(ledger, view.id).source or ""


def _told(found: AblationView) -> str:
    if not found.minimal:
        return "every step matters, as far as was measured: this is the whole patch"
    dropped = sum(step.dropped for step in found.steps)
    lines = f"{plural(found.minimal_lines, 'changed line')} instead of {found.lines}"
    return f"without {dropped} of {plural(len(found.steps), 'step')}: {lines}"


def _not_looked_at(look: Transaction, minimal: str) -> list[str]:
    """What a champion goes through in this project, and this code did not."""
    from swarm.ledger.run_results import newest_try_of_checks

    settings, missing = look.swarm.settings, list[str]()
    if settings.get("checks"):  # of an ablation that ended before they were asked for
        passed = newest_try_of_checks(look, minimal)
        missing += [] if passed and passed.state == "checked" and not passed.failure else ["the project's checks"]
    return missing + (["a number on the hidden split"] if settings.get("hidden") else [])
