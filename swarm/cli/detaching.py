"""Launches a swarm that needs no terminal, and says how it is reached."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarm.errors import SwarmError
from swarm.invoked import program
from swarm.project.flags import flag


def detach(plan: Any, flags: Mapping[str, Any]) -> tuple[int, Path]:
    """The same launch in a session of its own, without a terminal. Once it runs: its process and its log."""
    from swarm.ledger.database import locked
    from swarm.ledger.home import ledger_path
    from swarm.project.secrets import SECRETS
    from swarm.project.settings import variable

    typed = {**flags, "tag": plan.tag}
    typed.pop("detach", None)
    if plan.trial:
        typed["trial"] = "auto"  # it is made, and known to the same launch
    secret = {variable(name): str(typed.pop(name)) for name in SECRETS if name in typed}  # not for everybody's `ps`
    words = [_words(flag(name), value) for name, value in typed.items()]
    rest = ["launch", "-C", str(plan.root), *(word for some in words for word in some)]
    plan.folder.mkdir(parents=True, exist_ok=True)
    log = plan.folder / "launch.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "swarm", *rest],
            cwd=plan.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "SWARM_DETACH": "no"} | secret,
        )
    while child.poll() is None and not locked(ledger_path(plan.root)):
        time.sleep(0.2)
    if child.poll() is not None and child.returncode != 0:
        raise SwarmError(f"the swarm did not start; {log} says why:\n{log.read_text()[-2000:]}")
    return child.pid, log


def _words(flag: str, value: Any) -> list[str]:
    """A flag as it was typed."""
    if value is True:
        return [flag]
    return [word for item in (value if isinstance(value, list) else [value]) for word in (flag, str(item))]


def come_back(root: Path) -> str:
    """How a swarm is reached that has no terminal, as it is typed from here."""
    where = "" if Path.cwd().is_relative_to(root) else f" -C {root}"
    return f"see it:  {program()} watch{where}\nend it:  {program()} stop{where}"
