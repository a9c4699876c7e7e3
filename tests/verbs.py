"""A verb as a user calls it, but in the test's own process: a new Python takes as long as most verbs ten times over."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

from swarm import cli


def called(*words: str, env: Mapping[str, str] | None = None) -> CompletedProcess[str]:
    """What `python -m swarm WORDS` answers: exit code, output and errors; no terminal, and `env` on top of this one."""
    out, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape", write_through=True) for _ in range(2))
    with (
        Path(os.devnull).open() as nothing,
        mock.patch.dict(os.environ, env or {}),
        mock.patch("sys.stdin", nothing),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            code = cli.main(list(words))
        except SystemExit as end:  # argparse: --help, and what does not parse
            code = end.code if isinstance(end.code, int) else 1
    return CompletedProcess(["swarm", *words], code, *map(_written, (out, errors)))


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
