"""The verbs for developers of the swarm: bench, simulate and chaos. They import the lab when they are called."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarm.cli.options import add_time, add_verb, root_of, swarm_root_of
from swarm.cli.output import console, print_json, tell
from swarm.errors import UsageError
from swarm.project.durations import Unit
from swarm.text import plural


def add_to(verbs: Any) -> None:
    benching = add_verb(verbs, bench, json=True, examples=("--agents 1,2 --budget 4", "--startup"))
    benching.add_argument("--agents", default="1,2,4,8", help="numbers of agents to compare (%(default)s)")
    add_time(benching.add_argument, "--budget", default="4s", help="training time of a run (%(default)s)")
    add_time(benching.add_argument, "--think", default="0s", help="how long a researcher thinks (%(default)s)")
    benching.add_argument("--experiments", type=int, default=6, help="experiments per agent (%(default)s)")
    benching.add_argument("--overhead", action="store_true", help="instead: what sandbox and referee add to a run")
    benching.add_argument("--startup", action="store_true", help="instead: how long verbs take to start and answer")
    _add_simulate(verbs)
    injecting = add_verb(verbs, chaos, json=True, examples=("--faults 10 --seed 1", "--json"))
    injecting.add_argument("--faults", type=int, default=30, help="how many faults (%(default)s; about 6 s each)")
    injecting.add_argument("--seed", type=int, default=0, help="seed of the choice of faults (%(default)s)")
    injecting.add_argument("--agents", type=int, default=2, help="agents of the swarm (%(default)s)")


def _add_simulate(verbs: Any) -> None:
    parser = add_verb(verbs, simulate, json=True, examples=("--quick", "--once --gpus 64"))
    add = parser.add_argument
    add(
        "--quick",
        action="store_true",
        help="what a minute is enough for: fewer swarms, and which figures they do not give",
    )
    add("--resume-study", metavar="FILE", help="keep every outcome in this file, and go on from what is there")
    add(
        "--from",
        dest="source",
        metavar="TAG",
        help="the next swarm, on what this one showed of its project; or on a results.tsv or autoresearch.jsonl",
    )
    add("--metric", metavar="NAME", help="with --from FILE: the column that was measured (the only one there is)")
    add("--direction", metavar="lower|higher", help="with --from FILE: which is better (known by the metric's name)")
    add("--once", action="store_true", help="one swarm only, shown in full; with --gpus 1000 as large as you like")
    add("--ablation", action="store_true", help="instead: what an ablation at the end drops, and what that loses")
    add("--nights", dest="swarms", metavar="NIGHTS", type=int, help="simulated swarms of each kind (100)")
    add_time(add, "--hours", Unit.HOURS, help="how long a swarm runs (12h)")
    add("--gpus", type=int, help="GPUs of a swarm (8)")
    add("--sigma", help="noise of the metric, one or more (0.0006,0.0012)")
    add("--landscape", help="default, klike, or both (default,klike)")
    add("--policy", help="what is compared with greedy (carry); race:keep_z=1.5:max_runs=4 changes the rules of race")
    add("--researcher", help="simulated (ideas out of thousands), or sweep (the real one, on a landscape of knobs)")
    add("--offset", type=float, help="spread of the GPUs' offsets in sigmas (0.5)")
    add("--repeats", type=float, help="share of proposals that repeat an earlier idea in other words (0.3)")
    add_time(add, "--budget", help="training time of a run (5m)")
    add_time(add, "--think", help="how long a researcher thinks about an idea (1m)")
    add("--seed", type=int, help="the first swarm's seed (0); equal seeds give equal results")
    add("--workers", type=int, help="processes (one per core)")


def _numbers(text: str) -> tuple[int, ...]:
    """Numbers of agents, as 1,2,4; UsageError where they are none."""
    counts = tuple(int(part) for part in text.split(",") if part.strip().isdecimal())
    if len(counts) != len(text.split(",")) or not all(counts):
        raise UsageError(f"--agents {text:.40}: it is numbers of agents, as 1,2,4")
    return counts


def bench(options: argparse.Namespace) -> int:
    """Measures experiments per hour and idle time on a synthetic problem."""
    if options.overhead:
        return _bench_overhead(options)
    if options.startup:
        return _bench_startup(options)
    from swarm.lab.bench.table import table
    from swarm.lab.bench.throughput import measure
    from swarm.lab.unwinding import unwinding

    agents = _numbers(options.agents)
    with unwinding():
        result = measure(agents, budget=options.budget, think=options.think, experiments=options.experiments)
    if options.json:
        print_json(result)
    else:
        console().print(table(result))
    return 0


def _bench_overhead(options: argparse.Namespace) -> int:
    from swarm.lab.bench.overhead import measure

    _print_flat(measure(root_of(options), options.budget), options.json)
    return 0


def _bench_startup(options: argparse.Namespace) -> int:
    from swarm.lab.bench.startup import measure, startup_table
    from swarm.ledger.home import open_ledger

    root = swarm_root_of(options)
    open_ledger(root).close()  # verbs are measured on a swarm: without one this says so
    result = measure(root)
    if options.json:
        print_json(result)
    else:
        console().print(startup_table(result))
    return 0


def simulate(options: argparse.Namespace) -> int:
    """Simulates swarms whose true gains are known, to compare keep rules."""
    if options.source:
        from swarm.cli.forecast import foretell

        return foretell(options, _progress)
    from swarm.lab.bench.board_load import measure
    from swarm.lab.simulation import study as studies
    from swarm.lab.simulation.store import Store
    from swarm.lab.simulation.tables import swarm_table, tables

    study = studies.read_study(vars(options))
    if options.once:
        from swarm.lab.simulation.simulated_swarm import simulate_and_time

        swarm = study.first()
        console().print(swarm_table(swarm, *simulate_and_time(swarm)))
        return 0
    if options.ablation:
        from swarm.lab.simulation.ablation_study import run_ablations

        _print_flat(run_ablations(study, _progress), options.json)
        return 0
    store = Store(Path(options.resume_study)) if options.resume_study else None
    if store and store.others:
        told = f"{options.resume_study}: {plural(store.others, 'swarm')} of other code, which do not count"
        print(told, file=sys.stderr)
    results = studies.run(study, _progress, store, studies.MINUTE if options.quick else math.inf)
    flat = results.flat() | (measure(1.0, 10_000) if options.quick else measure())
    if options.json:
        print_json(flat)
    else:
        console().print(tables(results, flat))
    return 0


def chaos(options: argparse.Namespace) -> int:
    """Injects faults into a swarm of its own: nothing may be lost.

    The faults are killed processes, a full disk, cut connections, lost answers
    and more.
    """
    from swarm.lab.chaos.drill import drill, sound
    from swarm.lab.unwinding import unwinding

    if options.faults < 1 or options.agents < 1:
        raise UsageError("--faults and --agents must be at least 1")
    with unwinding():
        result = drill(options.faults, options.seed, options.agents, tell)
    _print_flat(result, options.json)
    return 0 if sound(result) else 1


def _print_flat(result: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        print("\n".join(f"{name:18}{'n/a' if value is None else value}" for name, value in result.items()))


def _progress(done: int, of: int) -> None:
    """How far the work is, where a person looks on."""
    if sys.stderr.isatty():
        print(f"\r{done} of {of} swarms", end="" if done < of else "\n", file=sys.stderr, flush=True)
