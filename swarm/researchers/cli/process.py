"""Runs a coding command in a folder, with the environment that it may see, until it ends or its deadline comes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import swarm
from swarm.researchers.cli.command_guard import NOT_STARTED

KEPT = 4_000_000  # bytes kept of each output, the last ones

# What a command-line tool needs to find itself, its login and the network; no variable that holds a key.
_PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TMPDIR", "TZ"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `code` is None where the deadline ended it; the outputs are their last `KEPT` bytes."""

    code: int | None
    output: str
    errors: str
    seconds: float

    @property
    def missing(self) -> bool:
        return self.code == NOT_STARTED

    def why(self, secrets: Iterable[str] = ()) -> str:
        """What went wrong in one line for people, with the last words of the command."""
        words = (self.errors.strip() or self.output.strip()).splitlines()[-1:]
        said = f": {words[0][-300:]}" if words else ""
        how = f"did not end within {self.seconds:.0f} s" if self.code is None else f"ended with code {self.code}"
        return hidden(how + said, secrets)


async def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    hear: Callable[[str], None] = lambda line: None,
) -> Ended:
    """Runs the command. When this returns or is cancelled, and when this process is killed, nothing of it is left.

    `hear` is called with every line of its outputs as it comes; what is longer than `KEPT` is cut.
    """
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "swarm.researchers.cli.command_guard"),
        cwd="/",  # with -m the folder is a place to import from, and the command's may hold another `swarm`
        env={"PYTHONPATH": str(Path(swarm.__file__).parents[1]), "PATH": os.environ.get("PATH", os.defpath)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin and process.stdout and process.stderr
    outputs = [asyncio.create_task(_tail(stream, hear)) for stream in (process.stdout, process.stderr)]
    ended = asyncio.create_task(process.wait())
    spec = {"command": list(command), "folder": str(folder), "environment": dict(environment)}
    try:
        process.stdin.write(json.dumps(spec).encode() + b"\n")
        late = not (await asyncio.wait({ended}, timeout=seconds))[0]
    finally:
        process.stdin.close()
        code = await ended
    output, errors = await asyncio.gather(*outputs)
    return Ended(None if late else code, output, errors, time.monotonic() - started)


def environment(allowed: Iterable[str] = ()) -> dict[str, str]:
    """What a command may see of this process's environment: what every tool needs, and the variables named."""
    return {name: os.environ[name] for name in (*_PASSED, *allowed) if name in os.environ}


def hidden(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return text


async def _tail(stream: asyncio.StreamReader, hear: Callable[[str], None]) -> str:
    """The last `KEPT` bytes of the stream."""
    kept, begun = bytearray(), bytearray()
    while piece := await stream.read(65536):
        kept += piece
        *lines, rest = (begun + piece).split(b"\n")
        for line in lines:
            hear(line.decode(errors="replace"))
        begun = rest[:KEPT]
        del kept[:-KEPT]
    if begun:
        hear(begun.decode(errors="replace"))
    return kept.decode(errors="replace")
