"""Starts a swarm: in this terminal with its leaderboard, or detached from it."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from swarm.cli.detaching import come_back, detach
from swarm.cli.leaving import Leave, leavable
from swarm.cli.look import save_report
from swarm.cli.options import add_verb, root_of
from swarm.cli.output import console, print_json
from swarm.errors import UsageError
from swarm.project.flags import FORMER, flag

if TYPE_CHECKING:
    from rich.console import Console

    from swarm.launch.slots import SlotAssignment
    from swarm.project.settings import Config, Setting


SETTINGS = """\
Each flag is also a variable, as SWARM_MAX_USD, and a key in swarm.toml or
[tool.swarm]. Times are written as 90s, 5m, 8h or 1h30m; a bare number is
hours for --hours, else seconds."""


def add_to(verbs: Any) -> None:
    """Flags without defaults and types: both are Config's, as variables and [tool.swarm] may say the same settings."""
    parser = add_verb(verbs, launch, json=True, examples=("--hours 8 --detach", "--device cpu --agents 2 --dry-run"))
    _prepare(parser)
    add = parser.add_argument_group("what the swarm is called, and what it begins with").add_argument
    add("--tag", help="the swarm's name (today, such as nov20)")
    add("--from", dest="from_tag", metavar="TAG", help="start from what another swarm found")
    add("--resume", action="store_true", help="go on with --tag after anything")
    add("--dry-run", action="store_true", help="print the plan, touch nothing")
    add("--try", dest="trial", action="store_const", const="always", help="run the untouched code now; with --dry-run")
    add("--trial", metavar="WHEN", help="that run before a swarm: auto (where none is known), always, off (auto)")
    add("--detach", action="store_true", help="run without this terminal; come back with watch")
    _add_settings(parser)

    again = add_verb(verbs, resume, json=True, examples=("", "--tag apr5 --hours 2 --detach"))
    _prepare(again)
    again.add_argument("--tag", help="which swarm (the newest)")
    again.add_argument("--dry-run", action="store_true", help="print the plan, touch nothing")
    again.add_argument("--detach", action="store_true", help="run without this terminal; come back with watch")
    _add_settings(again)


def _prepare(parser: argparse.ArgumentParser) -> None:
    parser.argument_default = argparse.SUPPRESS
    parser.usage = f"{parser.prog} [FLAG ...]"
    parser.epilog = f"{SETTINGS}\n\n{parser.epilog}"


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """What a launch and a swarm that goes on may both say."""
    add = parser.add_argument_group("when it ends").add_argument
    add("--hours", metavar="TIME", help="time limit, as 8h or 8; its end is kept for the closing runs")
    add("--max-experiments", metavar="N", help="stop after so many experiments")
    add("--max-usd", metavar="USD", help="money limit for models, all agents together (20)")
    add("--max-tokens", metavar="N", help="limit of the models' prompts and answers together, in tokens")

    add = parser.add_argument_group("where it runs").add_argument
    add("--gpus", metavar="GPUS", help="how many GPUs, as 8, or which, as 0,1,5 (all)")
    add("--agents", metavar="N", help="how many agents on CPU cores (one per core); on GPUs at most so many")
    add("--device", metavar="DEVICE", help="cuda, mps, cpu, sim for simulated GPUs, or auto (auto)")
    add("--address", metavar="ADDRESS", help="join this Ray cluster (on its head: auto) instead of starting an own one")
    add("--wait", metavar="TIME", help="how long a cluster gets to bring its GPUs, as 90s, 15m, 2h (15m)")
    add("--sandbox", metavar="WHICH", help="auto (bubblewrap, else Landlock, else none), require, or off (auto)")

    add = parser.add_argument_group("how results are judged").add_argument
    add("--budget", metavar="TIME", help="training time per run, as 5m or 300 (5m, or the project's)")
    add(
        "--policy",
        metavar="POLICY",
        help="the keep rule: carry, race, greedy or exact (carry); with parameters: race:max_runs=3 (docs/judging.md)",
    )

    add(
        "--no-ablation",
        dest="ablation",
        action="store_const",
        const=False,
        help="no runs at the end that show which of the kept steps matter (a tenth of all at most)",
    )
    add(
        "--no-futility",
        dest="futility",
        action="store_const",
        const=False,
        help="every run is trained to its end, however far it lies behind its parent half way",
    )

    add = parser.add_argument_group("who thinks").add_argument
    add(
        "--researcher",
        metavar="WHO",
        help="auto, claude, openai, claude-code, command, sweep, scripted, package.module:Class; or a mix, as"
        " claude:4,sweep",
    )
    add(
        "--option",
        action="append",
        metavar="NAME=VALUE",
        help="an option of the researcher, as turns=20; may be repeated; docs/researchers.md lists them",
    )
    add("--model", metavar="MODEL", help="the model a researcher should use (--option model=MODEL)")
    add("--base-url", metavar="URL", help="for openai: where it is asked, as http://localhost:11434/v1")
    add(
        "--usd-per-mtok",
        metavar="IN,OUT",
        help="for openai: USD per million tokens, where the price is not known, as 2,10",
    )
    add(
        "--think-limit",
        metavar="TIME",
        help="how long a researcher may think until the sweep stands in for it (20m)",
    )
    add("--researcher-seed", metavar="N", help="seed of the researchers' choices (0)")
    add(
        "--researcher-command",
        metavar="CLI",
        help="for command: any CLI, as 'codex exec --sandbox workspace-write {prompt}'",
    )
    add(
        "--researcher-command-env",
        metavar="NAMES",
        help="variables it may see beside the usual ones, such as OPENAI_API_KEY",
    )
    for former in FORMER:
        add(flag(former), help=argparse.SUPPRESS)
    add("--script", metavar="FILE", help="for scripted: its file")
    add("--think", metavar="TIME", help="for scripted: how long it takes to think")

    add = parser.add_argument_group("who hears of it").add_argument
    add("--notify", metavar="URL", help="a webhook (ntfy, Slack, Discord, or JSON) for champions, crashes and the end")
    add("--push", metavar="REMOTE", help="git remote that gets every commit as it is recorded")
    add("--track", metavar="TRACKER", help="wandb, trackio, mlflow or tensorboard: gets a copy of every experiment")
    add("--gpu-usd-per-hour", metavar="USD", help="price of a GPU hour, for the report's cost")


def launch(options: argparse.Namespace) -> int:
    """Starts a swarm, which runs until a limit or Ctrl-C."""
    from swarm.project.project import load_settings, settings_file
    from swarm.project.settings import read_config

    root = root_of(options)
    flags = {name: value for name, value in vars(options).items() if name not in ("verb", "directory", "json")}
    config, settings = read_config(flags, load_settings(root), os.environ, settings_file(root))
    begin = functools.partial(_launch, root, config, settings, flags, options.json)
    return begin(None) if options.json or config.dry_run or config.detach else leavable(begin)


def _launch(
    root: Path,
    config: Config,
    settings: Sequence[Setting],
    flags: Mapping[str, Any],
    as_json: bool,
    leave: Leave | None,
) -> int:
    """Plans, tries and starts; who looks on may `leave` what then runs."""
    from swarm.cli.trial import tried
    from swarm.launch.plan import make_plan, researcher_options, with_policy
    from swarm.launch.trial_store import with_known_trial
    from swarm.researchers.auto import introduce
    from swarm.views.plan import describe, describe_settings

    chosen = any(setting.name == "policy" and setting.origin != "default" for setting in settings)
    find_slots = _slot_finder(config.address or os.environ.get("RAY_ADDRESS"), sys.stderr if as_json else sys.stdout)
    typed = {setting.name for setting in settings if setting.origin == flag(setting.name)}
    plan = with_policy(with_known_trial(make_plan(root, config, find_slots=find_slots, typed=typed)), chosen)
    if as_json:
        return _launch_for_programs(tried(plan, chosen), flags, settings)
    screen = console()
    print(introduce(plan.config.researcher, plan.researchers.values(), researcher_options(plan.config, plan.project)))
    screen.print(describe(plan, settings))
    plan = tried(plan, chosen, screen)
    if config.dry_run:
        screen.print(describe_settings(settings))
        return 0
    if config.detach:
        child, log = detach(plan, flags)
        print(f"{plan.tag} runs on its own (pid {child}, log {log})")
        print(come_back(plan.root))
        return 0
    log = plan.folder / "launch.log"
    told = f"{plan.tag} goes on without this terminal ({log})\n{come_back(plan.root)}"
    return _run(plan, screen, leave and functools.partial(leave, log, told))


def resume(options: argparse.Namespace) -> int:
    """Goes on with the newest swarm, after Ctrl-C, a crash or a reboot."""
    from swarm.ledger.home import open_ledger
    from swarm.ledger.swarms import newest_tag

    if not getattr(options, "tag", None):
        root = root_of(options)
        with contextlib.closing(open_ledger(root)) as ledger:
            tag = newest_tag(ledger)
        if tag is None:
            raise UsageError(f"no swarm was ever started in {root}: python -m swarm launch")
        options.tag = tag
        print(f"going on with {tag}", file=sys.stderr)
    options.resume = True
    return launch(options)


def _slot_finder(address: str | None, screen: TextIO) -> Callable[[Config, str], SlotAssignment]:
    """Where agents can work: on the GPUs of the cluster at `address`, told on `screen`, or else on this machine."""
    if not address:
        from swarm.launch.slots import local_slots

        return local_slots
    from swarm.coordinator.cluster_gpus import cluster_slots

    say = functools.partial(print, file=screen, flush=True)
    say(f"asking the cluster at {address} for GPUs")
    return functools.partial(cluster_slots, address, say)


def _run(plan: Any, screen: Console, leave: Callable[[], None] | None) -> int:
    """The swarm in the foreground, with its leaderboard, and the report at the end. Who looks on may `leave` it."""
    from swarm.cli.attach import followed
    from swarm.cli.keyboard import keyboard
    from swarm.coordinator.foreground import run
    from swarm.judge.decide import read_policy
    from swarm.ledger.home import open_ledger
    from swarm.project.secrets import SECRETS
    from swarm.project.settings import variable
    from swarm.researchers.cli.scratch import clear
    from swarm.snapshot.read import read_snapshot
    from swarm.views.browser import Browser
    from swarm.views.leaderboard import OWNER
    from swarm.views.leaderboard import watch as follow
    from swarm.views.sign_of_life import sign_of_life
    from swarm.wording.formatting import plural

    def show(done: Callable[[], bool]) -> None:
        with contextlib.closing(open_ledger(plan.root)) as ledger:
            read = functools.partial(read_snapshot, plan.root, ledger, plan.tag)
            with followed(plan.root, read()), keyboard() as keys:
                browser = Browser(OWNER, leads=True) if keys and leave else None
                follow(read, screen, stopping=OWNER, done=done, keys=keys, browser=browser)
        if leave and browser and browser.left:
            leave()

    for name in SECRETS:  # the plan has them; agents, and the tools that they start, need not
        os.environ.pop(variable(name), None)
    policy, known = read_policy(plan.config.policy), plan.device.split(":")[0] in plan.project.sigma
    times = {1: "once", 2: "on each, twice", 4: "on each, four times"}
    baseline = times[policy.baselines_of_each(len(plan.slots), known)]
    counted = ", with the trial run as the first of them" if plan.trial else ""
    first = "" if plan.config.resume else f"; first the baseline {baseline}{counted}"
    print(f"starting Ray and {plural(len(plan.slots), 'agent')}{first}", flush=True)
    with _awake():
        code, reason = run(plan, show, functools.partial(sign_of_life, screen))
    for agent in plan.slots:
        clear(plan.folder / agent)
    with contextlib.closing(open_ledger(plan.root)) as ledger:
        snapshot = read_snapshot(plan.root, ledger, plan.tag)
    print(f"{plan.tag} has ended: {reason}", file=sys.stderr if code == 1 else sys.stdout)
    save_report(plan.root, snapshot, plan.config.gpu_usd_per_hour)
    return code if code or snapshot.runs else 4  # it was at a limit from the start


def _launch_for_programs(plan: Any, flags: Mapping[str, Any], settings: Sequence[Setting]) -> int:
    """The plan as JSON, or the detached launch with where to find it."""
    from swarm.views.plan import plan_json

    if plan.config.dry_run:
        print_json(plan_json(plan, settings))
        return 0
    if not plan.config.detach:
        raise UsageError("launch --json goes with --dry-run, which prints the plan, or with --detach")
    child, log = detach(plan, flags)
    print_json({"tag": plan.tag, "pid": child, "log": str(log)})
    return 0


@contextlib.contextmanager
def _awake() -> Iterator[None]:
    """Keeps a Mac from sleeping while the swarm runs."""
    if sys.platform != "darwin":
        yield
        return
    keeper = subprocess.Popen(["caffeinate", "-i", "-w", str(os.getpid())])
    try:
        yield
    finally:
        keeper.terminate()
