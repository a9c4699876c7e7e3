"""What no verb can use, from flags, variables, files of settings, results and ledgers: one line, exit 2, no hang, and
nothing changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm import cli
from swarm.lab.simulation.project import make_project
from swarm.ledger.home import ledger_path
from tests.board.nights import leave_a_kept_step

LAUNCH = ("launch", "--dry-run", "--trial", "off", "--device", "sim")
DIGITS = "9" * 5000
DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project; copied by whoever changes it."""
    root = tmp_path_factory.mktemp("wrong") / "project"
    make_project(root, budget=0.1)
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "project", symlinks=True)


@pytest.fixture
def refuses(capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Runs a verb, which must refuse in one line that holds the message, and must leave every file as it was."""

    def check(root: Path, *words: str, message: str = "") -> None:
        before = contents(root)
        assert cli.main([words[0], "-C", str(root), *words[1:]]) == 2
        printed = capsys.readouterr()
        line = printed.err.removesuffix("\n")
        assert message in line and line.isprintable() and len(line) < 1500, line[:2000]
        assert contents(root) == before, "nothing was changed"

    return check


def contents(root: Path) -> dict[str, bytes]:
    """All that is in a folder, but for git's own and what stands beside a ledger while it is read."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.stat().st_size < 2**30 and ".git" not in path.parts
        and not path.name.endswith(("-shm", "-wal", ".lock"))
    }  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--researcher", "::"), "cannot be loaded"),
        (("--researcher", ":"), "no researcher is called"),
        (("--researcher", "os:system"), "'os:system' is no researcher: it does not take agent, seed and options"),
        (("--researcher", "swarm:__version__"), "it cannot be called"),
        (("--researcher", "builtins:dict"), "is no researcher"),
        (("--researcher", ".x:Y"), "cannot be loaded"),
        (("--researcher", "x" * 10_000), "no researcher is called"),
        (("--researcher", f"sweep:{DIGITS}"), "cannot be loaded"),
        (("--notify", "http://[::1"), "--notify: give a URL"),
        (("--notify", "http://host:99999/"), "--notify: give a URL"),
        (("--notify", "http://a b/"), "--notify: give a URL"),
        (("--notify", "http://\x01/"), "--notify: give a URL"),
        (("--agents", "1000000000"), "a swarm has at most 10000 agents"),
        (("--gpus", "1000000000"), "a swarm has at most 10000 agents"),
        (("--gpus", DIGITS), "a swarm has at most 10000 agents"),
        (("--gpus", "0"), "--gpus '0': it is a number of GPUs"),
        (("--budget", "nan"), "--budget must be a time"),
        (("--budget", "1e308"), "--budget must be a time"),
        (("--budget", "-0"), "--budget -0: it must be above 0"),
        (("--hours", "inf"), "--hours must be a time"),
        (("--hours", f"{DIGITS}s"), "--hours must be a time"),
        (("--hours", "\u0663s"), "--hours must be a time"),
        (("--wait", "-1"), "--wait -1: it must not be below 0"),
        (("--max-usd", "1e308"), "--max-usd 1e+308: it must be above 0, and at most 1e+15"),
        (("--max-experiments", DIGITS), "--max-experiments must be a whole number"),
        (("--policy", "race:keep_z=nan"), "keep_z is a number"),
        (("--policy", f"race:max_runs={DIGITS}"), "max_runs is a number"),
        (("--tag", "\x00"), "--tag"),
    ],
)
def test_flags(flags: tuple[str, ...], message: str, project: Path, refuses: Callable[..., None]) -> None:
    refuses(project, *LAUNCH, *flags, message=message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget = 1e308", "swarm.toml: budget must be a time"),
        ("budget = nan", "swarm.toml: budget must be a time"),
        (f"budget = {DIGITS}", "swarm.toml does not parse"),
        ("sigma = {sim = 1e308}", "must be above 0, and below 1e+60"),
        ("sigma = {sim = nan}", "must be above 0"),
        ('guards = {a = "<= 1e999"}', 'guards.a = "<= 1e999" is no bound'),
        ('pattern = "("', "pattern is no regular expression"),
        ("command = 1", "command must be"),
        (f"a = {DEEP}", "swarm.toml does not parse"),
        ('metric = "\x07"', "swarm.toml does not parse"),
        ('pass_env = ["\\u0000"]', "this is no name of a variable"),
        ('include = ["a\\u0000"]', "there is no such path"),
    ],
)
def test_files_of_settings(text: str, message: str, project: Path, refuses: Callable[..., None]) -> None:
    key = text.partition(" ")[0]
    kept = [line for line in (project / "swarm.toml").read_text().splitlines() if not line.startswith(key)]
    (project / "swarm.toml").write_text("\n".join([text, *kept]))
    refuses(project, *LAUNCH, message=message)


def odd(place: Path, kind: str) -> Path:
    """Something that is no plain file of a sensible size, or holds what nobody can read."""
    place.unlink(missing_ok=True)
    match kind:
        case "a pipe":
            os.mkfifo(place)
        case "a folder":
            place.mkdir()
        case "an endless device":
            place.symlink_to("/dev/zero")
        case "a link to itself":
            place.symlink_to(place)
        case "an enormous file":
            with place.open("wb") as file:
                file.truncate(2**40)
        case "brackets":
            place.write_text(DEEP)
        case "any bytes":
            place.write_bytes(bytes(range(256)) * 40)
    return place


ODD = ("a pipe", "a folder", "an endless device", "a link to itself", "an enormous file", "brackets", "any bytes")


@pytest.mark.parametrize("kind", ODD)
def test_whatever_stands_where_a_file_should(kind: str, project: Path, refuses: Callable[..., None]) -> None:
    named = odd(project.parent / "named.json", kind)
    refuses(project, "import", str(named), message="nothing was imported")
    refuses(project, *LAUNCH, "--researcher", "scripted", "--script", str(named), message="the script")
    odd(project / "swarm.toml", kind)
    refuses(project, *LAUNCH, message="swarm.toml")


@pytest.mark.parametrize("folder", ["/dev/null", "/etc/passwd", "/nope", "\0", "x" * 5000])
@pytest.mark.parametrize("verb", ["status", "launch", "init", "doctor", "stop"])
def test_folders_that_are_none(folder: str, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "-C", folder]) == 2
    line = capsys.readouterr().err.removesuffix("\n")
    assert line.isprintable() and len(line) < 1000 and "Traceback" not in line


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200::97] = bytes(255 - byte for byte in content[200::97])
    path.write_bytes(content)


def changed(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        database = sqlite3.connect(path)
        database.execute(statement)
        database.commit()
        database.close()

    return change


def a_pipe_for_a_lock(path: Path) -> None:
    path.with_suffix(".lock").unlink(missing_ok=True)
    os.mkfifo(path.with_suffix(".lock"))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "nothing in it": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(bytes(range(256)) * 50),
    "half of it": halved,
    "flipped bytes": flipped,
    "a folder": lambda path: odd(path, "a folder"),
    "a pipe": lambda path: odd(path, "a pipe"),
    "another program's": changed("PRAGMA application_id = 5"),
    "from the future": changed("PRAGMA user_version = 99"),
    "results that are none": changed("UPDATE runs SET result = '['"),
    "another type in a result": changed(
        """UPDATE runs SET result = '{"kind":"Run","metrics":{"values":{"a":true}}}'"""
    ),
    "a state that is none": changed("UPDATE runs SET state = 'zz'"),
    "a rung that is none": changed("UPDATE experiments SET rung = 'zz'"),
    "settings that are none": changed("UPDATE swarms SET settings = '['"),
    "a key that is none": changed("UPDATE swarms SET key = '{'"),
    "text for a number": changed("UPDATE runs SET value = 'x'"),
    "a time of no calendar": changed("UPDATE experiments SET judged = 1e300, created = -1e300"),
    "no swarm": changed("DELETE FROM swarms"),
    "no table": changed("DROP TABLE runs"),
}


@pytest.fixture(scope="module")
def night(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a swarm in its ledger."""
    root = shutil.copytree(made, tmp_path_factory.mktemp("damage") / "project", symlinks=True)
    leave_a_kept_step(ledger_path(root), agents=1)
    return root


@pytest.mark.parametrize("damage", DAMAGE)
def test_ledgers_that_are_damaged(damage: str, night: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some of it does not matter to a verb; what does is said in one line."""
    root = shutil.copytree(night, tmp_path / "project", symlinks=True)
    DAMAGE[damage](ledger_path(root))
    refused = 0
    for words in (["status"], ["report"], ["export"], ["show", "champion"], ["tell", "more"], ["stop"], [*LAUNCH]):
        code = cli.main([words[0], "-C", str(root), *words[1:]])
        told = capsys.readouterr().err.splitlines()
        # What `champion` stands for is said before what is wrong with it.
        line = told[-1] if told else ""
        assert code in (0, 1, 2) and "Traceback" not in line
        assert code == 0 or (line.isprintable() and len(line) < 1500), line
        refused += code == 2
    assert refused or damage in ("a key that is none", "a time of no calendar")


def test_a_lock_that_is_a_pipe_is_not_waited_for(night: Path, tmp_path: Path) -> None:
    root = shutil.copytree(night, tmp_path / "project", symlinks=True)
    a_pipe_for_a_lock(ledger_path(root))
    assert cli.main(["status", "-C", str(root)]) in (0, 2)
