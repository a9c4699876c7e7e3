"""`swarm simulate --from`: the next swarm, on what an earlier one or anybody's record shows of a project."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.judge import read_record
from swarm.cli.options import swarm_root_of
from swarm.cli.output import console, print_json
from swarm.errors import UsageError

if TYPE_CHECKING:
    from swarm.lab.simulation.evidence import Evidence


def foretell(options: argparse.Namespace, on_progress: Callable[[int, int], Any]) -> int:
    """Fits and simulates, and prints the forecast."""
    from swarm.judge.decide import read_policy
    from swarm.lab.simulation.forecast import POLICIES, forecast, setting_of
    from swarm.lab.simulation.forecast_text import forecast_json, forecast_text

    _refuse_what_is_fitted(options)
    for name in ("gpus", "hours", "budget", "swarms"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"--{'nights' if name == 'swarms' else name} must be above 0, and finite, not {value:g}")
    policies = tuple(dict.fromkeys((*filter(None, [options.policy]), *POLICIES)))
    for policy in policies:
        read_policy(policy)
    evidence = _evidence(options)
    made = forecast(
        evidence,
        setting_of(evidence, options.gpus, options.hours, options.budget),
        policies,
        nights=options.swarms,
        seed=options.seed or 0,
        workers=options.workers or 0,
        on_progress=on_progress,
    )
    if options.json:
        print_json(forecast_json(made))
    else:
        console().print(forecast_text(made))
    return 0


def _refuse_what_is_fitted(options: argparse.Namespace) -> None:
    """UsageError for flags that say what is fitted here, or ask for another study."""
    others = ("quick", "once", "landscape", "researcher", "offset", "repeats", "think")
    given = next((name for name in others if getattr(options, name)), None)
    if given:
        raise UsageError(f"--{given} does not go with --from: what an earlier swarm showed takes its place")


def _evidence(options: argparse.Namespace) -> Evidence:
    """What the tag or the file shows. A name with a dot or a slash in it is no tag."""
    from swarm.lab.simulation.evidence import of_record, with_crashes

    path = Path(options.source)
    if not ("." in options.source or "/" in options.source):
        return _of_swarm(options)
    sigma = _sigma(options.sigma)
    record = read_record(path, options.metric, options.direction)
    found = of_record(path.name, record.metric, record.direction, record.rows, sigma)
    return with_crashes(found, record.crashed)


def _of_swarm(options: argparse.Namespace) -> Evidence:
    from swarm.lab.simulation.evidence import of_ledger
    from swarm.ledger.home import open_ledger

    for name in ("metric", "direction", "sigma"):
        if getattr(options, name):
            raise UsageError(f"--{name} goes with --from FILE: of swarm {options.source} it is known")
    with contextlib.closing(open_ledger(swarm_root_of(options))) as ledger:
        try:
            return of_ledger(ledger, options.source)
        except KeyError as error:
            raise UsageError(f"no swarm is called {options.source}: `python -m swarm ls` lists them") from error


def _sigma(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UsageError(f"--sigma {text}: give one number above 0, in the metric's own units")
    return value
