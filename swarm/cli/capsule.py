"""The verbs capsule and verify: an experiment to take away, and whether what is said of it holds here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from swarm.cli.look import patch_of
from swarm.cli.options import add_verb, find, reading, root_of, swarm_root_of
from swarm.cli.output import console, print_json, tell
from swarm.errors import UsageError

FEWEST, MOST = 2, 500  # seeds


def add_to(verbs: Any) -> None:
    making = add_verb(verbs, capsule, tag=True, json=True, examples=("champion", "gpu0-0007 -o found.tar.gz"))
    making.add_argument("what", metavar="ID", help="an experiment, its commit, or champion")
    making.add_argument("--output", "-o", metavar="PLACE", help="a new folder, or a .tar.gz (capsule-ID)")
    making.add_argument("--seeds", type=int, default=4, help="fresh runs that are to check it (%(default)s)")
    verifying = add_verb(verbs, verify, json=True, examples=("capsule-gpu0-0007", "found.tar.gz --seeds 8"))
    verifying.add_argument("capsule", metavar="CAPSULE", help="a folder or tar that `capsule` wrote")
    verifying.add_argument("--seeds", type=int, help="fresh runs of each arm (as the capsule says)")
    verifying.add_argument("--gpus", help="how many GPUs or which (all)")
    verifying.add_argument("--agents", type=int, help="how many runs at a time on CPU cores (one per core)")
    verifying.add_argument("--sandbox", default="auto", help="auto, require or off (%(default)s)")


def capsule(options: argparse.Namespace) -> int:
    """Puts an experiment and what it should give into one folder."""
    from swarm.coordinator.capsule import make_capsule
    from swarm.views.patch import mail

    if not FEWEST <= options.seeds <= MOST:
        raise UsageError(f"--seeds {options.seeds}: give {FEWEST} to {MOST}")
    root = swarm_root_of(options)
    with reading(options) as (read, ledger):
        snapshot = read()
        view = find(snapshot, options.what)
        patch = mail(snapshot, view, patch_of(root, snapshot, view, champion=True), champion=True)
        place = Path(options.output or f"capsule-{view.id}")
        made = make_capsule(root, ledger, snapshot.tag, view.id, options.seeds, place, patch)
    if options.json:
        print_json(
            {"capsule": str(place), "experiment": view.id, "mean": made.mean, "low": made.low, "high": made.high}
        )
        return 0
    print(f"{place}: {view.id}, {made.metric} {made.mean:.6g} expected ({made.low:.6g} to {made.high:.6g})")
    print(f"check it anywhere:  sh {place}/verify.sh REPOSITORY" if place.is_dir() else f"it holds verify.sh: {place}")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Runs a capsule again here, and says whether it holds."""
    from swarm.coordinator.verification import Claim, verify_capsule
    from swarm.project.settings import Config
    from swarm.views.verified import render_verified, verified_json

    place = Path(options.capsule)
    if not place.exists():
        raise UsageError(f"{options.capsule}: there is no such folder or file")
    places = Config(gpus=options.gpus, agents=options.agents, sandbox=options.sandbox)
    found = verify_capsule(root_of(options), place, places, options.seeds, tell)
    if options.json:
        print_json(verified_json(found))
    else:
        console().print(render_verified(found))
    return 1 if found.claim is Claim.FAILS else 0
