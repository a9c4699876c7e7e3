"""What a project asks to have opened is checked and told before anything starts, and so is what its code will miss."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from swarm.errors import UsageError
from swarm.launch.comparability import refuse_other_key
from swarm.launch.doctor import examine
from swarm.launch.plan import Plan, make_plan, passed
from swarm.project.settings import Config
from swarm.snapshot.comparable import opened
from swarm.views.plan import describe

TRAIN = """
import os, pathlib, json
WIDTH = 64
rows = open("data/train.csv").read()
more = pathlib.Path(__file__).parent / "corpus" / "part" / "a.txt"
made = open("model.bin", "w")
kept = json.load(open(os.path.join("held", "config.json")))
print("val_loss: 1")
"""
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a repository with files that git ignores, and with these lines of settings."""
    home = tmp_path / "home"
    root = home / "project"
    files = {
        "train.py": TRAIN, "held/config.json": "{}", ".gitignore": "data\ncorpus\nmodel.bin\n.swarm\nvenv\n",
        "data/train.csv": "1", "corpus/part/a.txt": "a", "model.bin": "", "../datasets/x": "x", "../.ssh/id": "key",
    }  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setenv("HOME", str(home))
    for name in ("TIME_BUDGET", "VIRTUAL_ENV", "CONDA_PREFIX", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def make(*lines: str) -> Path:
        keys = ['command = ["{python}", "train.py"]', 'editable = ["train.py"]', 'metric = "val_loss"', *lines]
        (root / "swarm.toml").write_text("\n".join([*keys, 'direction = "lower"', ""]))
        for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--allow-empty", "-m", "x"]):
            mine = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false"]
            subprocess.run(["git", *mine, *words], cwd=root, check=True)
        return root

    return make


def plan(root: Path) -> Plan:
    return make_plan(root, Config(device="sim", agents=1, researcher="sweep").check())


def shown(plan: Plan) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(describe(plan))
    return " ".join(console.export_text().split())


def test_what_the_code_opens_and_git_ignores_is_told(make: Make) -> None:
    found = plan(make())
    assert found.access.unheld == (
        'train.py names corpus/part/a.txt, which git does not hold: include = ["corpus"]',
        'train.py names data/train.csv, which git does not hold: include = ["data"]',
    )
    assert 'not there train.py names corpus/part/a.txt, which git does not hold: include = ["corpus"]' in shown(found)
    assert plan(make('include = ["data", "corpus"]')).access.unheld == ()


def test_prose_with_a_slash_in_it_is_no_path(make: Make) -> None:
    """As in a prompt or its examples: a name of more than 255 bytes is one that no system looks for."""
    root = make()
    prose = "An invitation to the chamber and/or its members: " + "come and see us, all of you. " * 9
    (root / "train.py").write_text(f"{TRAIN}\nPROMPT = {prose[:299]!r}\nOTHER = {'é' * 200 + '/b'!r}\n")
    make()
    assert len(plan(root).access.unheld) == 2, "what it names beside that"


def test_a_folder_that_git_holds_little_of_is_told_too(make: Make) -> None:
    root = make()
    for name in ("held/cache/big.bin", "src/x.py"):
        (root / name).parent.mkdir()
        (root / name).write_text("")
    (root / ".gitignore").write_text("data\ncorpus\ncache\n")
    (root / "train.py").write_text(
        "import os\nWIDTH = 64\nx = os.listdir('held')\nprint('val_loss: 1', os.path.join(R, 'src'))\n"
    )
    make()
    (line,) = plan(root).access.unheld
    assert line == 'train.py names held, which git does not hold all of: include = ["held"]'


def test_other_languages_are_read_by_their_quotes(make: Make) -> None:
    root = make()
    (root / "bench.js").write_text("const x = require('fs').readFileSync('data/train.csv'); // it's here\n")
    (root / "run.sh").write_text('wc -l "corpus/part/a.txt"\n')
    root = make('fixed = ["bench.js", "run.sh"]', 'include = ["data"]')
    (root / "train.py").write_text("WIDTH = 64\nprint('val_loss: 1')")
    make('fixed = ["bench.js", "run.sh"]')
    assert [line.split(" names")[0] for line in plan(root).access.unheld] == ["bench.js", "run.sh"]


def test_everything_that_is_open_is_loud_in_the_plan(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "hush")
    root = make(
        'include = ["data", "held"]', 'readable = ["~/datasets", "~/.ssh"]', "network = true",
        'pass_env = ["GEMINI_API_KEY", "NOT_THERE"]',
    )  # fmt: skip
    found = plan(root)
    text = shown(found)
    for words in (
        "included data (1 file, 0 MB, to be read only", "held is in the commit already, which every run has",
        "readable ~/datasets, ~/.ssh; KEYS LIE IN ~/.ssh",
        "EDITED CODE CAN READ THESE VARIABLES: GEMINI_API_KEY, NOT_THERE (NOT SET in this shell)",
        "network OPEN: edited code can send what it reads anywhere",
    ):  # fmt: skip
        assert words in text, text
    assert passed(found) == {"GEMINI_API_KEY": "hush"} and "hush" not in text and "hush" not in found.key
    assert opened(found.key) == (
        "the network", "the variables GEMINI_API_KEY, NOT_THERE of your shell", "the folders ~/.ssh, ~/datasets",
    )  # fmt: skip


def test_nothing_of_it_is_shown_or_compared_where_nothing_is_asked(make: Make) -> None:
    found = plan(make())
    assert not {"include", "readable", "pass_env", "network"} & set(json.loads(found.key))
    assert opened(found.key) == () and "OPEN" not in shown(found).replace("NOT closed", "")


def test_results_on_other_data_or_with_a_network_do_not_compare(make: Make) -> None:
    before = json.loads(plan(make('include = ["data"]')).key)
    (make('include = ["data"]') / "data/train.csv").write_text("2")
    with pytest.raises(UsageError, match="another include"):
        refuse_other_key("t", json.loads(plan(make('include = ["data"]')).key), before)
    with pytest.raises(UsageError, match=r"another include \(\w+ then, none now\)"):
        refuse_other_key("t", json.loads(plan(make()).key), before)
    with pytest.raises(UsageError, match="another network"):
        refuse_other_key("t", json.loads(plan(make("network = true")).key), json.loads(plan(make()).key))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('readable = ["~"]', "home folder with all keys"),
        ('readable = ["/"]', "home folder with all keys"),
        ('readable = ["~/nothing"]', "there is no"),
        ('readable = ["."]', "runs work in a copy"),
        ('pass_env = ["KEY=1"]', "write only the name"),
        ('include = ["nothing"]', "there is no such path"),
        ('include = ["~/datasets"]', 'readable = ["~/datasets"]'),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(make: Make, line: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        plan(make(line))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_command_of_an_environment_that_is_not_there_is_refused(make: Make) -> None:
    root = make()
    text = (root / "swarm.toml").read_text().replace("{python}", "{venv}/bin/python")
    (root / "swarm.toml").write_text(text)
    with pytest.raises(UsageError, match=r"\{venv\}.*activate one, or make .venv"):
        plan(root)


def test_the_doctor_says_what_is_open(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make('readable = ["~/datasets"]', "network = true", 'pass_env = ["GEMINI_API_KEY"]')
    lines = {found.name: found.text for found in examine(root)}
    assert lines["readable"] == "edited code can read ~/datasets"
    assert lines["passed"] == "edited code can read the variables GEMINI_API_KEY; not set here: GEMINI_API_KEY"
