"""The ledger as git: commits, branches and refs, projected with plumbing and a private index.

The user's checkout, index and worktrees are never touched; hooks and signing are off; no identity is needed. A commit
is made of ledger data alone (files, parent, message, dates), so making it again gives the same sha: whatever is lost
of the projection comes back with the next call of `project`.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import git
from gitdb.exc import BadName, BadObject

from swarm.errors import SwarmError, UsageError
from swarm.ledger.agents import agents
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import judged, own_mean
from swarm.ledger.rows import ExperimentRow, SwarmRow
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import of_swarm
from swarm.records import Status
from swarm.text import one_line

NOBODY = "autoresearch swarm"
ADDRESS = "swarm@autoresearch.invalid"


class History:
    """Writes one repository. Made and used on the head only."""

    def __init__(self, root: Path):
        """`root` is inside a git repository with a working tree; UsageError otherwise."""
        try:
            self.repository = git.Repo(root, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise UsageError(
                f"{root} is not in a git repository: run `git init` and commit what is to be researched"
            ) from error
        if self.repository.working_tree_dir is None:
            raise UsageError(f"{root} is a bare repository: clone it, and launch in the clone")
        self.root = Path(self.repository.working_tree_dir)
        self.repository.git.update_environment(  # a GIT_DIR of the shell's, or of a hook that launches, means another
            GIT_DIR=str(self.repository.git_dir),
            GIT_WORK_TREE=str(self.root),
            GIT_INDEX_FILE=str(Path(self.repository.git_dir, "index")),
        )

    def project(self, ledger: Ledger, tag: str) -> dict[str, str]:
        """Makes every commit and ref of the swarm that is missing; gives the new commits by experiment."""
        swarm = of_swarm(ledger, tag).swarm
        commits: dict[str, str] = {}
        trunk = {0: swarm.base_commit}
        refs: dict[str, str] = {}
        existing = self._refs(tag)
        for row in judged(ledger, tag):
            reference = f"refs/experiments/{row.id}"
            sha = row.commit_sha
            if sha is None or existing.get(reference) != sha:
                sha = commits[row.id] = self._commit(ledger, swarm, row, trunk)
            if row.status is Status.KEEP and not row.baseline:
                trunk[row.position] = sha
            refs[reference] = sha
        refs[f"refs/heads/autoresearch/{tag}"] = trunk[max(trunk)]
        for agent in agents(ledger, tag):
            refs[f"refs/heads/autoresearch/{tag}-{agent.agent}"] = trunk[min(agent.position, max(trunk))]
        self._update(refs, existing)
        return commits

    def refs(self, tag: str) -> dict[str, str]:
        """The swarm's branches and experiments, with the commits they point at."""
        return self._refs(tag)

    def push(self, remote: str, refs: list[str]) -> None:
        """Sends these refs to the remote, all or none; SwarmError where that fails. It never asks for a password."""
        specs = [f"{name}:{name}" for name in refs]
        with self.repository.git.custom_environment(GIT_TERMINAL_PROMPT="0", GIT_ASKPASS="true", SSH_ASKPASS="true"):
            self._git("push", "--quiet", "--atomic", "--no-verify", remote, *specs)

    def remotes(self) -> list[str]:
        return self._git("remote").split()

    def forget(self, tag: str) -> int:
        """Deletes every ref of the swarm; gives their number. UsageError where one of them is checked out."""
        held = self.checked_out(tag)
        if held:
            raise UsageError(f"the branch {held[0]} is checked out: `git switch` to another one first")
        refs = self._refs(tag)
        self._feed("".join(f"delete {name}\n" for name in refs))
        return len(refs)

    def base_tree(self, commit: str) -> bytes:
        """The commit's files as a tar archive: what workspaces are made from, on every host.

        Exactly what was committed: `git archive` would leave out or rewrite files as .gitattributes says.
        """
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for item in self._files(commit).traverse():
                if isinstance(item, git.Blob):
                    _pack(archive, item)
        return buffer.getvalue()

    def paths(self, commit: str) -> frozenset[str]:
        """Every file and link of the commit."""
        return frozenset(
            filter(None, self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split("\0"))
        )

    def read(self, commit: str, path: str) -> bytes:
        """One file (of a folder: its listing) at a commit; UsageError where it has none of that name."""
        try:
            return self._files(commit)[path].data_stream.read()
        except KeyError as error:
            raise UsageError(f"{path} is not in the last commit: commit it first") from error

    def head(self) -> str:
        """The sha of HEAD; UsageError where nothing was ever committed."""
        try:
            return self.repository.head.commit.hexsha
        except ValueError as error:
            raise UsageError(
                "the repository has no commit yet: `git add` and `git commit` what is to be researched"
            ) from error

    def branches(self, under: str = "refs/heads/autoresearch") -> list[str]:
        """Names of branches, without refs/heads/."""
        return self._git("for-each-ref", "--format=%(refname:lstrip=2)", under).splitlines()

    def checked_out(self, tag: str) -> list[str]:
        """Branches of the swarm that some working tree stands on, without refs/heads/."""
        own = _own_refs(tag)
        return sorted(name.removeprefix("refs/heads/") for name in self._checked_out() if own.fullmatch(name))

    def changed(self, paths: tuple[str, ...]) -> list[str]:
        """Those of the paths that differ from the last commit, in the index or in the working tree."""
        listed = self._git("status", "--porcelain", "--untracked-files=all", "--", *paths)
        return list(dict.fromkeys(line[3:] for line in listed.splitlines()))

    def diff(self, older: str, newer: str) -> str:
        return self._git("diff", "--no-color", "--no-ext-diff", older, newer)

    # -- plumbing ----------------------------------------------------------------------------------------------

    def _commit(self, ledger: Ledger, swarm: SwarmRow, row: ExperimentRow, trunk: dict[int, str]) -> str:
        if row.baseline:
            return swarm.base_commit
        parent = trunk[row.position - 1 if row.status is Status.KEEP else row.position]
        tree = self._tree(parent, load_source(ledger, row.source or "").files)
        date = f"@{int(row.judged or 0)} +0000"
        who = {"NAME": NOBODY, "EMAIL": ADDRESS, "DATE": date}
        environment = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        with self.repository.git.custom_environment(**environment):
            message = _message(ledger, swarm, row)
            return self._git("commit-tree", "--no-gpg-sign", tree, "-p", parent, "-F", "-", feed=message)

    def _tree(self, parent: str, files: Mapping[str, bytes]) -> str:
        """The parent's tree with the files' content replaced; modes stay."""
        with (
            tempfile.TemporaryDirectory(prefix="swarm-index-") as folder,
            self.repository.git.custom_environment(GIT_INDEX_FILE=str(Path(folder, "index"))),
        ):
            self._git("read-tree", parent)
            for path, content in files.items():
                mode = self._git("ls-files", "-s", "--", path).split(" ")[0] or "100644"
                blob = self._git("hash-object", "-w", "--stdin", "--no-filters", feed=content)
                self._git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
            return self._git("write-tree")

    def _refs(self, tag: str) -> dict[str, str]:
        listed = self._git(
            "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/autoresearch", "refs/experiments"
        )
        refs = dict(line.split(" ") for line in listed.splitlines())
        return {name: sha for name, sha in refs.items() if _own_refs(tag).fullmatch(name)}

    def _checked_out(self) -> set[str]:
        """The branches that some working tree of the repository stands on."""
        listed = self._git("worktree", "list", "--porcelain").splitlines()
        return {line.removeprefix("branch ") for line in listed if line.startswith("branch ")}

    def _update(self, refs: dict[str, str], existing: dict[str, str]) -> None:
        """Moves what has to move; a branch that somebody stands on waits until they leave it."""
        changed = {name: sha for name, sha in refs.items() if existing.get(name) != sha}
        if changed:
            held = self._checked_out()
            self._feed("".join(f"update {name} {sha}\n" for name, sha in changed.items() if name not in held))

    def _feed(self, commands: str) -> None:
        self._git("update-ref", "--stdin", feed=commands.encode())

    def _files(self, commit: str) -> git.Tree:
        """The commit's tree; UsageError where somebody pruned it away."""
        try:
            return self.repository.commit(commit).tree  # only this looks the commit up
        except (BadName, BadObject, ValueError) as error:
            raise UsageError(f"the commit {commit} is not in this repository any more") from error

    def _git(self, *arguments: str, feed: bytes = b"") -> str:
        """One git command that takes no lock it does not need and runs no hook; `feed` is its standard input."""
        settings = (f"core.hooksPath={os.devnull}", "i18n.commitEncoding=UTF-8")
        options = ["--no-optional-locks", "--literal-pathspecs", *(word for s in settings for word in ("-c", s))]
        with tempfile.TemporaryFile() as stream:
            stream.write(feed)
            stream.seek(0)
            try:
                return str(self.repository.git.execute(["git", *options, *arguments], istream=stream))
            except git.GitCommandError as error:
                reason = error.stderr.strip().removeprefix("stderr: ").strip("'")
                raise SwarmError(f"git {arguments[0]} failed: {reason}") from error


def _own_refs(tag: str) -> re.Pattern[str]:
    """The names of a swarm's refs; a branch that merely begins like one of them is somebody else's."""
    return re.compile(rf"refs/heads/autoresearch/{tag}(-gpu\d+)?|refs/experiments/{tag}-gpu\d+-\d+")


def _pack(archive: tarfile.TarFile, blob: git.Blob) -> None:
    info = tarfile.TarInfo(str(blob.path))
    content = blob.data_stream.read()
    if blob.mode == blob.link_mode:
        info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(content)
        archive.addfile(info)
        return
    info.mode, info.size = blob.mode & 0o777, len(content)
    archive.addfile(info, io.BytesIO(content))


def _message(ledger: Ledger, swarm: SwarmRow, row: ExperimentRow) -> bytes:
    """What was tried and what came of it; the trailers are for machines."""
    mean = own_mean(ledger, row.id)
    low, high = row.interval
    trailers = [
        ("Experiment", row.id),
        ("Status", row.status),
        ("Metric", f"{swarm.metric} {mean:.6f}" if mean is not None else None),
        ("Gain", f"{row.gain:+.6f} [{low:+.6f}, {high:+.6f}]" if low is not None and high is not None else None),
        ("Runs", str(row.n)),
        ("Category", one_line(row.category)),
    ]
    paragraphs = [
        one_line(row.title),
        row.rationale.strip(),
        one_line(row.reason),
        "\n".join(f"{name}: {value}" for name, value in trailers if value),
    ]
    return ("\n\n".join(filter(None, paragraphs)) + "\n").encode()
