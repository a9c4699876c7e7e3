"""Git follows the ledger, whatever happens to it, and nothing of the user's is touched."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.errors import SwarmError, UsageError
from swarm.history.repository import History
from swarm.history.results_writer import write_results
from swarm.records import Failure, Idea, Source
from tests.board.nights import CODE, Night

MakeNight = Callable[..., Night]


def git(root: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a nested, executable train.py, of a user without an identity."""
    root = tmp_path / "project"
    (root / "deep" / "er").mkdir(parents=True)
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    (root / "train.py").write_bytes(CODE)
    (root / "train.py").chmod(0o755)
    (root / "deep" / "er" / "notes ü.txt").write_text("nested\r\n")
    (root / "link").symlink_to("train.py")
    (root / ".gitattributes").write_text("deep export-ignore\n*.txt text eol=crlf export-subst\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "-c", "core.safecrlf=false", "add", "--all")
    person = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    git(root, "commit", "--quiet", "-m", "base", **person)
    return root


@pytest.fixture
def night(make_night: MakeNight, root: Path) -> Night:
    """A kept experiment, a discarded one on it, one that crashed; the other agent has done nothing yet."""
    night = make_night(base_commit=git(root, "rev-parse", "HEAD"))
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    night.draft("gpu0", 1)
    night.run("gpu0", 1.5)
    night.draft("gpu1", 2)
    night.run("gpu1", Failure.NAN)
    return night


def project(root: Path, night: Night) -> dict[str, str]:
    commits = History(root).project(night.ledger, night.tag)
    night.board.projected(commits)
    return commits


def refs(root: Path) -> dict[str, str]:
    lines = git(root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


def trailers(root: Path, commit: str) -> dict[str, str]:
    lines = git(root, "log", "-1", "--format=%(trailers:only)", commit).splitlines()
    return dict(line.split(": ", 1) for line in lines if line)


def test_the_projection_is_what_the_ledger_says(night: Night, root: Path) -> None:
    base = git(root, "rev-parse", "main")
    project(root, night)
    found = refs(root)
    kept, discarded, crashed = (
        found[f"refs/experiments/apr5-{name}"] for name in ("gpu0-0001", "gpu0-0002", "gpu1-0001")
    )
    assert found == {
        "refs/heads/main": base,
        "refs/heads/autoresearch/apr5": kept,
        "refs/heads/autoresearch/apr5-gpu0": kept,
        "refs/heads/autoresearch/apr5-gpu1": kept,
        "refs/experiments/apr5-gpu0-0000": base,
        "refs/experiments/apr5-gpu1-0000": base,
        "refs/experiments/apr5-gpu0-0001": kept,
        "refs/experiments/apr5-gpu0-0002": discarded,
        "refs/experiments/apr5-gpu1-0001": crashed,
    }
    assert git(root, "rev-parse", f"{kept}^") == base
    assert git(root, "rev-parse", f"{discarded}^") == git(root, "rev-parse", f"{crashed}^") == kept
    for experiment, sha in (("apr5-gpu0-0001", kept), ("apr5-gpu0-0002", discarded)):
        source = night.board.source(night.row(experiment)["source"])
        assert git(root, "cat-file", "blob", f"{sha}:train.py").encode() == source.files["train.py"].strip()
        assert git(root, "diff", "--name-only", f"{sha}^", sha) == "train.py"
        assert git(root, "ls-tree", sha, "train.py").startswith("100755 ")
    told = trailers(root, kept)
    assert (told["Experiment"], told["Status"], told["Runs"]) == ("apr5-gpu0-0001", "keep", "3")
    assert told["Metric"] == "val_bpb 0.990000" and told["Gain"].startswith("+0.010000 [")
    assert git(root, "log", "-1", "--format=%s|%an|%cn", kept) == "k0 -> 2|autoresearch swarm|autoresearch swarm"
    assert "Metric" not in trailers(root, crashed) and trailers(root, crashed)["Status"] == "crash"
    assert git(root, "fsck", "--strict", "--no-dangling") == ""


def test_a_second_projection_changes_nothing(night: Night, root: Path) -> None:
    assert len(project(root, night)) == 5
    before = refs(root)
    assert project(root, night) == {}
    assert refs(root) == before


def test_whatever_is_removed_comes_back_with_the_same_sha(night: Night, root: Path) -> None:
    project(root, night)
    before = refs(root)
    for name in ("refs/experiments/apr5-gpu0-0002", "refs/heads/autoresearch/apr5-gpu1"):
        git(root, "update-ref", "-d", name)
    git(root, "update-ref", "refs/heads/autoresearch/apr5", before["refs/heads/main"])
    project(root, night)
    assert refs(root) == before
    for name in before:
        if name != "refs/heads/main":
            git(root, "update-ref", "-d", name)
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "--quiet", "--prune=now")
    assert len(project(root, night)) == 5
    assert refs(root) == before


def test_a_crash_between_git_and_the_ledger_gives_the_same_commits_again(night: Night, root: Path) -> None:
    first = History(root).project(night.ledger, night.tag)
    assert first and not night.ledger.value("SELECT count(*) FROM experiments WHERE commit_sha IS NOT NULL")
    night.draft("gpu0", 3)  # life goes on meanwhile
    night.measure("gpu0")
    assert project(root, night) == first


def test_later_runs_of_a_kept_state_do_not_change_its_commit(night: Night, root: Path) -> None:
    first = project(root, night)["apr5-gpu0-0001"]
    night.swarm(max_experiments=1)
    while (work := night.measure("gpu1")).purpose != "closing" or work.source == night.base.sha:
        night.record("gpu1", work, 1.0)
    night.record("gpu1", work, 0.97)
    night.ledger.execute("UPDATE experiments SET rung = 'champion', commit_sha = NULL WHERE id = 'apr5-gpu0-0001'")
    assert project(root, night)["apr5-gpu0-0001"] == first


def test_the_users_checkout_index_head_and_configuration_are_untouched(night: Night, root: Path) -> None:
    hook = "#!/bin/sh\necho no >&2\nexit 1\n"
    for name in ("pre-commit", "commit-msg", "reference-transaction", "post-index-change", "post-commit"):
        file = root / ".git" / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(hook)
        file.chmod(0o755)
    settings = {"commit.gpgSign": "true", "gpg.program": "/bin/false", "user.useConfigOnly": "true"}
    settings |= {"core.autocrlf": "true", "core.hooksPath": ".git/hooks", "i18n.commitEncoding": "latin1"}
    for name, value in settings.items():
        git(root, "config", name, value)
    (root / "train.py").write_text("half an edit")
    (root / "new.txt").write_text("untracked")
    git(root, "-c", "core.safecrlf=false", "-c", "core.hooksPath=/dev/null", "add", "new.txt")
    os.utime(root / "deep" / "er" / "notes ü.txt")  # an index that could be refreshed
    mine = [root / ".git" / name for name in ("index", "HEAD", "config")]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in mine]
    status = git(root, "--no-optional-locks", "status", "--porcelain")
    project(root, night)
    history = History(root)
    assert history.changed(("train.py", "deep")) == ["train.py"]
    history.base_tree(history.head())
    history.diff("main", "autoresearch/apr5")
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in mine] == before
    assert git(root, "--no-optional-locks", "status", "--porcelain") == status
    assert (root / "train.py").read_text() == "half an edit"
    assert not (root / ".git" / "index.lock").exists()


def test_a_detached_head_and_another_shells_git_variables_are_no_obstacle(
    night: Night, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(root, "checkout", "--quiet", "--detach")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert len(project(root, night)) == 5
    assert History(root).changed(("train.py",)) == []
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name)
    assert "refs/heads/autoresearch/apr5" in refs(root)
    assert refs(other) == {} and git(root, "rev-parse", "HEAD") == git(root, "rev-parse", "main")


def test_a_branch_somebody_stands_on_moves_when_they_have_left_it(night: Night, root: Path, tmp_path: Path) -> None:
    project(root, night)
    git(root, "switch", "--quiet", "autoresearch/apr5")
    git(root, "worktree", "add", "--quiet", str(tmp_path / "look"), "autoresearch/apr5-gpu0")
    before = refs(root)
    night.keep("gpu0", 4, 0.985)
    project(root, night)
    after = refs(root)
    for name in ("refs/heads/autoresearch/apr5", "refs/heads/autoresearch/apr5-gpu0"):
        assert after[name] == before[name]
    assert git(root, "status", "--porcelain") == git(tmp_path / "look", "status", "--porcelain") == ""
    with pytest.raises(UsageError, match="apr5 is checked out"):
        History(root).forget("apr5")
    assert refs(root) == after
    git(root, "switch", "--quiet", "main")
    git(root, "worktree", "remove", str(tmp_path / "look"))
    project(root, night)
    newest = after["refs/experiments/apr5-gpu0-0003"]
    assert refs(root)["refs/heads/autoresearch/apr5"] == refs(root)["refs/heads/autoresearch/apr5-gpu0"] == newest


def test_forgetting_a_swarm_forgets_no_other(night: Night, root: Path) -> None:
    project(root, night)
    base = git(root, "rev-parse", "main")
    others = [
        "refs/heads/autoresearch/apr5b",
        "refs/heads/autoresearch/apr5b-gpu0",
        "refs/heads/autoresearch/apr5-gpu0-mine",
        "refs/heads/autoresearch/apr",
        "refs/heads/apr5-gpu0",
        "refs/experiments/apr5b-gpu0-0001",
        "refs/heads/main",
    ]
    for name in others:
        git(root, "update-ref", name, base)
    assert History(root).forget("apr5") == 8
    assert sorted(refs(root)) == sorted(others)
    assert History(root).forget("apr5") == 0


def test_titles_and_rationales_break_neither_commits_nor_tables(night: Night, root: Path) -> None:
    idea = Idea("tab\there\nand a line\0 end", "Status: keep\n\nExperiment: forged\n\0", "a\nb")
    claim = night.claim("gpu1", idea)
    night.enter(claim, Source({"train.py": CODE + b"z = 1\n"}))
    night.run("gpu1", 1.5)
    commit = project(root, night)[claim.experiment]
    assert git(root, "log", "-1", "--format=%s", commit) == "tab here and a line end"
    assert trailers(root, commit)["Experiment"] == claim.experiment
    assert trailers(root, commit)["Status"] == "discard"
    write_results(night.ledger, "apr5", root / ".swarm" / "apr5")
    lines = (root / ".swarm" / "apr5" / "gpu1" / "results.tsv").read_text().splitlines()
    assert lines[-1].split("\t")[-1] == "tab here and a line end"


def test_results_are_rows_that_upstream_notebooks_read(night: Night, root: Path) -> None:
    folder = root / ".swarm" / "apr5"
    write_results(night.ledger, "apr5", folder)
    header = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
    assert (folder / "gpu0" / "results.tsv").read_text() == header  # no commit yet, no row yet
    commits = {name: sha[:7] for name, sha in project(root, night).items()}
    write_results(night.ledger, "apr5", folder)
    assert (folder / "gpu0" / "results.tsv").read_text() == header + "".join(
        [
            f"{commits['apr5-gpu0-0000']}\t1.000000\t2.0\tkeep\tbaseline (n=2)\n",
            f"{commits['apr5-gpu0-0001']}\t0.990000\t2.0\tkeep\tk0 -> 2 (n=3)\n",
            f"{commits['apr5-gpu0-0002']}\t1.500000\t2.0\tdiscard\tk1 -> 2\n",
        ]
    )
    assert (folder / "gpu1" / "results.tsv").read_text().splitlines()[2:] == [
        f"{commits['apr5-gpu1-0001']}\t0.000000\t0.0\tcrash\tk2 -> 2"
    ]
    stamp = (folder / "gpu1" / "results.tsv").stat().st_mtime_ns
    write_results(night.ledger, "apr5", folder)
    assert (folder / "gpu1" / "results.tsv").stat().st_mtime_ns == stamp


def test_no_row_without_a_number_but_a_crash(night: Night, root: Path) -> None:
    """A discard of 0.000000 would be everybody's best."""
    experiment = night.draft("gpu1", 7)
    night.measure("gpu1")
    night.swarm(deadline=night.clock.now)
    night.next("gpu1")
    project(root, night)
    write_results(night.ledger, "apr5", root / ".swarm")
    assert night.state(experiment) == "abandoned"
    rows = (root / ".swarm" / "gpu1" / "results.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[3] for row in rows if row.split("\t")[1] == "0.000000"] == ["crash"]


def test_the_base_tree_is_exactly_what_was_committed(root: Path) -> None:
    history = History(root / "deep")
    assert history.root == root
    with tarfile.open(fileobj=io.BytesIO(history.base_tree(history.head()))) as archive:
        members = {member.name: member for member in archive}
        assert set(members) == {"train.py", "link", ".gitattributes", "deep/er/notes ü.txt"}
        assert members["link"].issym() and members["link"].linkname == "train.py"
        assert members["train.py"].mode & stat.S_IXUSR and not members[".gitattributes"].mode & stat.S_IXUSR
        content = archive.extractfile("deep/er/notes ü.txt")
        assert content and content.read() == git(root, "cat-file", "blob", "HEAD:deep/er/notes ü.txt").encode() + b"\n"
    assert history.base_tree("main") == history.base_tree(history.head())


def test_what_cannot_be_read_is_told(root: Path, tmp_path: Path) -> None:
    history = History(root)
    assert history.read("main", "train.py") == CODE
    for commit, path, words in (("main", "missing.py", "missing.py is not in"), ("0" * 40, "train.py", "any more")):
        with pytest.raises(UsageError, match=words):
            history.read(commit, path)
    for folder, words in ((tmp_path / "home", "not in a git repository"), (tmp_path / "none", "not in a git")):
        with pytest.raises(UsageError, match=words):
            History(folder)
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    with pytest.raises(UsageError, match="bare"):
        History(tmp_path / "bare.git")
    git(tmp_path, "init", "--quiet", "empty")
    with pytest.raises(UsageError, match="no commit yet"):
        History(tmp_path / "empty").head()
    with pytest.raises(SwarmError, match="git diff-tree failed: fatal: "):
        history.diff("main", "nothing")


@pytest.mark.parametrize("now", [-5.0, -1e12, 0.0, 1e300])
def test_a_clock_that_is_wrong_stops_no_ref(now: float, make_night: MakeNight, root: Path) -> None:
    """A machine without a battery starts in 1970, or before; git takes no such date."""
    night = make_night(agents=1, base_commit=git(root, "rev-parse", "HEAD"))
    night.baselines()
    experiment = night.keep("gpu0", 0, 0.99)
    night.ledger.execute("UPDATE experiments SET judged = ?", now)
    made = project(root, night)
    assert experiment in made and git(root, "show", "-s", "--format=%H", f"refs/experiments/{experiment}")
