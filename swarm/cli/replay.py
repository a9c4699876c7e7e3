"""The verb for a swarm under another policy: would another keep rule have decided the same?"""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from swarm.cli.options import add_verb, swarm_root_of
from swarm.cli.output import console, print_json
from swarm.errors import UsageError


def add_to(verbs: Any) -> None:
    replaying = add_verb(verbs, replay, json=True, examples=("apr5 --policy greedy", "apr5 --policy race --json"))
    replaying.add_argument("swarm", metavar="TAG", help="the swarm whose runs are judged again")
    replaying.add_argument("--policy", required=True, help="carry, race, greedy or another policy, as for launch")


def replay(options: argparse.Namespace) -> int:
    """Judges a swarm's runs again by another policy, step by step.

    It goes as far as both have the same trunk, and says why the runs allow it no
    further. Nothing is run or changed.
    """
    from swarm.ledger.home import open_ledger
    from swarm.ledger.replays import replay_by
    from swarm.ledger.transaction import of_swarm
    from swarm.views.replay import replay_json, replay_table, summary

    with contextlib.closing(open_ledger(swarm_root_of(options))) as ledger:
        try:
            tx = of_swarm(ledger, options.swarm)
        except KeyError as error:
            raise UsageError(f"no swarm is called {options.swarm}: `python -m swarm ls` lists them") from error
        made = replay_by(tx, options.policy)
    own, policy = tx.swarm.policy, options.policy
    if options.json:
        print_json(replay_json(tx.tag, own, policy, made))
        return 0
    screen = console()
    for line in summary(tx.tag, own, policy, made):
        screen.print(line, highlight=False, markup=False, soft_wrap=True)
    if made.rows:
        screen.print()
        screen.print(replay_table(made, policy, screen.width))
    return 0
