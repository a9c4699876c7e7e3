"""A swarm that goes on: with the settings that it was launched with, but for those that are given now; and whether
these leave it anything to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from swarm.errors import UsageError
from swarm.ledger.confirmations import open_confirmation
from swarm.ledger.experiments import begun
from swarm.ledger.rows import STARTED, ExperimentState, SwarmRow
from swarm.ledger.swarms import seconds_left, usual_seconds
from swarm.ledger.transaction import Transaction
from swarm.project.durations import write_duration
from swarm.project.secrets import SECRETS, ask_again
from swarm.project.settings import Config

# What a resumed swarm does not keep.
ANEW = ("tag", "resume", "from_tag", "detach", "dry_run", "address", "wait", "trial")


def resumed(config: Config, first: Mapping[str, Any], typed: Collection[str] = ()) -> Config:
    """`config` with what it leaves at its default as in `first`, the settings of the launch that is resumed; `typed`
    are the settings that somebody has just typed, be they the default or not.
    UsageError where that had secrets, which are given again or not at all."""
    ask_again(first, {name: getattr(config, name) for name in SECRETS})
    default = Config()
    silent = {
        name: value
        for name, value in first.items()
        if name not in (*ANEW, *typed, "option") and getattr(config, name, value) == getattr(default, name, None)
    }
    if config.gpus or config.agents:
        silent = {name: value for name, value in silent.items() if name not in ("gpus", "agents")}
    known = {field.name for field in dataclasses.fields(Config)}
    kept = {name: value for name, value in silent.items() if name in known}
    return dataclasses.replace(config, **kept, option={**first["option"], **config.option})


def refuse_other_judge(config: Config, before: SwarmRow, typed: Collection[str]) -> None:
    """UsageError where another keep rule or budget is asked for than that of the swarm which goes on: its runs could
    not be compared with those that it has. `typed` as in `resumed`."""
    anew = f"or start another from what it found, by --tag OTHER --from {before.tag}"
    asked = "policy" in typed or config.policy != Config().policy
    if asked and config.policy != before.policy:
        raise UsageError(
            f"--policy {config.policy}: {before.tag} is judged by {before.policy} from its first run to its last; go on"
            f" with --policy {before.policy}, {anew}"
        )
    if config.budget not in (None, before.budget):
        trained, other = (write_duration(seconds) for seconds in (before.budget, config.budget or 0.0))
        raise UsageError(
            f"--budget {other}: each run of {before.tag} trains for {trained}; go on with --budget {trained}, {anew}"
        )


def limit_reached(tx: Transaction, config: Config, hours_anew: bool) -> str:
    """Which limit of these settings leaves nothing to do to a swarm that finished, and what to type; else "".
    `hours_anew` as in `seconds_left`."""
    swarm = tx.swarm
    unfinished = begun(tx, ExperimentState.CLAIMED, ExperimentState.DRAFTED, ExperimentState.TESTING)
    if swarm.status != "finished" or unfinished or open_confirmation(tx.ledger, tx.tag):
        return ""
    most, left, done = config.max_experiments, seconds_left(tx, config.hours, hours_anew), begun(tx, *STARTED)
    if most is not None and done >= most:
        return f"{tx.tag} has done {done} of its {most} experiments: for more of them, --max-experiments {done + most}"
    if left is not None and left <= usual_seconds(tx):
        hours = write_duration(3600 * (config.hours or 0))
        return f"{tx.tag} has used its {hours}: for more time, --hours 2h, which counts from then on"
    return ""
