"""What a swarm is called and which commit it starts from; whatever in the repository stands in its way is refused."""

from __future__ import annotations

import contextlib
import datetime
import string
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from swarm.errors import LimitReached, UsageError
from swarm.history.repository import History
from swarm.launch.resume import limit_reached, refuse_other_judge, resumed
from swarm.ledger.database import Ledger, founded, locked
from swarm.ledger.experiments import experiment
from swarm.ledger.head_lock import is_led
from swarm.ledger.home import ledger_path
from swarm.ledger.rows import SwarmRow
from swarm.ledger.swarms import swarms
from swarm.ledger.transaction import of_swarm
from swarm.ledger.trunk import tip
from swarm.project.patterns import folder_of
from swarm.project.project import Project, load_project
from swarm.project.settings import Config, renamed


@dataclass(frozen=True, slots=True)
class Start:
    """What a swarm is called, its settings, and the commit it starts from; `before` is the swarm that it resumes, and
    `hours_anew` whether its hours were typed for that, and count from now."""

    tag: str
    config: Config
    commit: str
    before: SwarmRow | None
    hours_anew: bool = False


def find_start(
    config: Config,
    history: History,
    today: datetime.date,
    moves_branches: bool = True,
    typed: Collection[str] = (),
) -> Start:
    """UsageError, with the remedy, where the repository lets no swarm of these settings start. `typed` are those which
    somebody has just typed."""
    root = history.folder
    known = known_swarms(root)
    tag = choose_tag(config, history, known, today)
    if moves_branches:
        refuse_blocking_branches(history, tag)
    if locked(ledger_path(root)) or any(is_led(root / ".swarm" / name) for name in known):
        raise UsageError(
            "a swarm is already running on this repository: see it with `python -m swarm watch`,"
            " end it with `python -m swarm stop`"
        )
    if config.resume:
        before = known[tag]
        refuse_other_judge(config, before, typed)
        config = replace(resumed(config, renamed(before.settings), typed), policy=before.policy)
        anew = "hours" in typed
        if moves_branches and not config.dry_run:
            refuse_reached(root, tag, config, anew)
        return Start(tag, config, before.base_commit, before, anew)
    return Start(tag, config, base_commit(config, history, known, root), None)


def refuse_reached(root: Path, tag: str, config: Config, hours_anew: bool) -> None:
    """LimitReached where the swarm has done all that these settings allow: nothing is started for that."""
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        if reached := limit_reached(of_swarm(ledger, tag, time.time()), config, hours_anew):
            raise LimitReached(reached)


def find_project(history: History) -> Project:
    """The project in the folder that was named; UsageError where only a folder above it, in its repository, is one."""
    try:
        return load_project(history.folder)
    except UsageError as error:
        own = (history.folder / "swarm.toml").exists() or not history.prefix
        for folder in () if own else history.folder.parents:
            if _is_project(folder):
                raise UsageError(
                    f"{history.folder} is no project of its own, but {folder} is: name that with -C {folder} ({error})"
                ) from error
            if folder == history.root:
                break
        raise


def _is_project(folder: Path) -> bool:
    try:
        load_project(folder)
    except UsageError:
        return False
    return True


def changes(history: History, project: Project) -> list[str]:
    """Editable and fixed files, and such as may become editable ones, that differ from the last commit."""
    named = (*project.editable, *project.fixed)
    changed = history.changed({folder_of(path) or "." for path in named})
    return [path for path in changed if project.may_edit(path) or project.is_fixed(path) or _holds(path, named)]


def _holds(path: str, named: Iterable[str]) -> bool:
    """Whether it is a submodule with one of the files."""
    return any(name.startswith(f"{path}/") for name in named)


def known_swarms(root: Path) -> dict[str, SwarmRow]:
    """The swarms that ran here, by tag."""
    path = ledger_path(root)
    if not founded(path):
        return {}
    ledger = Ledger(path)
    try:
        return {swarm.tag: swarm for swarm in swarms(ledger)}
    finally:
        ledger.close()


def choose_tag(config: Config, history: History, known: Mapping[str, object], today: datetime.date) -> str:
    """The tag that was given, or one after today's date; UsageError where it is taken, or unknown to a resume."""
    branches = {part for name in history.branches() for part in name.split("/")[1:2]}
    taken = {*known, *branches, *history.tags_of_experiments()}
    if config.resume:
        if config.tag not in known:
            raise UsageError(f"there is no swarm {config.tag} to resume; there are: {', '.join(known) or 'none yet'}")
        return str(config.tag)
    if config.tag is None:
        stem = today.strftime("%b%d").lower()
        free = [tag for tag in (stem, *(stem + letter for letter in string.ascii_lowercase[1:])) if tag not in taken]
        if not free:
            raise UsageError(f"all tags from {stem} to {stem}z are taken: give one of your own with --tag")
        return free[0]
    if config.tag in known:
        raise UsageError(
            f"the swarm {config.tag} exists: go on with `python -m swarm resume --tag {config.tag}`, start from what it"
            f" found with `--tag OTHER --from {config.tag}`, or choose another tag"
        )
    if config.tag in branches:
        raise UsageError(f"a branch under autoresearch/{config.tag} exists: choose another tag")
    if config.tag in taken:
        raise UsageError(f"refs/experiments holds experiments of another {config.tag}: choose another tag")
    return config.tag


def base_commit(config: Config, history: History, known: Mapping[str, SwarmRow], root: Path) -> str:
    """The commit that the baseline is: HEAD, or the best of an earlier swarm."""
    if config.from_tag is None:
        return history.head()
    if config.from_tag not in known:
        raise UsageError(
            f"--from {config.from_tag}: there is no such swarm; there are: {', '.join(known) or 'none yet'}"
        )
    ledger = Ledger(ledger_path(root))
    try:
        newest = tip(ledger, config.from_tag)
        commit = experiment(ledger, newest.experiment).commit_sha if newest.experiment else None
    finally:
        ledger.close()
    if newest.position == 0:
        return known[config.from_tag].base_commit
    if commit is None:
        raise UsageError(
            f"--from {config.from_tag}: its last keep was never committed:"
            f" `python -m swarm resume --tag {config.from_tag}` does that, and can be stopped at once"
        )
    return commit


def refuse_blocking_branches(history: History, tag: str) -> None:
    branches = history.branches("refs/heads")
    if "autoresearch" in branches:
        raise UsageError(
            "a branch named autoresearch is in the way of autoresearch/<tag>:"
            " rename it with `git branch -m autoresearch autoresearch-old`"
        )
    held = history.checked_out(tag)
    if held:
        raise UsageError(f"the branch {held[0]} is checked out and would move: `git switch` to another one first")


def refuse_changes(history: History, project: Project) -> None:
    if changed := changes(history, project):
        some = ", ".join(changed[:4]) + (f" and {len(changed) - 4} more" if len(changed) > 4 else "")
        raise UsageError(f"{some}: uncommitted changes; `git add` and `git commit` them, or `git stash -u` first")
