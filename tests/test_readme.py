"""README.md and docs/ are true: commands parse, files exist, tables are those of the code, the example works.

python -m pytest tests/test_readme.py
"""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import re
import shlex
import shutil
import subprocess
import tomllib
import types
from pathlib import Path

import pytest

from swarm import cli
from swarm.project.flags import flag
from swarm.project.keys import KEYS, key_table
from swarm.project.project import Project, load_project
from swarm.project.settings import Config, read_config
from swarm.project.writing import toml
from swarm.records import Briefing, Source
from swarm.researchers.protocol import Exhausted
from swarm.researchers.registry import REGISTRY
from swarm.researchers.sweep.knobs import read_knobs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
PAPERS = (
    *("README.md", "AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "program.md", "examples/README.md"),
    *("cluster.yaml", "examples/cluster-onprem.yaml", *(f"docs/{name}" for name in DOCS)),
)
MACHINES = ("ray exec", "ray job")  # their commands run on a cluster: what they run there is parsed


def blocks(language: str, paper: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", paper, re.MULTILINE | re.DOTALL)


def section(title: str, paper: str = README) -> str:
    """The text from a heading to the next one."""
    return re.split(r"^##", paper.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def table(title: str, paper: str = README) -> list[list[str]]:
    """The cells of a section's first table, without its two heading lines."""
    lines = [line for line in section(title, paper).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def commands(paper: str) -> list[str]:
    """The lines of a paper's shell blocks, joined where they go on, without comments."""
    lines = "".join(blocks("sh", paper)).replace("\\\n", "").splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line and not line.startswith("#")]


COMMANDS = commands(README)
OURS = [command for command in COMMANDS if command.startswith("python -m swarm ")]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EVERYWHERE = sorted({*COMMANDS, *(command for paper in DOCS.values() for command in commands(paper))})


def words(command: str) -> list[str]:
    """The arguments of a `python -m swarm` line, without a redirection."""
    return shlex.split(command.partition(" > ")[0])[3:]


def verbs() -> set[str]:
    choices = [action.choices for action in cli.parser()._actions if action.choices]
    return set(choices[0])


# -- commands


@pytest.mark.parametrize("command", EVERYWHERE)
def test_every_command_is_one_that_exists(command):
    if command.startswith(MACHINES):
        _, ran, rest = command.partition(" && ")
        command = rest.rstrip("'") if ran else ""
    match shlex.split(command):
        case []:
            pass
        case ["make", *targets]:
            made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert set(targets) <= set(made)
        case ["python", "-m", "swarm", *_]:
            assert callable(cli.parser().parse_args(words(command)).verb)
        case ["swarm", *arguments]:
            assert PYPROJECT["scripts"]["swarm"] == "swarm.cli:main"
            assert callable(cli.parser().parse_args(arguments).verb)
        case ["pipx", "install", package]:
            assert package == PYPROJECT["name"]
        case ["cd", "my-project"]:
            pass  # the reader's own
        case ["python", "prepare.py", *flags]:
            source = (ROOT / "prepare.py").read_text()
            assert all(f'add_argument("{name}"' in source for name in flags if name.startswith("--"))
        case ["sbatch", *options, script, "--hours", hours, "--researcher", who] if script.endswith(".sbatch"):
            assert all(option.startswith(("--job-name=", "--nodes=")) for option in options)
            assert "swarm launch" in (ROOT / script).read_text()
            cli.parser().parse_args(["launch", "--hours", hours, "--researcher", who])
        case ["npm", "install", "-g", package]:
            assert package in (ROOT / ".ci/run").read_text()
        case ["git", "apply", patch]:
            assert any(line.endswith(f"> {patch}") for line in COMMANDS), "nobody writes this patch"
        case ["source", ".venv/bin/activate"]:
            assert "-m venv .venv" in (ROOT / "Makefile").read_text()
        case _:
            pytest.fail(f"no test knows whether this command is right: {command}")


def test_every_verb_is_shown_and_no_other():
    assert {words(command)[0] for command in OURS} == verbs()


def test_the_commands_of_help_parse():
    shown = re.findall(r"A first swarm:  python -m swarm (.+)", cli.parser().epilog)
    assert shown
    for arguments in shown:
        cli.parser().parse_args(shlex.split(arguments))
    assert verbs() == {verb for group in cli.GROUPS.values() for verb in group}


def test_every_flag_in_the_prose_exists():
    launch = cli.parser()._subparsers._group_actions[0].choices
    flags = {name for parser in launch.values() for action in parser._actions for name in action.option_strings}
    flags |= set(re.findall(r'add_argument\("(--[a-z]+)"', (ROOT / "prepare.py").read_text()))
    flags |= {"--help"}
    for paper in ("README.md", "program.md", *(f"docs/{name}" for name in DOCS)):
        prose = (ROOT / paper).read_text().replace(key_table(), "")  # a project's commands have flags of their own
        for quoted in re.findall(r"`([^`\n]+)`", prose):
            if not quoted.startswith(("ray ", "sbatch ", "#SBATCH ", "docker ", "apptainer ")):
                assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", quoted)) <= flags, quoted


# -- tables


def test_the_project_table_is_the_project():
    assert {*KEYS, "origins", "prefix"} == {field.name for field in dataclasses.fields(Project)}
    assert key_table() in DOCS["any-repository.md"]


@pytest.mark.parametrize("name", KEYS)
def test_the_example_of_a_key_is_one_that_it_takes(name, tmp_path):
    needed = {"command": ["true"], "editable": ["a.py"], "metric": "loss", "direction": "lower"}
    lines = [f"{key} = {toml(value)}" for key, value in needed.items() if key != name]
    (tmp_path / "swarm.toml").write_text("\n".join([*lines, f"{name} = {KEYS[name].example}"]))
    assert getattr(load_project(tmp_path), name)


def test_the_example_project_loads(tmp_path):
    (tmp_path / "swarm.toml").write_text(blocks("toml")[0])
    project = load_project(tmp_path)
    assert (project.editable, project.metric, project.direction) == (("train.py",), "accuracy", "higher")


def test_a_setting_can_be_a_flag_a_variable_or_a_key():
    variable, value = re.findall(r"`(SWARM_\w+)=(\d+)`", section("Settings", DOCS["usage.md"]))[0]
    key = re.findall(r"`(\w+) = (\d+)`", section("Settings", DOCS["usage.md"]))[0]
    typed = re.findall(r"`(--[a-z-]+) (\d+)`", section("Settings", DOCS["usage.md"]))[0]
    assert flag(key[0]) == typed[0] and value == key[1] == typed[1]
    assert key[0] in {field.name for field in dataclasses.fields(Config)}
    from_flag, from_key, from_variable = {key[0]: 1}, {key[0]: 2}, {variable: "3"}
    assert read_config({}, from_key, {})[0].max_experiments == 2
    assert read_config({}, from_key, from_variable)[0].max_experiments == 3
    assert read_config(from_flag, from_key, from_variable)[0].max_experiments == 1


def test_the_dependencies_are_those_of_pyproject_and_used_where_it_says():
    wanted = {re.split(r"[><=]", requirement)[0] for requirement in PYPROJECT["dependencies"]}
    rows = {name: where for name, _, where in table("Dependencies", DOCS["dependencies.md"])}
    assert set(rows) == wanted
    modules = {"ray[default]": "ray", "nvidia-ml-py": "pynvml", "gitpython": "git"}
    for name, where in rows.items():
        module = modules.get(name, name)
        if where == "nothing yet":
            users = [path for path in committed() if module in imports(ROOT / path)]
            assert not users, f"{name} is used by {users}"
        for path in [] if where == "nothing yet" else where.split(", "):
            assert module in imports(ROOT / path), f"{path} does not import {module}"


def test_the_researchers_that_ship_are_named():
    shipped = section("Your own researcher").split("Shipped today:")[1].split(".")[0]
    files = {name: path.split(":")[0].replace(".", "/") + ".py" for name, path in REGISTRY.items()}
    there = {name for name, file in files.items() if file in committed()}
    assert set(re.findall(r"`(\w[\w-]*)`", shipped)) == there


def committed() -> list[str]:
    """The swarm's files as git knows them: what somebody is still writing is no promise yet."""
    git = ["git", "ls-files", "swarm/*.py"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [path for path in listed if (ROOT / path).exists()]


def imports(path: Path) -> set[str]:
    """The top-level names of all modules that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_exit_codes_are_those_of_the_command_line():
    told = [int(code) for code in re.findall(r"`(\d+)` ", section("Exit codes", DOCS["usage.md"]).replace("\n", " "))]
    promised = [int(code) for code in re.findall(r"\b(\d+) (?=[a-z])", str(cli.__doc__).split("Exit codes:")[1])]
    assert told == promised


# -- files


def anchors(paper: str) -> set[str]:
    """What GitHub calls a paper's headings in links."""
    titles = re.findall(r"^#+ (.+)$", paper, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("paper", [paper for paper in PAPERS if paper.endswith(".md")])
def test_links_lead_somewhere(paper):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / paper).read_text()):
        path, _, anchor = target.partition("#")
        there = (ROOT / paper).parent / path if path else ROOT / paper
        assert target.startswith("https://") or there.is_file(), target
        assert target.startswith("https://") or not anchor or anchor in anchors(there.read_text()), target


@pytest.mark.parametrize("name", DOCS)
def test_files_that_a_document_names_exist(name):
    for path in re.findall(r"`((?:swarm|trainer|tests|examples)/[\w./-]+)`", DOCS[name]):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("paper", PAPERS)
def test_no_paper_names_the_machine_it_was_written_on(paper):
    assert not re.findall(r"(?<![\w.~])/(?:work|tmp(?!/ray/)|home|root)/\S*", (ROOT / paper).read_text())


def test_it_stays_short():
    assert len(README.splitlines()) <= 200


def test_it_says_what_was_measured_and_how_it_works_in_five_steps_and_ten_words():
    status = README.split("**Status:**")[1].split("\n\n")[0]
    assert "CPU" in status and "No line of the trainer has run on a GPU" in " ".join(status.split())
    assert len(re.findall(r"^\d\. \*\*", section("How it works"), re.MULTILINE)) == 5
    assert len(table("How it works")) == 10


@pytest.mark.parametrize("paper", ["README.md", "program.md", *(f"docs/{name}" for name in DOCS)])
def test_a_swarm_is_called_a_swarm(paper):
    text = re.sub(r"`[^`\n]+`", "", (ROOT / paper).read_text())
    assert not re.findall(r"\b(?:to)?nights?\b", text, re.IGNORECASE)


# -- the researcher that README shows


def test_the_example_researcher_works_on_the_real_trainer():
    module = types.ModuleType("mine")
    exec(blocks("python")[0], module.__dict__)
    louder = module.Louder(agent="gpu0", seed=0, options={})
    text = (ROOT / "trainer/train.py").read_bytes()
    briefing = Briefing("apr5", "gpu0", Source({"trainer/train.py": text}), 0, "val_bpb", "lower", 300, *[None] * 3, "")

    async def think() -> list[float]:
        factors = []
        while True:
            try:
                idea = await louder.propose(briefing)
            except Exhausted:
                return factors
            edit = await louder.edit(idea, briefing, ROOT)
            before, after = (read_knobs(code.decode(), "cpu") for code in (text, edit.files["trainer/train.py"]))
            changed = [name for name in before if before[name] != after[name]]
            assert changed == list(idea.knobs)
            factors.append(after[changed[0]] / before[changed[0]])

    assert asyncio.run(think()) == pytest.approx([1.5] * 4)


# -- the commands, run


@pytest.fixture(scope="module")
def night(finished_night: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic project with one finished swarm, apr5."""
    return shutil.copytree(finished_night, tmp_path_factory.mktemp("readme") / "project")


def run(root: Path, command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and all output of a README line on the project at `root`."""
    arguments = words(command.replace("gpu0-0007", "gpu0-0001"))
    code = cli.main([arguments[0], "-C", str(root), *arguments[1:]])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_what_is_there_in_the_morning(night):
    git = ["git", "for-each-ref", "--format=%(refname)"]
    refs = subprocess.run(git, cwd=night, capture_output=True, text=True, check=True).stdout.split()
    for _, where in table("What you find in the morning"):
        path = where.replace("gpu0-0007", "gpu0-0001").split("`")[1]
        if path.startswith(".swarm"):
            assert (night / path).exists(), path
        else:
            assert any(ref.endswith(path) for ref in refs), path
    columns = (night / ".swarm/apr5/gpu0/results.tsv").read_text().split("\n")[0].split("\t")
    assert f"`{' '.join(columns)}`" in section("What you find in the morning")


def test_the_picture_of_readme_can_be_drawn_by_anybody(night, tmp_path, capsys):
    code, text = run(night, f"python -m swarm watch --svg {tmp_path / 'board.svg'}", capsys)
    assert code == 0 and str(tmp_path / "board.svg") in text
    assert "<svg" in (tmp_path / "board.svg").read_text() and "gpu0" in (tmp_path / "board.svg").read_text()


def test_a_dry_run_touches_nothing(night, capsys):
    before = subprocess.run(["git", "for-each-ref"], cwd=night, capture_output=True, check=True).stdout
    code, text = run(night, "python -m swarm launch --dry-run --device sim --agents 2 --tag apr7", capsys)
    assert code == 0 and "2 on sim" in text
    assert not (night / ".swarm/apr7").exists()
    assert subprocess.run(["git", "for-each-ref"], cwd=night, capture_output=True, check=True).stdout == before


def test_readmes_commands_run_on_a_finished_night(night, capsys):
    """The last test: the last command prunes the night."""
    lines = [c for c in OURS if words(c)[0] in ("status", "show", "tell", "report", "watch", "doctor", "stop", "prune")]
    told = {command: run(night, command, capsys) for command in lines if " -f" not in command}
    assert told.pop("python -m swarm doctor")[0] in (0, 1)
    code, text = told.pop("python -m swarm stop")
    assert code == 2 and "not running" in text
    code, text = told.pop('python -m swarm tell "try smaller batches"')
    assert code == 2 and "is over" in text
    assert {command: code for command, (code, _) in told.items() if code} == {}
    assert "apr5-gpu0-0001" in told["python -m swarm show gpu0-0007"][1]
    assert "apr5" in told["python -m swarm status"][1]
    assert not (night / ".swarm/apr5").exists()
