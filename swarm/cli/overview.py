"""The verb ls: all swarms of a repository."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from swarm.cli.options import add_verb, swarm_root_of
from swarm.cli.output import console, print_json


def add_to(verbs: Any) -> None:
    add_verb(verbs, ls, json=True, examples=("", "--json"))


def ls(options: argparse.Namespace) -> int:
    """Lists all swarms of this folder, newest first."""
    from swarm.ledger.home import open_ledger
    from swarm.ledger.overview import swarms_in_short
    from swarm.snapshot.read import read_snapshot
    from swarm.views.swarm_list import SwarmList, list_json

    root = swarm_root_of(options)
    with contextlib.closing(open_ledger(root)) as ledger:
        swarms = swarms_in_short(ledger)[::-1]
        statuses = {s.tag: s.status if s.ended else read_snapshot(root, ledger, s.tag).status for s in swarms}
    if options.json:
        print_json(list_json(swarms, statuses))
    else:
        console().print(SwarmList(swarms, statuses))
    return 0
