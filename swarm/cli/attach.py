"""The terminal side of `attach`: tmux windows that follow the agents, and the takeover of one agent's conversation."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from swarm.errors import SwarmError, UsageError
from swarm.researchers.cli import process
from swarm.researchers.cli.conversation import Conversation, Talk
from swarm.researchers.registry import profile_of
from swarm.snapshot.records import AgentView, Snapshot

LOOK = 0.5  # seconds between two looks whose turn it is
_OTHER_PERSON = 2.0  # seconds until a lock that is held is believed to be a person's: agents look at it for a moment


# -- windows -------------------------------------------------------------------------------------------------------


def session(snapshot: Snapshot) -> str:
    return f"swarm-{snapshot.tag}"


def windows(root: Path, snapshot: Snapshot) -> dict[str, Sequence[str]]:
    """Every window by its name, with the command that fills it until the swarm ends."""
    swarm = (sys.executable, "-m", "swarm")
    about = ("-C", str(root), "--tag", snapshot.tag)
    agents = {agent.agent: (*swarm, "show", agent.agent, "--transcript", "-f", *about) for agent in snapshot.agents}
    return {"leaderboard": (*swarm, "watch", *about), **agents}


def open_windows(root: Path, snapshot: Snapshot, wanted: Collection[str] | None = None) -> None:
    """A tmux session with these windows (all, or those that are `wanted`), in the background; what is there stays."""
    name = session(snapshot)
    there = _tmux("list-windows", "-t", f"={name}", "-F", "#W", check=False).stdout.split()
    for window, command in windows(root, snapshot).items():
        if window in there or (wanted is not None and window not in wanted):
            continue
        place = ("new-window", "-d", "-t", f"={name}:") if there else ("new-session", "-d", "-s", name)
        _tmux(*place, "-n", window, "-c", str(root), "--", *command)
        there.append(window)


@contextlib.contextmanager
def followed(root: Path, snapshot: Snapshot) -> Iterator[None]:
    """While this lasts, every agent whose researcher talks as it works has a window that follows it, given tmux.

    A swarm never fails for want of a window.
    """
    talking = [agent.agent for agent in snapshot.agents if _talks(agent.researcher)]
    if not talking or shutil.which("tmux") is None:
        yield
        return
    with contextlib.suppress(SwarmError):
        open_windows(root, snapshot, talking)
    try:
        yield
    finally:
        _tmux("kill-session", "-t", f"={session(snapshot)}", check=False)


def _talks(researcher: str) -> bool:
    try:
        return profile_of(researcher).talks
    except UsageError:  # somebody's own, which is not here any more
        return False


def enter(snapshot: Snapshot, environment: Mapping[str, str] = os.environ) -> None:
    """This terminal shows the session from now on; returns when the person leaves it."""
    verb = "switch-client" if environment.get("TMUX") else "attach-session"
    subprocess.run([_program("tmux"), verb, "-t", f"={session(snapshot)}"], check=False)


def _tmux(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = process.environment(("TMUX_TMPDIR",))  # a server that it starts keeps this: no keys
    done = subprocess.run([_program("tmux"), *words], env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SwarmError(f"tmux {words[0]} failed: {done.stderr.strip()}")
    return done


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UsageError(
            f"there is no {name} on the PATH: install it, or use `python -m swarm watch`"
            " and `python -m swarm show gpu0 --transcript -f`"
        )
    return found


# -- a conversation ------------------------------------------------------------------------------------------------


def take_over(folder: Path, agent: AgentView) -> int:
    """Opens the agent's conversation in this terminal; returns the CLI's exit code when the person has left it.

    Meanwhile the agent asks nothing; what it trains goes on. UsageError where there is no conversation to open.
    """
    conversation = Conversation(folder)
    _talk(conversation, agent)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"attach {agent.agent} opens a conversation: it needs a terminal")
    until = time.monotonic() + _OTHER_PERSON
    while time.monotonic() < until:
        with conversation.wish() as ours:
            if ours:
                return _hold(conversation, agent)
        time.sleep(LOOK)
    raise UsageError(f"somebody else is talking with {agent.agent}")


def _hold(conversation: Conversation, agent: AgentView) -> int:
    """Waits for the agent to end what it has begun, then gives the word to the person."""
    said = rested = False
    while True:
        with conversation.taken() as ours:
            if ours and rested:
                return _open(_talk(conversation, agent), agent)
        rested = ours  # twice in a row: between an idea and its edit the agent is silent for a moment
        if not ours and not said:
            print(f"{agent.agent} is thinking; you are next (Ctrl-C leaves)", flush=True)
            said = True
        time.sleep(LOOK)


def _open(talk: Talk, agent: AgentView) -> int:
    print(
        f"{agent.agent} listens. Say what it should try, or ask why; edits made here are thrown away.\n"
        "Leave with /exit: then it goes on, and remembers.",
        flush=True,
    )
    code = subprocess.run(talk.command, cwd=talk.folder, check=False).returncode
    print(f"{agent.agent} goes on")
    return code


def _talk(conversation: Conversation, agent: AgentView) -> Talk:
    talk = conversation.talk()
    if talk is None or not Path(talk.folder).is_dir():
        raise UsageError(
            f"{agent.agent} has no conversation (its researcher: {agent.researcher}): only claude-code has one,"
            " from its first idea on; `python -m swarm tell` reaches every researcher"
        )
    _program(talk.command[0])
    return talk
