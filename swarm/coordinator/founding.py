"""A swarm's folder and its row in the ledger, made before anything of it is started."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from pathlib import Path
from typing import IO

from msgspec import structs

from swarm.board import trials
from swarm.errors import UsageError
from swarm.launch.plan import Plan, categories
from swarm.launch.trial_store import first_run
from swarm.ledger.database import Ledger
from swarm.ledger.head_lock import lead, leader
from swarm.ledger.home import make_home
from swarm.ledger.swarms import found, reopen
from swarm.ledger.transaction import of_swarm
from swarm.novelty.code import fingerprint
from swarm.project.secrets import without_secrets


def take_folder(folder: Path) -> IO[str]:
    """Makes the folder and leads the swarm of it as long as the returned file is open; what somebody asked of an
    earlier head there is over. UsageError where another head leads it, and nothing is changed."""
    make_home(folder.parent)
    folder.mkdir(exist_ok=True)
    if (held := lead(folder)) is None:
        raise UsageError(f"{folder.name} is running, led by {leader(folder)}: see it with `python -m swarm watch`")
    (folder / "stop").unlink(missing_ok=True)
    return held


def enter_ledger(plan: Plan, path: Path) -> None:
    """Founds the swarm in the ledger, or opens it again."""
    with contextlib.closing(Ledger(path, write=True)) as ledger:
        now, config, agents = time.time(), plan.config, categories(plan)
        settings = json.dumps(
            {
                **without_secrets(dataclasses.asdict(config)),
                "researchers": plan.researchers,
                "guards": dict(plan.project.guards),
                "categories": plan.code.categories,
                "checks": list(plan.project.checks),
                "prior": [structs.asdict(record) for record in plan.prior],
                "hidden": bool(plan.project.hidden),
                "demonstration": plan.demonstration,
                "outlier_gain": plan.project.outlier_gain.get(plan.device.split(":")[0]),
            }
        )
        if config.resume:
            limits = (config.hours, config.max_experiments)
            reopen(
                *(ledger, plan.tag, agents, now, *limits, config.researcher, settings),
                max_usd=config.max_usd,
                max_tokens=config.max_tokens,
                hours_anew=plan.hours_anew,
            )
            return
        counted = first_run(plan)
        with ledger.transaction():
            found(
                ledger,
                plan.code.source,
                agents,
                fingerprint(plan.code.source),
                now,
                tag=plan.tag,
                base_commit=plan.base_commit,
                from_tag=config.from_tag,
                key=plan.key,
                device=plan.device,
                metric=plan.project.metric,
                direction=plan.project.direction,
                policy=config.policy,
                researcher=config.researcher,
                budget=plan.budget,
                deadline=now + config.hours * 3600 if config.hours else None,
                max_experiments=config.max_experiments,
                max_usd=config.max_usd,
                max_tokens=config.max_tokens,
                sigma_prior=plan.project.sigma.get(plan.device.split(":")[0]),
                settings=settings,
            )
            if counted:
                trials.count(of_swarm(ledger, plan.tag, now), *counted)
