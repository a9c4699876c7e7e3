"""What a run sees of the user's checkout and machine beyond its commit, in both sandboxes and without one."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.errors import MachineFault
from swarm.execution.sandbox import sandbox
from swarm.execution.spec import Spec
from swarm.records import Failure, Purpose, Run


@pytest.fixture(params=["bubblewrap", "landlock", "none"])
def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """How runs are kept from the rest of the machine."""
    if request.param != "none" and (why := sandbox._missing(request.param)):
        pytest.skip(why)
    if request.param == "landlock":
        (tmp_path / "programs").mkdir()
        for program in ("sh", "cat", "ls"):
            if found := shutil.which(program):
                (tmp_path / "programs" / program).symlink_to(found)
        monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    return request.param


@pytest.fixture
def home(way: str, rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a checkout, data and tools in it; the rig runs there."""
    home = tmp_path / "home"
    checkout = home / "project"
    files = {
        "project/data/train.csv": "1,2,3", "project/data/deep/more.csv": "4", "project/mixed/held.txt": "old",
        "project/mixed/new.txt": "new", "project/.env": "SECRET=1", "project/train.py": "", "project/prepare.py": "",
        "datasets/images/1.png": "png", "datasets/other.png": "png", ".cargo/bin/tool": "#!/bin/sh\necho tool\n",
        ".cargo/credentials.toml": "token", ".ssh/id": "key", "project/vault/test.csv": "held",
        "project/vault/a.csv": "a",
    }  # fmt: skip
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    (home / ".cargo/bin/tool").chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "CARGO_HOME", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    rig.checkout, rig.sandboxed = checkout, way != "none"
    return home


LOOK = """
import json, os, sys
def said(act):
    try:
        return act()
    except OSError as error:
        return type(error).__name__
def read(path):
    return said(lambda: open(os.path.expanduser(path)).read())
def write(path):
    return said(lambda: open(os.path.expanduser(path), "a").write("x"))
print(json.dumps({LOOKS}))
print("---\\nval_bpb: 1.5")
"""


def looked(run: Run) -> list[object]:
    assert run.metrics, (run.reason, run.log_tail)
    return json.loads(Path(run.log).read_text().splitlines()[0])


def closed(answer: object) -> bool:
    """Refused, in whatever words, or emptied."""
    return answer in ("PermissionError", "FileNotFoundError", "OSError") or not str(answer).strip("\0")


def test_included_data_is_there_to_be_read_and_stays_as_it_is(rig, home: Path, way: str) -> None:
    rig.project = replace(rig.project, include=("data",))
    looks = '[read("data/train.csv"), read("data/deep/more.csv"), sorted(os.listdir("data")), read("mixed/new.txt")]'
    assert looked(rig.run(LOOK.replace("{LOOKS}", looks))) == ["1,2,3", "4", ["deep", "train.csv"], "FileNotFoundError"]
    run = rig.run(LOOK.replace("{LOOKS}", '[write("data/train.csv"), write("data/new"), write("new")]'), attempt=2)
    if way == "none":
        assert (run.failure, run.metrics) == (Failure.INVALID, None)
        assert run.reason.startswith("data/train.csv was changed, which is included to be read")
        return
    first, second, own = looked(run)
    assert closed(first) and closed(second) and own == 1
    assert (home / "project/data/train.csv").read_text() == "1,2,3"
    assert not (home / "project/data/new").exists()


def test_data_that_somebody_changes_between_two_runs_is_noticed_and_may_be_put_back(rig, home: Path, way: str) -> None:
    rig.project = replace(rig.project, include=("data",))
    runner, read = rig.runner(), LOOK.replace("{LOOKS}", '[read("data/train.csv")]')
    data = home / "project/data/train.csv"
    assert runner.included.key
    assert looked(rig.run_with(runner, read)) == ["1,2,3"]
    data.write_text("easy!")
    run = rig.run_with(runner, read, attempt=2)
    assert run.metrics is None and run.reason.startswith("data/train.csv")
    assert run.failure is (Failure.INVALID if way == "none" else Failure.INFRASTRUCTURE)
    assert way == "none" or "put it back" in run.reason
    data.unlink()
    run = rig.run_with(runner, read, attempt=3)
    assert run.metrics is None
    data.write_text("1,2,3")
    if way != "none":  # without a sandbox the run itself may have done all that
        assert looked(rig.run_with(runner, read, attempt=4)) == ["1,2,3"]


def test_a_link_to_data_that_leads_elsewhere_after_a_run_makes_it_invalid(rig, home: Path) -> None:
    rig.project = replace(rig.project, include=("data",))
    run = rig.run("import os; os.unlink('data'); os.mkdir('data'); print('---\\nval_bpb: 1')")
    assert (run.failure, run.reason) == (Failure.INVALID, "changed fixed files: data")


def test_a_later_run_finds_the_data_that_an_earlier_one_put_its_own_in_place_of(rig, home: Path) -> None:
    rig.project = replace(rig.project, include=("data",))
    rig.run("import os; os.unlink('data'); os.mkdir('data'); open('data/train.csv', 'w').write('easy')")
    assert looked(rig.run(LOOK.replace("{LOOKS}", '[read("data/train.csv")]'), attempt=2)) == ["1,2,3"]


def test_held_out_files_and_keys_in_included_folders_stay_closed(rig, home: Path, way: str) -> None:
    (home / "project/vault/.env").write_text("KEY=1")
    rig.project = replace(rig.project, include=("vault",), held_out=("vault/test.csv",))
    answers = looked(
        rig.run(LOOK.replace("{LOOKS}", '[read("vault/a.csv"), read("vault/test.csv"), read("vault/.env")]'))
    )
    assert answers[0] == "a"
    assert [closed(answer) for answer in answers[1:]] == [way != "none"] * 2
    rig.project = replace(rig.project, include=("vault/.env",), held_out=())
    assert looked(rig.run(LOOK.replace("{LOOKS}", '[read("vault/.env")]'), attempt=2)) == ["KEY=1"], "named itself"


def test_folders_of_tools_are_open_and_their_keys_are_not(rig, home: Path, way: str) -> None:
    looks = (
        '[read("~/.cargo/bin/tool"), *map(read, ("~/.cargo/credentials.toml", "~/.ssh/id", "~/datasets/other.png"))]'
    )
    tool, *others = looked(rig.run(LOOK.replace("{LOOKS}", looks)))
    assert str(tool).startswith("#!/bin/sh")
    assert [closed(answer) for answer in others] == [way != "none"] * 3


def test_readable_opens_a_folder_and_nothing_beside_it(rig, home: Path, way: str) -> None:
    rig.project = replace(rig.project, readable=("~/datasets/images", "~/link"))
    (home / "real").mkdir()
    (home / "real" / "file").write_text("real")
    (home / "link").symlink_to(home / "real")
    png = '"~/datasets/images/1.png"'
    looks = f'[read({png}), read("~/link/file"), write({png}), read("~/datasets/other.png")]'
    there, linked, *others = looked(rig.run(LOOK.replace("{LOOKS}", looks)))
    assert (there, linked) == ("png", "real")
    if way != "none":
        assert all(map(closed, others))
        assert (home / "datasets/images/1.png").read_text() == "png"


def test_a_folder_that_is_open_around_the_swarms_own_does_not_open_that(rig, home: Path, way: str) -> None:
    """The files of other runs lie in the agent's folder, here below what is made readable."""
    if way == "none":
        pytest.skip("everything is open")
    own = home / "lab" / ".swarm" / "t" / "gpu0"
    other = own / "runs" / "other"
    other.mkdir(parents=True)
    (other / "model.pt").write_text("secret")
    (home / "lab" / "notes").write_text("notes")
    rig.folder, rig.guard_folder = own, own / "guards" / rig.guard_folder.name
    rig.project = replace(rig.project, readable=("~/lab",))
    looks = '[read("~/lab/notes"), read("~/lab/.swarm/t/gpu0/runs/other/model.pt")]'
    notes, model = looked(rig.run(LOOK.replace("{LOOKS}", looks)))
    assert notes == "notes" and closed(model)


def test_a_named_variable_passes_even_if_it_is_a_key(rig, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "named")
    monkeypatch.setenv("OTHER_API_KEY", "other")
    rig.allowed = ("GEMINI_API_KEY",)
    looks = '[os.environ.get("GEMINI_API_KEY"), os.environ.get("OTHER_API_KEY")]'
    assert looked(rig.run(LOOK.replace("{LOOKS}", looks))) == ["named", None]


def test_what_a_run_prints_of_a_passed_key_is_not_recorded(rig, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "abcdefgh-secret")
    rig.allowed = ("GEMINI_API_KEY",)
    run = rig.run("import os; print(os.environ['GEMINI_API_KEY'])\nraise ValueError(os.environ['GEMINI_API_KEY'])")
    assert run.reason == "ValueError: [passed variable]" and "secret" not in run.log_tail
    run = rig.run("import os; print('---\\nval_bpb: 1\\nkey:', os.environ['GEMINI_API_KEY'])", attempt=2)
    assert run.metrics and run.metrics.values["key"] == "[passed variable]"
    rig.purpose, rig.project = Purpose.CHECK, replace(rig.project, checks=("echo $GEMINI_API_KEY; exit 1",))
    run = rig.run("", attempt=3)
    assert run.reason.endswith("failed (exit 1): [passed variable]") and "secret" not in run.log_tail
    assert stat.S_IMODE((rig.guard_folder / "guard.json").stat().st_mode) == 0o600


CONNECT = """[said(lambda: socket.create_connection(("127.0.0.1", PORT), 5).recv(2).decode()),
said(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()) if hasattr(socket, "AF_PACKET") else "",
os.environ.get("HF_HUB_OFFLINE")]"""


def test_the_network_is_open_where_the_project_says_so_and_nothing_else_with_it(rig, home: Path, way: str) -> None:
    import socket
    import threading

    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(30)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.sendall(b"hi")
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    looks = LOOK.replace("{LOOKS}", CONNECT.replace("PORT", str(server.getsockname()[1]))).replace(
        "json, os", "json, os, socket"
    )
    rig.project = replace(rig.project, network=True)
    reached, raw, offline = looked(rig.run(looks))
    assert (reached, offline) == ("hi", None)
    if way != "none":
        assert closed(raw)
        rig.project = replace(rig.project, network=False)
        reached, _, offline = looked(rig.run(looks, attempt=2))
        assert reached != "hi" and offline == "1"
        assert not any(map(closed, looked(rig.run(LOOK.replace("{LOOKS}", '["1"]'), attempt=3))))
    server.close()
    thread.join()


def environment(folder: Path) -> Path:
    """A real environment without pip, with a package in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "brought.py").write_text("VALUE = 7\n")
    return packages


@pytest.mark.parametrize(
    "command", ["python train.py", "{python} train.py", "{venv}/bin/python train.py", ".venv/bin/python train.py"]
)
def test_the_repositorys_own_environment_runs_its_code(rig, home: Path, command: str) -> None:
    environment(home / "project" / ".venv")
    rig.project = replace(rig.project, command=tuple(command.split()))
    run = rig.run("import brought, sys\nprint('---\\nval_bpb:', brought.VALUE)")
    assert run.metrics and run.metrics.value == 7, (run.reason, run.log_tail)


def test_a_package_installed_out_of_the_checkout_is_the_runs_own_copy(rig, home: Path) -> None:
    """As `pip install -e .` and `uv sync` do it: every run would measure the code as it is in the checkout."""
    packages = environment(home / "project" / ".venv")
    (packages / "_project.pth").write_text(f"{home}/project/src\n")
    (packages / "__editable___more_finder.py").write_text(f"MAPPING = {{'more': '{home}/project/lib/more'}}\n")
    (home / "project" / "src").mkdir()
    (home / "project" / "src" / "mine.py").write_text("VALUE = 'the checkout'\n")
    rig.extra = {"src/mine.py": "VALUE = 'the copy'\n", "lib/more/__init__.py": "VALUE = 'the copy'\n"}
    (home / "project" / "lib" / "more").mkdir(parents=True)
    run = rig.run("import mine, more\nprint('---\\nval_bpb: 1\\nwhose:', mine.VALUE, more.VALUE)")
    assert run.metrics and run.metrics.values["whose"] == "the copy the copy", (run.reason, run.log_tail)


def test_what_lies_within_an_installed_package_hides_no_module_of_pythons(rig, home: Path) -> None:
    """A finder names folders of data within packages too: what lies around those is nothing to import from."""
    packages = environment(home / "project" / ".venv")
    within = f"'more.inner.data': ['{home}/project/lib/more/inner/data']"
    finder = f"MAPPING = {{'more': '{home}/project/lib/more'}}\nNAMESPACES = {{{within}}}\n"
    (packages / "__editable___more_finder.py").write_text(finder)
    rig.extra = {
        "lib/more/__init__.py": "",
        "lib/more/inner/__init__.py": "",
        "lib/more/inner/secrets.py": "VALUE = 'no module of Python'\n",
        "lib/more/inner/data/text": "",
    }
    (home / "project" / "lib" / "more" / "inner" / "data").mkdir(parents=True)
    run = rig.run("import secrets, more.inner.secrets\nprint('---\\nval_bpb:', secrets.randbits(1))")
    assert run.metrics, (run.reason, run.log_tail)


def test_a_python_path_into_the_checkout_leads_into_the_copy(rig, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "project" / "src").mkdir()
    (home / "project" / "src" / "mine.py").write_text("VALUE = 'the checkout'\n")
    monkeypatch.setenv("PYTHONPATH", f"{home}/project/src:/elsewhere")
    rig.extra = {"src/mine.py": "VALUE = 'the copy'\n"}
    run = rig.run("import mine, os\nprint('---\\nval_bpb: 1\\nwhose:', mine.VALUE, os.environ['PYTHONPATH'])")
    assert run.metrics and run.metrics.values["whose"] == f"the copy {rig.folder}/run/src:/elsewhere"


def test_what_a_command_names_in_the_checkout_is_open(rig, home: Path, way: str) -> None:
    (home / "project" / "tools").mkdir()
    (home / "project" / "tools" / "bench").write_text("#!/bin/sh\necho val_bpb: 3\n")
    (home / "project" / "tools" / "bench").chmod(stat.S_IRWXU)
    rig.project = replace(rig.project, command=("{repo}/tools/bench",))
    run = rig.run("")
    assert run.metrics and run.metrics.value == 3, (run.reason, run.log_tail)


def test_a_host_without_the_repository_says_what_is_missing(rig, home: Path) -> None:
    rig.checkout, rig.project = None, replace(rig.project, include=("data",))
    with pytest.raises(MachineFault, match=r"include = \['data'\]: the repository's folder is not there"):
        rig.runner()


def test_bounds_are_kept_for_whoever_reads_the_outcome(rig, home: Path, way: str) -> None:
    rig.run(LOOK.replace("{LOOKS}", "[]"))
    bounds = Spec.read(rig.guard_folder).bounds
    assert bounds["root"] == str(home / "project")
    assert ("closed" in bounds) == (way != "none")
    assert os.path.realpath(home) in bounds.get("closed", [os.path.realpath(home)])
