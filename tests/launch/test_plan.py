"""Bad input is refused in one line with its remedy, and nothing is changed; good input becomes a plan."""

from __future__ import annotations

import datetime
import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm.board.board import Board
from swarm.errors import UsageError
from swarm.execution.machine import gpu
from swarm.execution.machine.gpu import Gpu
from swarm.history.repository import History
from swarm.lab.simulation.project import make_project
from swarm.launch.plan import Plan, categories, make_plan
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.ledger.swarms import found
from swarm.novelty.code import code_of, fingerprint
from swarm.project.settings import Config
from swarm.records import Idea, Measure, Metrics, Run, Source
from tests.verbs import called

TODAY = datetime.date(2025, 11, 20)
SIM = {"device": "sim", "agents": 2}


def git(root: Path, *arguments: str) -> str:
    mine = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false"]
    return subprocess.run(
        ["git", *mine, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("original") / "project")


@pytest.fixture
def root(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TIME_BUDGET", raising=False)
    root = tmp_path / "project"
    git(tmp_path, "clone", "--quiet", "--no-hardlinks", str(original), str(root))
    return root


def plan(root: Path, **settings: Any) -> Plan:
    return make_plan(root, Config(**{**SIM, **settings}).check(), TODAY)


def tree(root: Path) -> dict[str, str]:
    """Every file and its content, the index of git among them; not what a reader's lock leaves beside the ledger."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def refused(root: Path, *words: str, **settings: Any) -> None:
    before = tree(root)
    with pytest.raises(UsageError) as error:
        plan(root, **settings)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value).strip()
    assert tree(root) == before


def commit(root: Path, **files: str) -> None:
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text)
    git(root, "commit", "--quiet", "--all", "--message=x")


@pytest.fixture
def night(root: Path) -> Callable[..., Ledger]:
    """A swarm that ran on `root`, with one keep that was committed unless told otherwise."""

    def make(tag: str = "apr5", committed: bool = True, **settings: Any) -> Ledger:
        plan_ = plan(root, tag=tag)
        plan_.folder.mkdir(parents=True)
        (plan_.folder.parent / ".gitignore").write_text("*\n")
        ledger = Ledger(ledger_path(root), write=True)
        found(
            ledger, plan_.code.source, categories(plan_), fingerprint(plan_.code.source), 1e6, tag=tag,
            base_commit=plan_.base_commit, from_tag=None, key=plan_.key, device=plan_.device, metric="val_bpb",
            direction="lower", policy="greedy", researcher="sweep", budget=plan_.budget, deadline=None,
            max_experiments=None, max_usd=None, sigma_prior=0.001,
            settings=json.dumps({"device": "sim", "agents": 2, "think": 0.5, "hours": 8.0} | settings),
        )  # fmt: skip
        board = Board(ledger, tag, now=lambda: 1e9)
        fence = board.join("gpu0", request="join")
        for number, value in enumerate((1.0, 1.001, 0.9)):
            if number == 2:
                source = Source({"train.py": plan_.code.source.files["train.py"] + b"better = 1\n"})
                claim = board.claim("gpu0", fence, Idea("better"), 0, request="claim")
                board.enter(claim, code_of(plan_.code.source, source), request="enter")  # type: ignore[arg-type]
            work = board.next_work("gpu0", fence, request=f"work {number}")
            assert isinstance(work, Measure)
            run = Run(work.run, work.attempt, 1e6, 1.0, 1.0, metrics=Metrics(value, True))
            board.record("gpu0", fence, run, request=f"record {number}")
        if committed:
            board.projected(History(root).project(ledger, tag))
        board.end("finished", "done")
        return ledger

    return make


# -- a good plan ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agents", [1, 2, 8])
def test_whoever_names_no_policy_gets_carry_on_any_number_of_gpus(root: Path, agents: int) -> None:
    made = plan(root, agents=agents)
    assert len(made.slots) == agents and made.config.policy == "carry"


def test_a_plan_says_everything_and_changes_nothing(root: Path) -> None:
    before = tree(root)
    made = plan(root, hours=8.0)
    assert (made.tag, made.root, made.budget) == ("nov20", root, 1.0)
    assert made.folder == root / ".swarm" / "nov20"
    assert list(made.slots) == ["gpu0", "gpu1"] and made.device.startswith("sim: ")
    assert made.base_commit == git(root, "rev-parse", "HEAD")
    assert made.code.source.files == {"train.py": (root / "train.py").read_bytes()}
    key = json.loads(made.key)
    assert set(key) == {"device", "threads", "data", "fixed", "budget", "metric", "torch"}
    assert {category for _, category in categories(made).values()} == {"architecture", "learning rate"}
    assert tree(root) == before and not (root / ".swarm").exists()


def test_a_plan_is_made_on_a_detached_head_and_of_the_folder_that_was_named(root: Path) -> None:
    (root / "notes").mkdir()
    git(root, "checkout", "--quiet", "--detach")
    assert plan(root).root == root
    refused(root / "notes", f"is no project of its own, but {root} is", f"-C {root}")


def test_the_tag_is_today_and_its_letters(root: Path) -> None:
    for expected in ("nov20", "nov20b", "nov20c"):
        made = plan(root)
        assert made.tag == expected
        git(root, "branch", f"autoresearch/{expected}")
    git(root, "branch", "autoresearch/nov20d/mine")
    assert plan(root).tag == "nov20e"
    for letter in "efghijklmnopqrstuvwxyz":
        git(root, "branch", f"autoresearch/nov20{letter}")
    refused(root, "nov20z", "--tag")


def test_the_budget_comes_from_the_flag_the_environment_or_the_project(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan(root).budget == 1.0
    monkeypatch.setenv("TIME_BUDGET", "7.5")
    assert plan(root).budget == 7.5
    assert plan(root, budget=3.0).budget == 3.0
    for bad in ("soon", "-1", "0", "inf", "nan"):
        monkeypatch.setenv("TIME_BUDGET", bad)
        refused(root, f"TIME_BUDGET={bad!r}" if bad == "soon" else f"TIME_BUDGET={bad}")


def test_the_key_changes_with_what_makes_results_comparable(root: Path) -> None:
    key = plan(root).key
    assert plan(root, agents=1).key == key
    assert plan(root, budget=2.0).key != key
    commit(root, train_py="RATE = 0.5\nprint(RATE)\n")
    assert plan(root).key == key
    (root / "prepare.py").write_text("y = 1\n")
    git(root, "commit", "--quiet", "--all", "--message=x")
    assert plan(root).key != key


# -- bad input -----------------------------------------------------------------------------------------------------


def test_no_git_repository(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    refused(tmp_path / "plain", "not in a git repository", "git init")


def test_nothing_committed_yet(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "empty")
    (tmp_path / "empty" / "swarm.toml").write_text("command = ['x']\neditable = ['train.py']\nmetric = 'val_bpb'\n")
    refused(tmp_path / "empty", "no commit yet", "git commit")


def test_uncommitted_changes_of_editable_and_fixed_files(root: Path) -> None:
    (root / "program.md").write_text("read live")
    plan(root)
    (root / "train.py").write_text("RATE = 0.5\nprint(RATE)\n")
    (root / "prepare.py").write_text("x = 1\n")
    refused(root, "train.py", "prepare.py", "uncommitted changes", "git stash")
    git(root, "add", "--all")
    refused(root, "uncommitted changes")
    git(root, "commit", "--quiet", "--message=x")
    plan(root)


def test_an_editable_or_fixed_file_that_is_not_there(root: Path) -> None:
    text = (root / "swarm.toml").read_text()
    for name in ("train.py", "prepare.py"):
        (root / "swarm.toml").write_text(text.replace(f'"{name}"', '"missing.py"'))
        refused(root, "missing.py is not in the last commit", "commit it")


def test_a_train_py_that_does_not_parse(root: Path) -> None:
    commit(root, train_py="x = = 1\n")
    refused(root, "train.py, line 1: invalid syntax", "mend and commit it")


def test_a_sweep_that_finds_nothing_to_turn(root: Path) -> None:
    commit(root, train_py="print('nothing to turn: 3')\n")
    refused(root, "the sweep finds nothing to turn in train.py", "--researcher", researcher="sweep")
    made = plan(root, researcher="command", option={"command": "sh {prompt}"})
    assert not made.code.knobs and {category for _, category in categories(made).values()} == {""}


def test_a_mix_has_a_researcher_for_every_agent_and_none_too_many(root: Path) -> None:
    made = plan(root, researcher="sweep:1,command", option={"command": "sh {prompt}"})
    assert made.researchers == {"gpu0": "sweep", "gpu1": "command"}
    refused(root, "for 1 agent", "there are 2", researcher="sweep:1")
    refused(root, "for 8 agents", "there are 2", "numbers", researcher="claude:4,sweep:4")
    refused(root, "no researcher is called 'oracle'", researcher="sweep,oracle:1")
    refused(root, "needs the command", researcher="sweep,command:1")


def test_an_unknown_researcher_and_a_script_that_is_not_there(root: Path) -> None:
    refused(root, "no researcher is called 'oracle'", "sweep", "package.module:Class", researcher="oracle")
    refused(root, "cannot be loaded", researcher="nowhere.at:All")
    refused(root, "script", researcher="scripted")
    refused(root, "missing.json", researcher="scripted", option={"script": "missing.json"})


def test_an_option_that_no_researcher_of_the_launch_takes(root: Path) -> None:
    refused(root, "--option tunrs", "did you mean turns?", researcher="auto", option={"tunrs": "3"})
    refused(root, "--option turns", "there are: none", researcher="sweep", option={"turns": "3"})
    refused(root, "--option turns", "script, think", researcher="sweep,scripted:1", option={"turns": "3"})
    refused(root, "the option think='-1'", researcher="scripted", option={"think": "-1"})
    assert plan(root, researcher="sweep", option={"model": "of another"}).config.option == {"model": "of another"}
    # A class that declares nothing takes whatever there is.
    own = "swarm.lab.bench.sleeping_researcher:SleepingResearcher"
    assert plan(root, researcher=own, option={"mine": "3"}).researchers["gpu0"] == own


def test_more_gpus_than_there_are(root: Path) -> None:
    refused(root, "--gpus 8", "no NVIDIA GPU", device="cuda", gpus="8", agents=None)
    refused(root, "--gpus 0,1", device="cpu", gpus="0,1", agents=None)


@pytest.mark.parametrize("refereed", [True, False])
def test_gpus_that_let_in_one_process_have_no_room_for_a_referee(
    root: Path, monkeypatch: pytest.MonkeyPatch, refereed: bool
) -> None:
    cards = [Gpu(index, f"GPU-{index}", "NVIDIA H200", 141.0, 0.5, exclusive=index == 1) for index in range(2)]
    monkeypatch.setattr(gpu, "gpus", lambda: cards)
    monkeypatch.setattr(gpu, "load", lambda uuid: next(card for card in cards if card.uuid == uuid))
    if refereed:
        with (root / "swarm.toml").open("a") as settings:
            settings.write('referee = ["{python}", "prepare.py"]\n')
    assert plan(root, device="cuda", agents=1).slots["gpu0"].gpu == "GPU-0"
    if refereed:
        refused(root, "gpu 1 lets in one process at a time", "nvidia-smi -i 1 -c DEFAULT", device="cuda")
    else:
        assert list(plan(root, device="cuda").slots) == ["gpu0", "gpu1"]


def test_a_branch_that_is_in_the_way(root: Path) -> None:
    git(root, "branch", "autoresearch")
    refused(root, "a branch named autoresearch", "git branch -m")


def test_a_branch_of_the_swarm_that_somebody_stands_on(root: Path) -> None:
    git(root, "switch", "--quiet", "-c", "autoresearch/nov20b")
    assert plan(root).tag == "nov20"
    refused(root, "autoresearch/nov20b", "exists", tag="nov20b")


def test_a_tag_that_exists_says_what_can_be_done_with_it(root: Path, night: Callable[..., Ledger]) -> None:
    night().close()
    refused(root, "apr5 exists", "swarm resume --tag apr5", "--from apr5", "another tag", tag="apr5")
    git(root, "branch", "autoresearch/apr7")
    refused(root, "autoresearch/apr7 exists", tag="apr7")


def test_a_swarm_that_is_already_running(root: Path, night: Callable[..., Ledger]) -> None:
    ledger = night()
    refused(root, "already running", "swarm watch", "swarm stop", tag="apr6")
    ledger.close()
    plan(root, tag="apr6")


def test_a_ledger_that_cannot_be_read(root: Path) -> None:
    path = ledger_path(root)
    path.parent.mkdir()
    path.touch()  # a launch that was killed at once
    plan(root)
    path.write_text("not a database " * 100)
    refused(root, "not a ledger", "move it away")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["{python}", "-c", "import sys; print('no corpus', file=sys.stderr); sys.exit(2)"], "(no corpus)"),
        (["{python}", "-c", "raise SystemExit(1)"], "run `make data` first"),
        (["{python}", "-c", "print('ready')"], "must print one JSON object, not 'ready"),
        (["{python}", "-c", "print(3)"], "must print one JSON object"),
        (["./no-such-program"], "cannot be run"),
    ],
)
def test_unprepared_data(root: Path, command: list[str], reason: str) -> None:
    text = (root / "swarm.toml").read_text()
    (root / "swarm.toml").write_text(f"{text}\ndata = {json.dumps(command)}\nprepare = 'make data'\n")
    refused(root, reason)


def test_prepared_data_is_part_of_the_key(root: Path) -> None:
    text, keys = (root / "swarm.toml").read_text(), set()
    for corpus in ("stdlib", "climbmix"):
        command = json.dumps(["{python}", "-c", f"import json; print(json.dumps({{'key': {corpus!r}, 'n': 1}}))"])
        (root / "swarm.toml").write_text(f"{text}\ndata = {command}\n")
        made = plan(root)
        assert made.data == {"key": corpus, "n": 1}
        keys.add(made.key)
    assert len(keys) == 2


def test_a_data_command_leaves_no_compiled_files_behind(root: Path) -> None:
    text = (root / "swarm.toml").read_text()
    command = ["{python}", "-c", "import prepare; print('{}')"]
    (root / "swarm.toml").write_text(f"{text}\ndata = {json.dumps(command)}\n")
    before = tree(root)
    plan(root)
    assert tree(root) == before


# -- the second night ----------------------------------------------------------------------------------------------


def test_from_starts_where_the_other_swarm_got_to(root: Path, night: Callable[..., Ledger]) -> None:
    night().close()
    (root / "train.py").write_text("half an edit, which does not matter here\n")
    made = plan(root, tag="apr6", from_tag="apr5")
    assert made.base_commit == git(root, "rev-parse", "autoresearch/apr5")
    assert made.code.source.files["train.py"].endswith(b"better = 1\n")
    refused(root, "--from apr9", "there are: apr5", tag="apr6", from_tag="apr9")


def test_from_a_swarm_whose_commits_are_missing_or_were_pruned(root: Path, night: Callable[..., Ledger]) -> None:
    night(committed=False).close()
    refused(root, "--from apr5", "never committed", "swarm resume --tag apr5", tag="apr6", from_tag="apr5")


def test_from_a_swarm_that_was_pruned_from_git(root: Path, night: Callable[..., Ledger]) -> None:
    night().close()
    History(root).forget("apr5")
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "--quiet", "--prune=now")
    refused(root, "not in this repository any more", tag="apr6", from_tag="apr5")


def test_from_a_swarm_without_a_keep_starts_where_it_did(root: Path, night: Callable[..., Ledger]) -> None:
    ledger = night()
    ledger.execute("DELETE FROM trunk WHERE position > 0")
    ledger.close()
    base = git(root, "rev-parse", "HEAD")
    commit(root, train_py="x = 1\n")
    assert plan(root, tag="apr6", from_tag="apr5").base_commit == base


def test_resume_goes_on_as_it_was_launched(root: Path, night: Callable[..., Ledger]) -> None:
    night(think=2.5).close()
    base = git(root, "rev-parse", "HEAD")
    commit(root, train_py="x = 1\n")
    (root / "train.py").write_text("x = 2\n")
    made = make_plan(root, Config(tag="apr5", resume=True), TODAY)
    assert (made.tag, made.base_commit, made.config.resume) == ("apr5", base, True)
    assert (made.config.device, made.config.agents, made.config.hours) == ("sim", 2, 8.0)
    assert made.config.option == {"think": "2.5"}
    made = make_plan(root, Config(tag="apr5", resume=True, option={"script": "x"}), TODAY)
    assert made.config.option == {"think": "2.5", "script": "x"}
    made = make_plan(root, Config(tag="apr5", resume=True, agents=3, hours=1.0), TODAY)
    assert len(made.slots) == 3 and made.config.hours == 1.0
    refused(root, "no swarm apr9 to resume", "there are: apr5", tag="apr9", resume=True)


def test_resume_knows_the_names_of_earlier_versions(root: Path, night: Callable[..., Ledger]) -> None:
    ledger = night()
    settings = json.loads(ledger.value("SELECT settings FROM swarms"))
    assert "option" not in settings
    settings |= {"command": "sh {prompt}", "command_env": "KEY", "wait": "15m"}
    ledger.execute("UPDATE swarms SET settings = ?", json.dumps(settings))
    ledger.close()
    config = make_plan(root, Config(tag="apr5", resume=True), TODAY).config
    assert (config.option, config.wait) == ({"think": "0.5", "command": "sh {prompt}", "environment": "KEY"}, 900.0)


def test_resume_is_refused_where_results_could_not_be_compared(root: Path, night: Callable[..., Ledger]) -> None:
    ledger = night()
    key = json.loads(ledger.value("SELECT key FROM swarms"))
    ledger.execute("UPDATE swarms SET key = ?", json.dumps(key | {"torch": "1.0", "device": "cuda: NVIDIA H100"}))
    ledger.close()
    refused(root, "NVIDIA H100 then", "torch (1.0 then", "--from apr5", tag="apr5", resume=True)


def test_resume_while_somebody_stands_on_its_branch(root: Path, night: Callable[..., Ledger]) -> None:
    night().close()
    git(root, "switch", "--quiet", "autoresearch/apr5-gpu0")
    refused(root, "autoresearch/apr5-gpu0 is checked out", "git switch", tag="apr5", resume=True)
    assert plan(root, tag="apr6").tag == "apr6"


def test_the_command_line_exits_with_2_and_leaves_no_trace(root: Path) -> None:
    before = tree(root)
    done = called("launch", "-C", str(root), "--device", "sim", "--policy", "hope")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "swarm: --policy 'hope': it is one of carry, race, greedy, exact\n"
    assert tree(root) == before
