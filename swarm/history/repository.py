"""The ledger as git: commits, branches and refs, projected with plumbing and a private index.

The user's checkout, index and worktrees are never touched; hooks and signing are off; no identity is needed. A commit
is made of ledger data alone (files, parent, message, dates), so making it again gives the same sha: whatever is lost
of the projection comes back with the next call of `project`.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from swarm.errors import SwarmError, UsageError
from swarm.history.git import Git
from swarm.history.packing import pack
from swarm.history.tree import Tree
from swarm.ledger.agents import agents
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import judged, own_mean
from swarm.ledger.rows import ExperimentRow, SwarmRow
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import of_swarm
from swarm.records import Status
from swarm.text import one_line

LATEST = 2**40  # seconds since 1970: git takes no later date for sure

NOBODY = "autoresearch swarm"
ADDRESS = "swarm@autoresearch.invalid"


class History:
    """Writes the repository around a project. Made and used on the head only.

    `folder` is the project's, `root` the repository's, and `prefix` leads from the second to the first: "" or
    "research/vision/". All paths that go in and out are the project's own; only here they get the prefix.
    """

    def __init__(self, folder: Path):
        """UsageError where the folder is not in a git repository with a working tree."""
        self._git = Git(folder)
        self.root, self.prefix = self._git.root, self._git.prefix
        self.folder = self.root / self.prefix
        self._trees: dict[str, Tree] = {}  # the base commit's is asked for again and again

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
        """Sends these refs to the remote, all or none; SwarmError where that fails. It never asks for a password.

        A branch only grows there. An experiment's ref says what is known of it: it is replaced where it moves, as
        after a person's word.
        """
        specs = [f"{'+' * name.startswith('refs/experiments/')}{name}:{name}" for name in refs]
        self._git.run("push", "--quiet", "--atomic", "--no-verify", "--no-follow-tags", "--no-signed", remote, *specs)

    def remotes(self) -> list[str]:
        return self._git.text("remote").split()

    def forget(self, tag: str) -> int:
        """Deletes every ref of the swarm; gives their number. UsageError where one of them is checked out."""
        held = self.checked_out(tag)
        if held:
            raise UsageError(f"the branch {held[0]} is checked out: `git switch` to another one first")
        refs = self._refs(tag)
        self._feed("".join(f"delete {name}\n" for name in refs))
        return len(refs)

    def reserve(self, tag: str, commit: str) -> None:
        """Makes the trunk's branch; SwarmError where another swarm of this repository took the tag meanwhile."""
        try:
            self._feed(f"create refs/heads/autoresearch/{tag} {commit}\n")
        except SwarmError as error:
            raise SwarmError(
                f"the branch autoresearch/{tag} cannot be made, as another swarm took the tag meanwhile or git refuses"
                f" it: launch again, or give a --tag of your own ({error})"
            ) from error

    def give_back(self, tag: str, commit: str) -> None:
        """Deletes the trunk's branch that was reserved, where nothing has moved it since."""
        with contextlib.suppress(SwarmError):
            self._feed(f"delete refs/heads/autoresearch/{tag} {commit}\n")

    def base_tree(self, commit: str) -> bytes:
        """All files of the commit, from the repository's root, as a tar archive."""
        return pack(self.tree(commit), self.root)

    def tree(self, commit: str) -> Tree:
        """All that the commit holds, by path from the repository's root; UsageError where somebody pruned it away."""
        sha = self._git.commit(commit)
        if sha is None:
            raise UsageError(f"the commit {commit} is not in this repository any more")
        if sha not in self._trees:
            self._trees[sha] = Tree(self._git, sha)
        return self._trees[sha]

    def read(self, commit: str, path: str) -> bytes:
        """One file at a commit; UsageError where it has none of that name."""
        return self.tree(commit).read(self.inside(path))

    def inside(self, path: str) -> str:
        """The path from the repository's root, of one from the project's folder."""
        return posixpath.normpath(self.prefix + path)

    def outside(self, path: str) -> str:
        """The path from the project's folder, of one from the repository's root."""
        return posixpath.relpath(path, self.prefix or ".")

    def head(self) -> str:
        """The sha of HEAD; UsageError where nothing was ever committed."""
        commit = self._git.commit("HEAD")
        if commit is None:
            raise UsageError("the repository has no commit yet: `git add` and `git commit` what is to be researched")
        return commit

    def tags_of_experiments(self) -> set[str]:
        """The tags of which there are experiments, even where their branches were deleted."""
        names = self._git.text("for-each-ref", "--format=%(refname:lstrip=2)", "refs/experiments").splitlines()
        return {found[1] for name in names if (found := re.match(r"(.+)-gpu\d+-\d+\Z", name))}

    def branches(self, under: str = "refs/heads/autoresearch") -> list[str]:
        """Names of branches, without refs/heads/."""
        return self._git.text("for-each-ref", "--format=%(refname:lstrip=2)", under).splitlines()

    def checked_out(self, tag: str) -> list[str]:
        """Branches of the swarm that some working tree stands on, without refs/heads/."""
        own = _own_refs(tag)
        return sorted(name.removeprefix("refs/heads/") for name in self._checked_out() if own.fullmatch(name))

    def changed(self, folders: Collection[str]) -> list[str]:
        """Paths in these folders, or at them, that differ from the last commit, in the index or in the working tree."""
        listed = self._git.fields(
            *("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none", "--"),
            *map(self.inside, folders),
        )
        return [self.outside(line[3:].rstrip("/")) for line in listed]

    def diff(self, older: str, newer: str) -> str:
        """The difference as a patch from the repository's root; bytes that are not UTF-8 are surrogates in it.

        Files are text, whatever attributes or a person's diff drivers call them, but for those with null bytes.
        """
        options = ("-r", "-p", "--unified=3", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
        places = ("--src-prefix=a/", "--dst-prefix=b/", "--end-of-options", older, newer)
        patch = self._git.text("diff-tree", *options, "--text", *places)
        return self._git.text("diff-tree", *options, "--binary", *places) if "\0" in patch else patch

    def diff_to(self, older: str, files: Mapping[str, bytes]) -> str:
        """The same to a commit with these files in it, which nobody made; "" where they change nothing. Their content
        stays in git's objects until it collects its garbage."""
        return self.diff(older, self._write_tree(older, files)) if files else ""

    def diffs(self, pairs: Mapping[str, str]) -> dict[str, str]:
        """Of each newer commit its difference from the older one, as `diff` gives it, all from one process. Commits
        that nobody has any more are left out, and so are files with null bytes."""
        feed = "".join(f"{newer} {older}\n" for newer, older in pairs.items())
        options = ("-r", "-p", "--unified=3", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--text")
        found: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in self._git.text("diff-tree", "--stdin", *options, feed=feed.encode()).split("\n"):
            if line in pairs:  # a line of a patch never begins with a sha
                lines = found.setdefault(line, [])
            else:
                lines.append(line)
        return {sha: "\n".join(patch) for sha, patch in found.items() if not any("\0" in line for line in patch)}

    # -- plumbing ----------------------------------------------------------------------------------------------

    def _commit(self, ledger: Ledger, swarm: SwarmRow, row: ExperimentRow, trunk: dict[int, str]) -> str:
        if row.baseline:
            return swarm.base_commit
        parent = trunk[row.position - 1 if row.status is Status.KEEP else row.position]
        tree = self._write_tree(swarm.base_commit, self._changed_files(ledger, swarm, row))
        date = f"@{int(min(max(row.judged or 0, 0), LATEST))} +0000"  # git refuses what a wrong clock may have said
        who = {"NAME": NOBODY, "EMAIL": ADDRESS, "DATE": date}
        environment = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        message = _message(ledger, swarm, row)
        return self._git.text(
            *("commit-tree", "--no-gpg-sign", tree, "-p", parent, "-F", "-"), feed=message, environment=environment
        )

    def _changed_files(self, ledger: Ledger, swarm: SwarmRow, row: ExperimentRow) -> Mapping[str, bytes]:
        """What the experiment's code changes in the untouched code."""
        before, after = load_source(ledger, swarm.base_source), load_source(ledger, row.source or "")
        return after.edit_from(before).files

    def _write_tree(self, base: str, files: Mapping[str, bytes]) -> str:
        """The base commit's tree with the files' content replaced, or added; modes stay."""
        with tempfile.TemporaryDirectory(prefix="swarm-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self._git.run("read-tree", base, environment=index)
            entries = self.tree(base).entries
            lines = []
            for path, content in files.items():
                place = self.inside(path)
                mode = entries[place].mode if place in entries else "100644"
                blob = self._git.text("hash-object", "-w", "--stdin", "--no-filters", feed=content)
                lines.append(f"{mode} {blob}\t{place}\0")
            self._git.run(
                "update-index", "-z", "--add", "--index-info", feed=os.fsencode("".join(lines)), environment=index
            )
            return self._git.text("write-tree", environment=index)

    def _refs(self, tag: str) -> dict[str, str]:
        listed = self._git.text(
            "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/autoresearch", "refs/experiments"
        )
        refs = dict(line.split(" ") for line in listed.splitlines())
        return {name: sha for name, sha in refs.items() if _own_refs(tag).fullmatch(name)}

    def _checked_out(self) -> set[str]:
        """The branches that some working tree of the repository stands on."""
        listed = self._git.text("worktree", "list", "--porcelain").splitlines()
        return {line.removeprefix("branch ") for line in listed if line.startswith("branch ")}

    def _update(self, refs: dict[str, str], existing: dict[str, str]) -> None:
        """Moves what has to move; a branch that somebody stands on waits until they leave it."""
        changed = {name: sha for name, sha in refs.items() if existing.get(name) != sha}
        if changed:
            held = self._checked_out()
            self._feed("".join(f"update {name} {sha}\n" for name, sha in changed.items() if name not in held))

    def _feed(self, commands: str) -> None:
        self._git.run("update-ref", "--stdin", feed=commands.encode())


def _own_refs(tag: str) -> re.Pattern[str]:
    """The names of a swarm's refs; a branch that merely begins like one of them is somebody else's."""
    return re.compile(rf"refs/heads/autoresearch/{tag}(-gpu\d+)?|refs/experiments/{tag}-gpu\d+-\d+")


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
