"""The trial run: what it shows, what it refuses, and that it is counted once, or leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm import cli
from swarm.board import trials
from swarm.coordinator.founding import enter_ledger
from swarm.errors import SwarmError, UsageError
from swarm.execution.slot import Slot
from swarm.judge.decide import POLICIES
from swarm.launch.plan import Plan, make_plan, with_policy
from swarm.launch.trial import Phases, Repeat, Repeatability, Trial, differing, refusal
from swarm.launch.trial_run import editable_files, make_trial
from swarm.launch.trial_store import first_run, store, stored_trial, with_known_trial
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.ledger.runs import all_runs
from swarm.project.project import Project
from swarm.records import Failure, Metrics, Run
from tests.launch.repositories import FINE, SETTINGS, config, git, repository

LAUNCH = ["launch", "--device", "cpu", "--agents", "1", "--researcher", "sweep", "-C"]
PATIENCE = 500.0  # seconds, on a machine that is slow


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path / "project")


def try_out(root: Path, *flags: str) -> int:
    return cli.main([*LAUNCH, str(root), "--dry-run", "--try", *flags])


def made(root: Path, **settings: object) -> tuple[Plan, Trial]:
    plan = make_plan(root, config(**settings))
    return plan, make_trial(plan, editable_files(plan), lambda number, progress: None)


def planned(root: Path, **settings: object) -> Plan:
    return with_known_trial(make_plan(root, config(**settings)))


def assert_nothing_is_founded(root: Path) -> None:
    assert not ledger_path(root).exists()
    assert git(root, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]
    assert git(root, "status", "--porcelain") == ""


# -- what it shows ----------------------------------------------------------------------------------------------------


def test_it_shows_what_the_untouched_code_gives_and_founds_nothing(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (root / "swarm.toml").write_text(SETTINGS + 'guards = { items = ">= 1" }\n')
    git(root, "commit", "--quiet", "--all", "--message=guard")
    assert try_out(root) == 0
    shown = capsys.readouterr().out
    rows = " ".join(shown.split("trial run of the untouched code")[1].split())
    assert "metric cost 14039.6 (swarm.toml), lower is better (swarm.toml)" in rows
    assert "items 40" in rows and "wall_seconds 0.3" in rows
    assert "guards items 40 (>= 1): holds" in rows
    assert "edits train.py, 6 lines, 1 number for the sweep" in rows
    assert "(as the trial run took)" in rows and "estimate a run of about" in rows
    assert not [line for line in shown.splitlines() if line.endswith(" ")]
    assert_nothing_is_founded(root)


def test_programs_get_its_values(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert try_out(root, "--json") == 0
    trial = json.loads(capsys.readouterr().out)["trial"]
    assert trial["metric"] == pytest.approx(14039.571428571428) and trial["found"]["items"] == 40
    assert trial["seconds"]["whole"] > 0 and trial["seconds"]["referee"] is None
    assert trial["editable"] == [{"path": "train.py", "lines": 6, "knobs": 1}]
    assert trial["repeatability"] == "exact" and len(trial["repeats"]) == 2
    assert Path(trial["log"]).read_text().startswith("width is 17")


def test_time_before_and_after_the_first_heartbeat(tmp_path: Path) -> None:
    beats = """import os, pathlib, time
SPEED = 2.0
time.sleep(0.2)
beat = pathlib.Path(os.environ["SWARM_RUN_DIR"], "heartbeat.jsonl")
beat.write_text('{"step": 1, "loss": 2.5}\\n')
time.sleep(0.4)
print(f"cost: {SPEED}")
"""
    _, trial = made(repository(tmp_path / "project", beats))
    assert trial.phases.start is not None and trial.phases.start >= 0.2
    assert 0.2 <= trial.phases.training <= trial.phases.whole - 0.2


def test_the_sweep_turns_numbers_of_other_languages_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = "print('cost:', len(open('solver.cpp').read()))\n"
    settings = SETTINGS.replace('editable = ["train.py"]', 'editable = ["solver.cpp"]')
    root = repository(tmp_path / "project", run, settings, solver_cpp="const double COOLING_RATE = 0.995;\n")
    assert try_out(root) == 0
    shown = capsys.readouterr().out
    assert "solver.cpp, 1 line, 1 number for the sweep" in shown
    assert "1 number or choice in solver.cpp" in shown


def test_who_only_looks_sees_what_the_code_gives_though_nobody_would_have_an_idea(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "project", "print('cost: 2')\n")
    assert try_out(root) == 2
    told = capsys.readouterr()
    assert "cost 2" in told.out and "nothing to turn in train.py" in told.err
    assert cli.main([*LAUNCH, str(root), "--dry-run"]) == 0
    assert "knobs       none: the sweep finds nothing to turn" in capsys.readouterr().out


def test_the_rule_that_the_trial_speaks_for_is_not_called_a_choice(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert try_out(root) == 0
    assert "exact: one run decides" in " ".join(capsys.readouterr().out.split())
    assert try_out(root, "--policy", "race") == 0
    assert "race, as you chose" in " ".join(capsys.readouterr().out.split())


def test_a_run_that_hangs_after_its_number_is_tried_once_and_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = "import time\nWIDTH = 3\nprint(f'cost: {WIDTH}', flush=True)\ntime.sleep(9999)\n"
    assert try_out(repository(tmp_path / "project", train, SETTINGS + 'timeout = "8s"\n')) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "metric cost 3" in said and "it gave its result and then hung" in said
    assert "run 2" not in said, "each of them would take as long"


# -- what it refuses --------------------------------------------------------------------------------------------------

CHANGES = FINE + 'open("data.csv", "a").write("more")\n'


@pytest.mark.parametrize(
    ("train", "settings", "words"),
    [
        (f"{FINE}print('before the end')\nimport nowhere.to_be_found\n", SETTINGS, ("does not run", "No module named")),
        (FINE.replace("cost", "costs"), SETTINGS, ("no number for cost", "costs", 'metric = "costs"')),
        ("WIDTH = 3\nvalue = WIDTH + 1\n", SETTINGS, ("no number for cost", "names no number at all", "result = ")),
        (
            "WIDTH = 3\nprint(f'cost: {WIDTH},4321')\n",
            SETTINGS,
            ("no number for cost", "decimal comma", "cost: 3,4321"),
        ),
        (FINE.replace("{WIDTH * 5781 / 7}", "{float('nan') * WIDTH}"), SETTINGS, ("gives no number", "mend")),
        (FINE, SETTINGS + 'guards = { items = "<= 39" }', ("breaks a guard", "items is 40", "<= 39", "loosen")),
        (FINE, SETTINGS + 'guards = { item = ">= 1" }', ("guard item", "cannot be read", "items")),
        (FINE, SETTINGS + 'guards = { item = "+5%" }', ("guard item", "cannot be read", "items")),
        (" \n\n", SETTINGS, ("nothing is written there", "editable")),
        ("print('cost: 2')\n", SETTINGS, ("no number", "sweep", "--researcher")),
        (CHANGES, SETTINGS + 'fixed = ["data.csv"]\n', ("changes data.csv", "fixed")),
    ],
    ids=[
        "crash",
        "name",
        "silence",
        "comma",
        "nan",
        "guard",
        "unread",
        "unread-relative",
        "empty",
        "no-number",
        "changes",
    ],
)
def test_what_would_waste_a_night_ends_the_launch(
    train: str, settings: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "project", train, settings, data_csv="a\n")
    assert cli.main([*LAUNCH, str(root)]) == 2  # in earnest, and not as a dry run
    *tail, line = capsys.readouterr().err.splitlines()
    assert line.startswith("swarm: ") and all(word in line for word in words), line
    assert bool(tail) == ("does not run" in words) and (not tail or any("before the end" in told for told in tail))
    assert_nothing_is_founded(root)
    assert not (root / ".swarm" / "_trial" / "trial.json").exists()


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (Failure.TIMEOUT, UsageError, ("does not end in its time", "timeout = ", "--budget")),
        (Failure.STALL, UsageError, ("stands still", "timeout = ")),
        (Failure.OOM, UsageError, ("runs out of memory", "--agents 1")),
        (Failure.INVALID, UsageError, ("breaks the rules",)),
        (Failure.INFRASTRUCTURE, SwarmError, ("not by its code", "launch again")),
        (Failure.INTERRUPTED, SwarmError, ("not by its code",)),
    ],
)
def test_every_other_end_has_its_remedy(failure: Failure, kind: type[SwarmError], words: tuple[str, ...]) -> None:
    run = Run("trial.1", 1, 0.0, 1.0, 1.0, failure=failure, reason="for this reason")
    problem = refusal(trial_of(1.0, run=run, completed=False), Project(("x",), ("y",)))
    assert type(problem) is kind and all(word in str(problem) for word in (*words, "for this reason"))


@pytest.mark.parametrize("failure", list(Failure))
def test_no_failure_is_founded_upon(failure: Failure) -> None:
    run = Run("trial.1", 1, 0.0, 1.0, 1.0, failure=failure, reason="for this reason")
    for completed in (True, False):
        assert refusal(trial_of(1.0, run=run, completed=completed), Project(("x",), ("y",))) is not None


# -- the project's checks ---------------------------------------------------------------------------------------------


def checked(folder: Path, *checks: str) -> Path:
    return repository(folder, settings=f"{SETTINGS}checks = {json.dumps(list(checks))}\n")


def test_checks_that_the_untouched_code_fails_end_the_launch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = checked(tmp_path / "project", "test -f train.py", "echo 1 failed, 4 passed; exit 3")
    assert cli.main([*LAUNCH, str(root)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("swarm: the untouched code fails the project's checks"), line
    assert "exit 3 failed (exit 3): 1 failed, 4 passed" in line and "`checks` in swarm.toml" in line
    assert Path(line.rpartition("the whole log: ")[2]).read_text() == "1 failed, 4 passed\n"
    assert_nothing_is_founded(root)
    assert stored_trial(make_plan(root, config())) is None


def test_checks_run_once_and_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tmp_path / "told"
    root = checked(tmp_path / "project", f"echo x >> {told}; test -f program.md")
    assert try_out(root, "--sandbox", "off") == 0
    rows = "".join(capsys.readouterr().out.split())  # a long path is folded anywhere
    assert f"checksechox>>{told};test-fprogram.md" in rows and "passedin" in rows
    assert told.read_text() == "x\n", "repeats of the run are not checked again"
    assert try_out(root, "--sandbox", "off", "--json") == 0
    assert json.loads(capsys.readouterr().out)["trial"]["checks"] is True


def test_checks_that_were_lost_say_nothing_of_the_code() -> None:
    for failure in (Failure.INTERRUPTED, Failure.INFRASTRUCTURE):
        checks = Run("trial.0", 1, 0.0, 1.0, 0.0, failure=failure, reason="for this reason")
        problem = refusal(trial_of(1.0, checks=checks), Project(("x",), ("y",)))
        assert type(problem) is SwarmError and "launch again" in str(problem) and "for this reason" in str(problem)
    passed = Run("trial.0", 1, 0.0, 1.0, 0.0)
    assert refusal(trial_of(1.0, checks=passed), Project(("x",), ("y",))) is None


def test_no_checks_are_made_of_code_that_gives_no_number(tmp_path: Path) -> None:
    told = tmp_path / "told"
    settings = f'{SETTINGS}checks = ["echo x >> {told}"]\n'
    _, trial = made(repository(tmp_path / "project", FINE.replace("cost", "costs"), settings), sandbox="off")
    assert trial.value is None and trial.checks is None and not told.exists()


# -- what a run gets beyond its commit ---------------------------------------------------------------------------------

READS = f"{FINE}print('cost:', float(open('data/n.txt').read()) + 0 * WIDTH)\n"


def test_it_sees_what_runs_include(tmp_path: Path) -> None:
    root = repository(tmp_path / "project", READS, f'{SETTINGS}include = ["data"]\n', _gitignore="data/\n")
    (root / "data").mkdir()
    (root / "data" / "n.txt").write_text("2.125")
    _, trial = made(root)
    assert trial.value == 2.125, trial.run.reason


def test_a_file_or_pattern_that_gives_no_number_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key, word in (('result = "out.json"', "out.json"), ('pattern = "score=([0-9.]+)"', "matches nothing")):
        root = repository(tmp_path / word.replace(" ", "-"), FINE, f"{SETTINGS}{key}\n")
        assert cli.main([*LAUNCH, str(root)]) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert word in line and "name the file that holds it" not in line, line


# -- whether it repeats ------------------------------------------------------------------------------------------------


def trial_of(value: float, repeats: tuple[Repeat, ...] = (), **more: object) -> Trial:
    run = Run("trial.1", 1, 0.0, 1.0, 1.0, metrics=Metrics(value, False))
    fields: dict[str, object] = {
        "of": "this", "agent": "gpu0", "slot": Slot("cpu", 0), "seed": 1001, "seeded": False, "run": run,
        "completed": True, "changed": (), "found": {}, "phases": Phases(1.0, None, 1.0, None), "guards": (),
        "editable": (), "repeats": repeats,
    }  # fmt: skip
    return Trial(**{**fields, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("train", "files", "expected"),
    [
        (FINE, {}, Repeatability.EXACT),
        (f"import time\n{FINE}print('loss:', time.perf_counter())\n", {}, Repeatability.NOISY),
        (f"import time\n{FINE}print('cost:', time.perf_counter())\n", {}, Repeatability.NOISY),
        (f"import random\nrandom.seed(7)\n{FINE}print('cost:', random.random())\n", {}, Repeatability.SEEDED),
        (f"import helper\n{FINE}print('cost:', helper.HIDDEN)\n", {}, Repeatability.SEEDED),
    ],
    ids=["exact", "noisy-beside", "noisy", "seeded", "seeded-unseen"],
)
def test_a_second_run_tells_whether_numbers_repeat(
    train: str, files: dict[str, str], expected: Repeatability, tmp_path: Path
) -> None:
    helper = "import os\nHIDDEN = float(os.environ['SWARM_' + 'SEED']) / 7\n"  # nobody can see it in the text
    _, trial = made(repository(tmp_path / "project", train, helper_py=helper, **files))
    assert trial.repeatability is expected, trial.repeats


def test_a_number_of_few_digits_must_repeat_more_often() -> None:
    same = tuple(Repeat(seed, 7.0) for seed in range(1001, 1007))
    told = [trial_of(7.0, same[:number]).repeatability for number in range(7)]
    assert told == [Repeatability.UNKNOWN, *[Repeatability.UNSURE] * 5, Repeatability.EXACT]
    assert trial_of(0.94721, same[:0]).next_seed == 1001
    assert trial_of(7.0, same[:5]).next_seed == 1006
    assert trial_of(7.0, same).next_seed is None


@given(
    st.floats(allow_nan=False, allow_infinity=False), st.lists(st.floats(allow_nan=False), max_size=7), st.booleans()
)
def test_exact_is_only_what_never_differed(value: float, values: list[float], seeded: bool) -> None:
    repeats = tuple(Repeat(1001 + number, other) for number, other in enumerate(values))
    trial = trial_of(value, repeats, seeded=seeded)
    if trial.repeatability is Repeatability.EXACT:
        assert not seeded and len(values) >= 2 and set(values) == {value}


def test_what_the_clock_and_the_memory_say_may_differ() -> None:
    one = {"cost": 1.0, "eval_seconds": 1.0, "peak_mb": 3.0, "tokens_per_sec": 4.0, "note": "a", "loss": 0.5, "n": 2}
    other = {"cost": 1.0, "eval_seconds": 2.0, "peak_mb": 5.0, "tokens_per_sec": 9.0, "note": "b", "loss": 0.6}
    assert differing(one, one) == () and differing(one, other) == ("loss", "n")


@pytest.mark.parametrize("chosen", [True, False])
def test_equal_numbers_choose_the_policy_unless_a_person_did(
    chosen: bool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POLICIES, "exact", POLICIES["race"])
    plan = replace(make_plan(root, config()), trial=trial_of(0.94721, (Repeat(1001, 0.94721), Repeat(1002, 0.94721))))
    assert with_policy(plan, chosen).config.policy == ("carry" if chosen else "exact")
    refereed = replace(plan, project=replace(plan.project, referee=("x",)))
    assert with_policy(refereed, False).config.policy == "carry"
    noisy = replace(plan, trial=trial_of(0.94721, (Repeat(1001, 0.9),)))
    assert with_policy(noisy, False).config.policy == "carry"


# -- which launches make it -------------------------------------------------------------------------------------------


def test_the_next_launch_knows_it_until_something_changes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert try_out(root) == 0
    plan = planned(root)
    known = plan.trial
    assert known is not None and known == stored_trial(plan)
    assert cli.main([*LAUNCH, str(root), "--dry-run"]) == 0
    assert "made already" in capsys.readouterr().out
    for change in ({"budget": 2.0}, {"sandbox": "off"}, {"trial": "off"}, {"trial": "always"}, {"device": "sim"}):
        if change != {"sandbox": "off"} or known.run.sandboxed:
            assert planned(root, **change).trial is None, change
    (root / "swarm.toml").write_text(SETTINGS + 'guards = { items = "<= 40" }\n')
    git(root, "commit", "--quiet", "--all", "--message=guards")
    assert planned(root).trial is None
    git(root, "reset", "--quiet", "--hard", "HEAD~1")
    assert planned(root).trial == known
    git(root, "commit", "--quiet", "--allow-empty", "--message=nothing")
    assert planned(root).trial is None


def test_a_damaged_or_foreign_file_is_no_trial(root: Path) -> None:
    assert try_out(root) == 0
    path, plan = root / ".swarm" / "_trial" / "trial.json", make_plan(root, config())
    whole = path.read_text()
    for text in (whole[: len(whole) // 2], "", "[]", '{"of": 3}', whole.replace('"seeded"', '"seed"')):
        path.write_text(text)
        assert stored_trial(plan) is None


def test_one_launch_at_a_time_tries_a_repository_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / ".swarm" / "_trial").mkdir(parents=True)
    with (root / ".swarm" / "_trial" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert try_out(root) == 2
    assert "another launch tries this repository out" in capsys.readouterr().err
    assert try_out(root) == 0


# -- a launch that ends in its trial -----------------------------------------------------------------------------------

SLOW = """import subprocess, sys, time
SPAN = 600
print("it began", SPAN, flush=True)
subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({SPAN})"])
time.sleep(SPAN)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_launch_that_is_ended_in_its_trial_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    root = repository(tmp_path / "project", SLOW)
    log = root / ".swarm" / "_trial" / "gpu0" / "logs" / "trial.1.1.log"
    child = subprocess.Popen(
        [sys.executable, "-m", "swarm", *LAUNCH, str(root)], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: log.exists() and "it began" in log.read_text())
    assert working_in(root)
    child.send_signal(number)
    _, errors = child.communicate(timeout=PATIENCE)
    if number is signal.SIGINT:
        assert child.returncode == 130 and not working_in(root)
        assert "nothing was founded" in errors and errors.count("\n") == 1
    wait_until(lambda: not working_in(root))
    assert_nothing_is_founded(root)
    (root / "train.py").write_text(FINE)
    git(root, "commit", "--quiet", "--all", "--message=faster")
    assert try_out(root) == 0  # whatever files were left are in nobody's way


def working_in(root: Path) -> list[int]:
    """Processes of runs below a repository: they and their guards have that folder in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"{root}/.swarm".encode() in entry.read_bytes() and entry.parent.name != str(os.getpid()):
                found.append(int(entry.parent.name))
    return found


def wait_until(done: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < until
        time.sleep(0.1)


# -- the swarm that counts it -----------------------------------------------------------------------------------------


@pytest.fixture
def tried(root: Path) -> Iterator[Plan]:
    plan, trial = made(root)
    store(plan, trial)
    yield planned(root, tag="apr5")


def runs_of(root: Path, tag: str) -> list[tuple[str, str, int, float, float | None]]:
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        return [(run.id, run.state, run.seed, run.started, run.value) for run in all_runs(ledger, tag)]


def test_the_first_swarm_counts_it_and_the_next_does_not(tried: Plan) -> None:
    assert tried.trial is not None
    enter_ledger(tried, ledger_path(tried.root))
    [run] = runs_of(tried.root, "apr5")
    assert run == ("apr5-gpu0-0000.1", "measured", 1001, tried.trial.run.started, tried.trial.value)
    enter_ledger(replace(tried, tag="apr6"), ledger_path(tried.root))
    assert runs_of(tried.root, "apr6") == [] and len(runs_of(tried.root, "apr5")) == 1


def test_a_launcher_that_dies_while_it_founds_counts_it_later(tried: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken, pytest.raises(OSError):
        broken.setattr(trials, "record", lambda *_: (_ for _ in ()).throw(OSError("the disk is gone")))
        enter_ledger(tried, ledger_path(tried.root))
    with contextlib.closing(Ledger(ledger_path(tried.root))) as ledger:
        assert ledger.value("SELECT count(*) FROM swarms") == 0  # all of it or nothing
    enter_ledger(tried, ledger_path(tried.root))
    assert len(runs_of(tried.root, "apr5")) == 1


def test_it_counts_only_where_and_while_it_says_something(tried: Plan) -> None:
    trial = tried.trial
    assert trial is not None and first_run(tried) is not None
    assert first_run(tried, now=trial.run.started + 2 * 86400) is None
    elsewhere = replace(trial, slot=replace(trial.slot, index=3))
    assert first_run(replace(tried, trial=elsewhere)) is None
    assert first_run(replace(tried, trial=None)) is None


@pytest.mark.long
def test_a_swarm_goes_on_from_its_trial(root: Path) -> None:
    command = [sys.executable, "-m", "swarm", *LAUNCH, str(root), "--tag", "apr5", "--max-experiments", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    known = json.loads((root / ".swarm" / "_trial" / "trial.json").read_text())
    first, *others = runs_of(root, "apr5")
    assert first[:4] == ("apr5-gpu0-0000.1", "measured", 1001, known["run"]["started"])
    assert all(id_ != first[0] for id_, *_ in others)
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        [row] = ledger.rows("SELECT seconds, result FROM runs WHERE id = ?", first[0])
    assert row["seconds"] == known["run"]["seconds"]
    log = json.loads(row["result"])["log"]
    assert log == str(root / ".swarm/apr5/gpu0/logs/apr5-gpu0-0000.1.1.log") and "width is 17" in Path(log).read_text()


# -- a plan that is only looked at ------------------------------------------------------------------------------------

UNPREPARED = """data = ["{python}", "-c", "import sys; sys.exit('no corpus there')"]
prepare = "make data"
"""


def test_a_dry_run_shows_what_is_missing_and_a_launch_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "project", FINE, SETTINGS + UNPREPARED)
    missing = "the data is not prepared: run `make data` first (no corpus there)"
    assert cli.main([*LAUNCH, str(root), "--dry-run"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"missing {missing}" in shown and "data not prepared" in shown and "metric cost" in shown
    assert cli.main([*LAUNCH, str(root), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == [missing]
    for flags in ([], ["--dry-run", "--try"]):
        assert cli.main([*LAUNCH, str(root), *flags]) == 2
        assert capsys.readouterr().err == f"swarm: {missing}\n"
    assert cli.main(["doctor", "-C", str(root)]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "ok runs python train.py, for cost, lower is better" in told and f"no data {missing}" in told
    assert not (root / ".swarm").exists()
