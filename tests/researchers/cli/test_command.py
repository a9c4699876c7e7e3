"""The command researcher with real commands: small programs that edit files, or do not, or do harm."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from swarm.agent.edit_check import fault
from swarm.errors import UsageError
from swarm.project.project import Project
from swarm.records import Briefing, Edit, Failure, Idea, Run
from swarm.researchers.cli import command, process
from swarm.researchers.cli.command import Command
from swarm.researchers.cli.scratch import clear
from swarm.researchers.protocol import Exhausted
from swarm.researchers.registry import create

PATH = "trainer/train.py"
CODE = "lr = 0.1\n"
PROJECT = Project(("true",), (PATH,), ("prepare.py",))
IDEA = {"title": "higher lr", "rationale": "faster", "category": "learning rate", "knobs": {"lr": 0.2}}

# A coding command in miniature: it reads its prompt and does what that says, or else what `edit` says.
CODER = """
import json, os, pathlib, sys
text = pathlib.Path(sys.argv[1]).read_text()
if "# Now: one idea" in text:
    pathlib.Path("IDEA.json").write_text({idea!r})
else:
    train = pathlib.Path("trainer/train.py")
    {edit}
"""

T = TypeVar("T")


@pytest.fixture
def coder(tmp_path: Path) -> Callable[..., Command]:
    """Makes the researcher around a coder whose step of editing is this code."""

    def make(edit: str = "pass", idea: str = json.dumps(IDEA), agent: str = "gpu0", **options: str) -> Command:
        script = tmp_path / "coder.py"
        script.write_text(CODER.format(edit=edit, idea=idea))
        line = f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {{prompt_file}}"
        researcher = create("command", agent, 0, {"command": line, **options})
        assert isinstance(researcher, Command)
        return researcher

    return make


def run(step: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(step)


def test_a_command_has_an_idea_edits_and_mends(
    coder: Callable[..., Command], brief: Callable[..., Briefing], draft: Path
) -> None:
    researcher, briefing = coder('train.write_text(train.read_text().replace("1", "2"))'), brief(text=CODE)
    idea = run(researcher.propose(briefing))
    assert idea == Idea("higher lr", "faster", "learning rate", {"lr": 0.2})
    edit = run(researcher.edit(idea, briefing, draft))
    assert edit == Edit({PATH: b"lr = 0.2\n"})
    assert (draft / PATH).read_text() == CODE
    crashed = Edit({PATH: b"lr = 1.1.\n"})
    failed = Run("r", 1, 0.0, 1.0, 1.0, failure=Failure.CODE, log_tail="SyntaxError: invalid")
    assert run(researcher.repair(idea, crashed, failed, briefing, draft)) == Edit({PATH: b"lr = 2.2.\n"})


def test_it_is_told_everything_and_sees_the_project(
    coder: Callable[..., Command], brief: Callable[..., Briefing], draft: Path
) -> None:
    show = "train.write_text(json.dumps([text, sorted(map(str, pathlib.Path().rglob('*'))), dict(os.environ)]))"
    briefing = brief(text=CODE, program="Get it down.", notes=("smaller batches",), refused=("deeper: tried",))
    edit = run(coder(show).edit(Idea("higher lr", "faster"), briefing, draft))
    told, files, environment = json.loads(edit.files[PATH])
    for part in ("Get it down.", "smaller batches", "deeper: tried", "higher lr", "Edit only trainer/train.py"):
        assert part in told
    assert set(files) == {"PROMPT.md", "prepare.py", "trainer", PATH}  # no instructions meant for others
    assert "PYTHONPATH" not in environment


def test_only_allowed_variables_are_seen(
    coder: Callable[..., Command], brief: Callable[..., Briefing], draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-1")
    monkeypatch.setenv("OPENAI_API_KEY", "canary-2")
    show = 'train.write_text(os.environ.get("ANTHROPIC_API_KEY", "no") + os.environ.get("OPENAI_API_KEY", "no"))'
    for allowed, seen in (("", b"nono"), ("OPENAI_API_KEY", b"nocanary-2")):
        researcher = coder(show, environment=allowed)
        assert run(researcher.edit(Idea("x"), brief(text=CODE), draft)) == Edit({PATH: seen})
    with pytest.raises(Exhausted, match=r"ended with code 1: no \*\*\*$"):
        told = coder('sys.exit("no " + os.environ["OPENAI_API_KEY"])', environment="OPENAI_API_KEY")
        run(told.edit(Idea("x"), brief(text=CODE), draft))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ("pass", "changes nothing"),
        ('pathlib.Path("scribble.txt").write_text("x")', "changes nothing"),
        ('train.write_text("x"); pathlib.Path("prepare.py").write_text("")', "touches prepare.py; only"),
        ('train.write_text("x"); os.remove("prepare.py")', "touches prepare.py; only"),
        ("train.unlink()", "deletes trainer/train.py; editable"),
        ('train.unlink(); train.symlink_to("/etc/hostname")', "deletes trainer/train.py; editable"),
        ('train.write_text("lr = (")', "does not parse"),
    ],
)
def test_an_edit_that_may_not_run_is_named_by_the_gate(
    coder: Callable[..., Command], brief: Callable[..., Briefing], draft: Path, edit: str, reason: str
) -> None:
    briefing = brief(text=CODE)
    made = run(coder(edit).edit(Idea("x"), briefing, draft))
    assert reason in fault(made, briefing.parent, PROJECT)


@pytest.mark.parametrize(
    ("idea", "reason"),
    [
        ("", "no idea in IDEA.json"),
        ("[1]", "object"),
        ('{"title": "x"}', "category must be given"),
        ('{"title": 3, "rationale": "", "category": ""}', "title must be given"),
    ],
)
def test_without_an_idea_it_is_exhausted(
    coder: Callable[..., Command], brief: Callable[..., Briefing], idea: str, reason: str
) -> None:
    with pytest.raises(Exhausted, match=reason):
        run(coder(idea=idea).propose(brief(text=CODE)))


def test_what_a_command_said_that_ended_well_without_an_idea_is_told(
    brief: Callable[..., Briefing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As aider does, for one, when the service refuses it."""
    monkeypatch.setenv("SOME_KEY", "canary")
    line = "sh -c 'touch IDEA.json; echo the key $SOME_KEY is refused' {prompt}"
    researcher = create("command", "gpu0", 0, {"command": line, "environment": "SOME_KEY"})
    with pytest.raises(Exhausted, match=r"no idea in IDEA.json: .*; sh ended with code 0: the key \*\*\* is refused$"):
        run(researcher.propose(brief(text=CODE)))


def test_a_repair_and_a_draft_at_once_do_not_meet(
    coder: Callable[..., Command], brief: Callable[..., Briefing], draft: Path
) -> None:
    researcher, briefing = coder('train.write_text(train.read_text() + "# mine\\n")'), brief(text=CODE)

    async def both() -> tuple[Edit, Edit | None]:
        failed = Run("r", 1, 0.0, 1.0, 1.0, failure=Failure.CODE)
        crashed = Edit({PATH: b"lr = 5\n"})
        drafting = asyncio.create_task(researcher.edit(Idea("a"), briefing, draft))
        mended = await researcher.repair(Idea("b"), crashed, failed, briefing, draft)
        return await drafting, mended

    assert run(both()) == (Edit({PATH: b"lr = 0.1\n# mine\n"}), Edit({PATH: b"lr = 5\n# mine\n"}))


# -- the process -----------------------------------------------------------------------------------------------


def shell(script: str, seconds: float = 200.0) -> process.Ended:
    return run(process.run(["sh", "-c", script], Path("/"), process.environment(), seconds))


def living(mark: str) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


def test_outputs_are_kept_up_to_a_limit_and_stdin_is_closed() -> None:
    ended = shell("echo told >&2; cat; head -c 6000000 /dev/zero; echo end; exit 3")
    assert (ended.code, ended.errors) == (3, "told\n")
    assert len(ended.output) == process.KEPT and ended.output.endswith("end\n")
    assert ended.why() == "ended with code 3: told"


def test_the_deadline_ends_the_whole_tree_even_what_ran_away() -> None:
    mark = f"100{os.getpid()}"
    ended = shell(f"trap '' TERM; (setsid sleep {mark} &) ; sleep {mark}; sleep {mark}", 1.0)
    assert ended.code is None
    assert "did not end within" in ended.why()
    assert living(mark) == []


def test_what_a_command_leaves_behind_is_ended() -> None:
    mark = f"200{os.getpid()}"
    assert shell(f"setsid sleep {mark} >/dev/null 2>&1 & sleep 0.2; exit 0").code == 0
    assert living(mark) == []


def test_a_killed_agent_leaves_no_command_behind(tmp_path: Path) -> None:
    mark = f"300{os.getpid()}"
    program = (
        "import asyncio, pathlib\nfrom swarm.researchers.cli import process\n"
        f"asyncio.run(process.run(['sleep', '{mark}'], pathlib.Path('/'), process.environment(), 600))"
    )
    agent = psutil.Popen([sys.executable, "-c", program])
    wait_until(lambda: bool(living(mark)))
    agent.kill()
    agent.wait()
    wait_until(lambda: not living(mark))


def test_a_cancelled_call_leaves_nothing_behind() -> None:
    mark = f"400{os.getpid()}"

    async def cancelled() -> None:
        call = asyncio.create_task(process.run(["sleep", mark], Path("/"), process.environment(), 600))
        await asyncio.to_thread(wait_until, lambda: bool(living(mark)))
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    run(cancelled())
    assert living(mark) == []


def wait_until(true: Callable[[], bool], seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "needs the command"),
        ("codex exec", "needs the command"),
        ("no-such-program {prompt}", "no program no-such-program"),
        ('sh "{prompt}', "does not parse"),
    ],
)
def test_a_command_that_cannot_work_is_told(command: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        create("command", "gpu0", 0, {"command": command})


def test_what_a_killed_agent_left_behind_goes_with_the_next_one_or_the_night(coder, tmp_path: Path) -> None:
    folder = tmp_path / "gpu0"
    killed = coder(folder=str(folder))
    killed._home._finalizer.detach()  # type: ignore[attr-defined]  # a SIGKILL: nothing is cleared up
    next_one = coder(folder=str(folder))
    assert not Path(killed._home.name).exists() and Path(next_one._home.name).exists()
    clear(folder)
    clear(folder)
    assert not Path(next_one._home.name).exists()
    (folder / "scratch.txt").write_text(str(tmp_path))  # whoever wrote that
    clear(folder)
    assert tmp_path.exists()


def test_many_agents_do_not_start_their_commands_at_once(coder, brief, monkeypatch) -> None:
    monkeypatch.setattr(command, "STAGGER", 0.4)
    began = time.monotonic()
    third = coder(agent="gpu2")
    run(third.propose(brief()))
    assert time.monotonic() - began >= 0.8
    assert coder()._first <= time.monotonic(), "the first agent waits for nobody"


def test_new_files_are_part_of_an_edit_where_they_may_be_made(
    coder: Callable[..., Command], brief: Callable[..., Briefing], draft: Path
) -> None:
    new = 'pathlib.Path("src/deep").mkdir(parents=True); pathlib.Path("src/deep/new.py").write_text("n = 1")'
    noise = 'pathlib.Path("src/.log").write_text("x"); pathlib.Path("scribble.py").write_text("x")'
    researcher = coder(f"{new}; {noise}", editable=f"{PATH}\nsrc", fixed="prepare.py")
    assert run(researcher.edit(Idea("x"), brief(text=CODE), draft)) == Edit({"src/deep/new.py": b"n = 1"})
    assert "and new files that match src/**" in (researcher.scratch.folder / "PROMPT.md").read_text()
