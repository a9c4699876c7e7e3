"""A small process between an agent and a coding command, which owns the command's process tree and ends all of it.

    python -m swarm.researchers.cli.command_guard

The first line on stdin is a JSON object with `command`, `folder` and `environment`. The tree is ended when the command
ends, and when stdin does: because the deadline came, or because the agent is gone. Stdlib only: it starts in 0.1 s.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time

from swarm.execution.machine import process_table
from swarm.execution.machine.process_tree import ProcessTree

GRACE = 3.0  # seconds between SIGTERM and SIGKILL
NOT_STARTED = 127  # the exit code where there is no such command, as a shell has it

_TICK = 0.05  # seconds between looks at the child


def main() -> int:
    """Runs the command; gives its exit code, or 128 and the number of the signal that ended it."""
    spec = json.loads(os.fdopen(0, "rb", 0, closefd=False).readline())
    tree = ProcessTree()
    try:
        child = subprocess.Popen(
            spec["command"],
            cwd=spec["folder"],
            env=spec["environment"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=process_table.die_with_parent,
        )
    except OSError as error:
        print(f"{spec['command'][0]} cannot be started: {error.strerror}", file=sys.stderr)
        return NOT_STARTED
    tree.adopt(child.pid)
    while child.pid not in tree.exits and not select.select([0], [], [], _TICK)[0]:
        tree.reap()
    tree.terminate(GRACE, time.sleep)
    code = os.waitstatus_to_exitcode(tree.exits[child.pid].status) if child.pid in tree.exits else -9
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
