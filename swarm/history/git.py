"""The git program on one repository: every command of ours goes through here, and nobody's configuration changes what
it answers.

Only plumbing and formats that git promises to keep are used, so that repositories of any kind (SHA-256, reftable,
linked worktrees, sparse, shallow and partial clones) look alike.
"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from swarm.errors import SwarmError, UsageError
from swarm.text import one_line

# Variables of a shell, or of a hook that launches, which mean another repository or another way to read this one.
_FOREIGN = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_COMMON_DIR"),
    *("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
    *("GIT_NAMESPACE", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_REPLACE_REF_BASE"),
    *("GIT_NO_REPLACE_OBJECTS", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_GLOB_PATHSPECS"),
    *("GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_ATTR_SOURCE", "GIT_DEFAULT_HASH"),
    *("GIT_DEFAULT_REF_FORMAT"),
)
_SETTINGS = (  # of plumbing; what only `git diff`, `git log` and their like heed needs no mention
    f"core.hooksPath={os.devnull}",
    "core.abbrev=7",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.notesRef=refs/notes/commits",
    "diff.suppressBlankEmpty=false",
    "i18n.commitEncoding=UTF-8",
    "color.ui=false",
)
NOTHING: Mapping[str, str] = {}
_NOBODY_ASKS = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true"}


class Git:
    """The repository around a folder. `root` is its working tree, `prefix` the folder in it: "" or "research/vision/".

    UsageError, with the remedy, where there is none, or none with a working tree.
    """

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise UsageError(f"{folder} is not in a git repository: there is no such folder")
        try:
            directory = _asked(folder, "--absolute-git-dir")
            root, self.prefix = _asked(folder, "--show-toplevel"), _asked(folder, "--show-prefix")
        except _NoAnswer as error:
            raise UsageError(_why_not(folder, str(error))) from error
        self.root, self.directory = Path(root), Path(directory)
        self._environment = _inherited() | {"GIT_DIR": directory, "GIT_WORK_TREE": root}

    @functools.cached_property
    def common(self) -> Path:
        """The folder that all working trees of the repository share."""
        return Path(self.root, self.text("rev-parse", "--git-common-dir"))

    def run(self, *arguments: str, feed: bytes = b"", environment: Mapping[str, str] = NOTHING) -> bytes:
        """What a command writes; `feed` is its standard input. It takes no lock it does not need, runs no hook and asks
        for no password. SwarmError with git's own words where it fails."""
        with tempfile.TemporaryFile() as stream:
            stream.write(feed)
            stream.seek(0)
            done = subprocess.run(
                self._command(*arguments), stdin=stream, capture_output=True, env={**self._environment, **environment},
                cwd=self.root, check=False,
            )  # fmt: skip
        if done.returncode != 0:
            raise SwarmError(f"git {arguments[0]} failed: {one_line(os.fsdecode(done.stderr))}")
        return done.stdout

    def text(self, *arguments: str, feed: bytes = b"", environment: Mapping[str, str] = NOTHING) -> str:
        """The same as text, without the newline at its end. Bytes that are not UTF-8 come out as surrogates."""
        return os.fsdecode(self.run(*arguments, feed=feed, environment=environment)).removesuffix("\n")

    def fields(self, *arguments: str) -> list[str]:
        """What a command with `-z` lists."""
        return os.fsdecode(self.run(*arguments)).split("\0")[:-1]

    def commit(self, name: str) -> str | None:
        """The sha of the commit called `name`; None where there is none."""
        try:
            return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except SwarmError:
            return None

    def contents(self, shas: Iterable[str]) -> Iterator[bytes]:
        """The blobs with these shas, one after the other, from one process."""
        with tempfile.TemporaryFile() as stream:
            stream.write("".join(f"{sha}\n" for sha in shas).encode())
            stream.seek(0)
            with subprocess.Popen(
                self._command("cat-file", "--batch"), stdin=stream, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=self._environment, cwd=self.root,
            ) as process:  # fmt: skip
                assert process.stdout
                while head := process.stdout.readline():
                    sha, kind, *size = head.split()
                    if not size:
                        raise SwarmError(f"the object {sha.decode()} is {kind.decode()} in {self.root}: `git fsck`")
                    yield process.stdout.read(int(size[0]))
                    process.stdout.read(1)

    def _command(self, *arguments: str) -> list[str]:
        settings = (word for setting in _SETTINGS for word in ("-c", setting))
        return ["git", "--no-optional-locks", "--literal-pathspecs", *settings, *arguments]


class _NoAnswer(Exception):
    """Git's own words, where it does not say where a repository is."""


def _asked(folder: Path, what: str) -> str:
    try:
        done = subprocess.run(
            ["git", "rev-parse", what], cwd=folder, env=_inherited(), capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed, or not on the PATH") from error
    if done.returncode != 0:
        raise _NoAnswer(one_line(os.fsdecode(done.stderr)))
    return os.fsdecode(done.stdout).removesuffix("\n")


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN} | _NOBODY_ASKS


def _why_not(folder: Path, said: str) -> str:
    """Why git finds no working tree here, though it may see a repository."""
    try:
        if _asked(folder, "--is-inside-work-tree") == "false":
            return f"{folder} is in a bare repository, or in a .git folder: clone it, and launch in the clone"
    except _NoAnswer:
        pass
    if any((place / ".git").exists() for place in (folder, *folder.parents)):
        return f"git cannot use the repository around {folder}: {said.removeprefix('fatal: ')}"
    return f"{folder} is not in a git repository: run `git init` and commit what is to be researched"
