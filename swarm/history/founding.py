"""Makes a repository of a folder that is in none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import git

from swarm.history.repository import ADDRESS, NOBODY


def is_in_repository(folder: Path) -> bool:
    try:
        git.Repo(folder, search_parent_directories=True).close()
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return False
    return True


def found_repository(folder: Path, files: Sequence[str], message: str) -> None:
    """A git repository with these files in its first commit. It needs no identity, and runs no hook."""
    repository = git.Repo.init(folder)
    nobody = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _NOBODY.items()}
    known = repository.config_reader().has_option("user", "email")
    with repository.git.custom_environment(**{} if known else nobody):
        repository.git.add("--", *files)
        repository.git.execute(
            ["git", "-c", f"core.hooksPath={os.devnull}", "-c", "commit.gpgSign=false", "commit", "-q", "-m", message]
        )
    repository.close()


_NOBODY = {"NAME": NOBODY, "EMAIL": ADDRESS}
