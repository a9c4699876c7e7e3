"""The sandbox, in both ways, tried from inside by programs that want out. Skipped where one does not work.

python -m pytest tests/execution/sandbox/test_sandbox.py
"""

from __future__ import annotations

import ast
import ctypes
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.execution.machine import gpu
from swarm.execution.sandbox import gpu_nodes, landlock, sandbox
from swarm.execution.spec import Spec
from swarm.records import Failure

LOOK = """
import json, os, pathlib, socket
run = pathlib.Path(os.environ["SWARM_RUN_DIR"])
cache = pathlib.Path(os.environ["AUTORESEARCH_CACHE"])
def can(act):
    try:
        act()
        return True
    except OSError:
        return False
def names(folder):
    return sorted(path.name for path in folder.iterdir()) if can(lambda: os.listdir(folder)) else []
val = cache / "corpora" / "x" / "val.bin"
found = {
    "network": can(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))),
    "home": [name for name in names(pathlib.Path.home()) if name[:4] not in (".cac", ".pye")],
    "key": can((pathlib.Path.home() / ".ssh" / "key").read_text),
    "etc": can((pathlib.Path("/etc") / "written").touch),
    "root": can(pathlib.Path("written").touch),
    "run": can((run / "written").touch),
    "others": [path for path in names(run.parent) if path != run.name],
    "other": can((run.parent / "other" / "model.pt").read_bytes),
    "forged": can((run.parent / "other" / "forged").touch),
    "shortened": can(lambda: os.truncate(val, 1)),
    "train": (cache / "corpora" / "x" / "train.bin").read_bytes().decode(),
    "val": can(val.read_bytes) and any(val.read_bytes()),
    "size": val.stat().st_size,
    "download": can((cache / "downloads" / "raw.parquet").read_bytes),
    "guard": can(lambda: os.kill(int(os.environ["GUARD_TEST"]), 0)),
    "secrets": can(pathlib.Path("/proc", os.environ["GUARD_TEST"], "environ").read_bytes),
    "powers": pathlib.Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0].strip("0"),
    "temporary": can(lambda: __import__("tempfile").TemporaryFile().close()),
}
print(json.dumps(found))
print("---\\nval_bpb: 1.5")
"""


@pytest.fixture(params=["bubblewrap", "landlock"])
def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the sandbox is built: where bubblewrap is not found, by Landlock."""
    if why := sandbox._missing(request.param):
        pytest.skip(why)
    if request.param == "landlock":
        monkeypatch.setenv("PATH", str(tmp_path))
    assert sandbox.name() == request.param
    return request.param


@pytest.fixture
def caged(way: str, rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A rig whose runs are sandboxed, with data of which some is held out, and with another run beside."""
    cache, home = tmp_path / "cache", tmp_path / "home"
    for folder in (cache / "corpora" / "x", cache / "downloads", home / ".ssh", rig.folder / "runs" / "other"):
        folder.mkdir(parents=True)
    (cache / "corpora" / "x" / "train.bin").write_text("public")
    (cache / "corpora" / "x" / "val.bin").write_text("secret")
    (cache / "downloads" / "raw.parquet").touch()
    (home / ".ssh" / "key").write_text("secret")
    (rig.folder / "runs" / "other" / "model.pt").touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(cache))
    rig.project = replace(rig.project, held_out=("corpora/*/val.*", "downloads"))
    monkeypatch.setenv("GUARD_TEST", str(os.getpid()))
    rig.allowed = ("GUARD_TEST",)
    rig.sandboxed = True
    return rig


def test_a_training_sees_its_own_and_no_more(caged) -> None:
    run = caged.run(LOOK)
    assert run.metrics and run.sandboxed, run.log_tail
    assert json.loads(Path(run.log).read_text().splitlines()[0]) == {
        "network": False, "home": [], "key": False, "etc": False, "root": True, "run": True, "others": [],
        "other": False, "forged": False, "shortened": False, "train": "public", "val": False, "size": len("secret"),
        "download": False, "guard": False, "secrets": False, "powers": "", "temporary": True,
    }  # fmt: skip


def test_what_kills_a_training_is_known_through_the_sandbox(caged) -> None:
    run = caged.run("import os; os.kill(os.getpid(), 9)")
    assert (run.failure, run.reason) == (Failure.INFRASTRUCTURE, "killed (SIGKILL), nobody knows by whom")
    assert run.own_word
    run = caged.run("raise ValueError('no')", attempt=2)
    assert (run.failure, run.reason) == (Failure.CODE, "ValueError: no")


def test_nothing_outlives_a_sandboxed_training(caged, stubborn) -> None:
    caged.limits = replace(caged.limits, wall=3.0)
    run = caged.run(stubborn.replace("/../../pids", "/pids"))
    assert run.failure == Failure.TIMEOUT
    assert not list(sandbox_processes(str(caged.folder)))


def sandbox_processes(folder: str):
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"SWARM_RUN_DIR={folder}".encode() in entry.read_bytes():
                yield entry
        except OSError:
            continue


def test_the_referees_cage_has_nothing_to_write_to(caged) -> None:
    caged.slot = replace(caged.slot, device="cpu")
    caged.referee = """
    import json, os, pathlib, subprocess, sys
    folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
    script = "import sys, tempfile\\nfor path in sys.argv[1:]:\\n try: tempfile.TemporaryFile(dir=path)\\n"
    script += " except OSError: print('no')"
    cage = json.loads(os.environ["REFEREE_CAGE"])
    places = [os.getcwd(), str(folder), "/etc", "/dev/shm", "/tmp", "/var/tmp", str(pathlib.Path.home()), "/dev"]
    inside = subprocess.run([*cage, sys.executable, "-c", script, *places], capture_output=True, text=True)
    (folder / "referee.json").write_text(json.dumps({"val_bpb": 1.5, "inside": inside.stdout + inside.stderr}))
    """
    run = caged.run("import os; open(os.environ['SWARM_RUN_DIR'] + '/model.pt', 'w')")
    assert run.metrics and run.metrics.values["inside"] == "no\n" * 8


def test_a_sandbox_that_lets_something_through_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The trial is made from inside: here with a bwrap that only passes the program on."""
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(landlock, "version", lambda: 0)
    sandbox._trial.cache_clear()
    try:
        assert "held-out tokens" in sandbox.missing()
        assert not sandbox.wanted("auto")
        with pytest.raises(UsageError, match=r"--sandbox require: .*--sandbox off"):
            sandbox.wanted("require")
    finally:
        sandbox._trial.cache_clear()


def test_without_any_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(landlock, "version", lambda: landlock.NEEDED - 1)
    assert sandbox.missing()
    assert not sandbox.wanted("auto") and not sandbox.wanted("off")


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_PACKET", "AF_VSOCK"])
def test_without_bubblewrap_only_sockets_within_the_machine_can_be_made(family: str, tmp_path: Path) -> None:
    if why := sandbox._missing("landlock"):
        pytest.skip(why)
    box = sandbox.Sandbox((), (), tmp_path, "landlock")
    script = "import socket, sys; socket.socketpair(); socket.socket(getattr(socket, sys.argv[1]), socket.SOCK_DGRAM)"
    done = subprocess.run(box.command([sys.executable, "-c", script, family], ()), capture_output=True, text=True)
    assert "PermissionError" in done.stderr


@pytest.mark.parametrize("network", [False, True])
def test_by_netlink_the_kernel_alone_is_asked(network: bool, tmp_path: Path) -> None:
    """For the addresses of this machine. By its other protocols two programs can talk, in whatever sandboxes."""
    if why := sandbox._missing("landlock"):
        pytest.skip(why)
    box = sandbox.Sandbox((), (), tmp_path, "landlock", network)
    script = "import socket, sys; socket.if_nameindex(); socket.socket(16, socket.SOCK_RAW, int(sys.argv[1]))"
    for protocol in range(23):
        command = box.command([sys.executable, "-c", script, str(protocol)], ())
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode == 0) is (protocol == 0), (protocol, done.stderr)
        assert protocol == 0 or "PermissionError" in done.stderr


TEMPORARY = """
import os, socket, tempfile
with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
    server.bind(os.path.join(folder, "listener-12345678"))
leftover = os.path.join(tempfile.gettempdir(), "leftover")
open(leftover, "w").close()
print(os.path.realpath(leftover), tempfile.gettempdir())
"""


def test_temporary_sockets_find_a_short_path_however_deep_the_workspace_lies(way: str, tmp_path: Path) -> None:
    """PyTorch's workers put theirs there, and a path to one has at most 107 bytes."""
    workspace = tmp_path / ("deep" * 30) / "workspace"
    workspace.mkdir(parents=True)
    box = sandbox.Sandbox((), (), tmp_path)
    done = subprocess.run(box.command([sys.executable, "-c", TEMPORARY], (workspace,)), capture_output=True, text=True)
    assert not done.returncode, done.stderr
    if way == "landlock":
        file, link = done.stdout.split()
        assert Path(file).is_relative_to(workspace)  # counted as what it writes
        shutil.rmtree(workspace)
        landlock._temporary(str(tmp_path))
        assert not Path(link).is_symlink(), "a link to what is gone is removed by the next"


COMMON = """
import os, pathlib, sys
pathlib.Path("/tmp/smoke.out").write_text("written")
print(pathlib.Path(sys.argv[1]).exists(), sorted(os.listdir("/tmp")))
"""


def test_a_run_writes_to_tmp_by_name_and_finds_it_empty(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As scripts do: `> /tmp/smoke.out`."""
    if way == "landlock" and not landlock.mounts():
        pytest.skip("this kernel lets no user have mounts")
    if Path(sys.prefix).is_relative_to("/tmp"):
        pytest.skip("this Python lies in /tmp, and runs need it")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as workspace:
        monkeypatch.setenv("HOME", workspace)  # what is opened of it does not lie in /tmp
        for name in [name for name, value in os.environ.items() if value.startswith("/tmp")]:
            monkeypatch.delenv(name)
        argv = [sys.executable, "-c", COMMON, str(tmp_path)]
        box = sandbox.Sandbox((), (), Path(workspace, "blanks"))
        done = subprocess.run(box.command(argv, (Path(workspace),)), capture_output=True, text=True, cwd=workspace)
        assert done.stdout == "False ['smoke.out']\n", done.stderr
        if way == "landlock":  # counted as what it writes, and gone with its copy
            assert Path(workspace, ".tmp", "smoke.out").read_text() == "written"
    assert not Path("/tmp/smoke.out").exists()


TOKEN = """
import os, pathlib
folder = pathlib.Path.home() / ".cache" / "huggingface"
names = {"HF_TOKEN_PATH": "token", "HF_STORED_TOKENS_PATH": "stored_tokens"}
print([pathlib.Path(os.environ.get(variable, folder / name)).read_text() for variable, name in names.items()])
"""


def test_hugging_face_finds_no_token_and_no_error(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library reads these files so, and minds only a file that is not there."""
    folder = tmp_path / "home" / ".cache" / "huggingface"
    folder.mkdir(parents=True)
    for name in ("token", "stored_tokens"):
        (folder / name).write_text("hf_secret")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    command = sandbox.Sandbox((), (), tmp_path / "blanks").command([sys.executable, "-c", TOKEN], ())
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "['', '']\n", done.stderr


@pytest.mark.skipif(not shutil.which("setpriv") or os.geteuid(), reason="needs root's powers, and setpriv")
def test_root_loses_its_powers_where_it_may_not_limit_them(tmp_path: Path) -> None:
    """Containers that drop CAP_SETPCAP are such a place: what root's programs start with cannot be cut down there."""
    if why := sandbox._missing("landlock"):
        pytest.skip(why)
    look = ["grep", "-E", "Cap(Inh|Prm|Eff|Amb)", "/proc/self/status"]
    command = sandbox.Sandbox((), (), tmp_path, "landlock").command(look, ())
    done = subprocess.run(["setpriv", "--bounding-set=-setpcap", *command], capture_output=True, text=True, check=True)
    assert [line.split()[1].strip("0") for line in done.stdout.splitlines()] == [""] * 4


SHARED = """
import ctypes, sys
system = ctypes.CDLL(None, use_errno=True)
system.shmat.restype = ctypes.c_void_p
for made in (system.shmat(int(sys.argv[1]), None, 0o10000), system.shmget(0, 4096, 0o1600), system.msgget(0, 0o1600),
             system.semget(0, 1, 0o1600), system.mq_open(b"/swarm-test", 0o102, 0o600, None)):
    print(-1 if made in (None, ctypes.c_void_p(-1).value) else made)
"""


def test_memory_that_others_share_by_a_number_cannot_be_read(way: str, tmp_path: Path) -> None:
    system = ctypes.CDLL(None, use_errno=True)
    memory = system.shmget(0, 4096, 0o1600)
    try:
        command = sandbox.Sandbox((), (), tmp_path).command([sys.executable, "-c", SHARED, str(memory)], ())
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        system.shmctl(memory, 0, None)
    seen = [int(line) for line in done.stdout.splitlines()]
    assert seen[0] == -1
    if way == "landlock":  # bubblewrap has a world of its own for them
        assert seen == [-1] * 5


def test_a_dead_mount_closes_only_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the other end of a FUSE mount is gone, no question about its root is answered."""
    if why := sandbox._missing("landlock"):
        pytest.skip(why)
    for name in ("beside", "dead", "way/secret", "way/open"):
        (tmp_path / name).mkdir(parents=True)
    dead, fstat, scandir, opened = (tmp_path / "dead").stat(), os.fstat, os.scandir, []
    gone = OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    def asked(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        if os.path.samestat(found, dead):
            raise gone
        opened.append(found.st_ino)
        return found

    def listed(path: str):
        if path.endswith("dead"):
            raise gone
        return scandir(path)

    monkeypatch.setattr(os, "fstat", asked)
    monkeypatch.setattr(os, "scandir", listed)
    monkeypatch.setattr(landlock, "_done", lambda result: result)
    hidden = {str(tmp_path / name) for name in ("way/secret", "dead/secret")}
    landlock._open(-1, str(tmp_path), hidden, landlock._above(hidden), listed=False)
    landlock._allow(-1, str(tmp_path / "dead"), landlock.READ)
    assert set(opened) == {(tmp_path / name).stat().st_ino for name in ("beside", "way/open")}


DRIVER = """
#include <stdio.h>
int cuInit(unsigned flags) { FILE *made = fopen("%s", "a"); return made ? fputs("made ", made) < 0 : 1; }
"""


@pytest.mark.skipif(
    not shutil.which("cc", path=os.defpath), reason="needs a C compiler, for a driver that makes its device"
)
def test_a_device_that_cuda_makes_at_its_first_use_is_there_inside(caged, monkeypatch, tmp_path: Path) -> None:
    """Nobody can make it inside: its driver is asked before the way in is built, once per process."""
    devices, driver = tmp_path / "dev", tmp_path / "driver.c"
    devices.mkdir()
    driver.write_text(DRIVER % (devices / "nvidia-uvm"))
    words = ["cc", "-shared", "-fPIC", "-o", str(tmp_path / "libcuda.so.1"), str(driver)]
    subprocess.run(words, check=True, env={"PATH": os.defpath})
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setattr(gpu, "_DEVICES", devices)
    monkeypatch.setattr(gpu, "load", lambda which: None)
    monkeypatch.setattr(gpu_nodes, "DEVICES", devices)
    gpu._use_cuda.cache_clear()
    caged.slot = replace(caged.slot, device="cuda")
    try:
        assert caged.run("print('---\\nval_bpb: 1')").metrics
        assert str(devices / "nvidia-uvm") in " ".join(Spec.read(caged.guard_folder).steps[0].argv)
        assert (devices / "nvidia-uvm").read_text() == "made "
        (devices / "nvidia-uvm").unlink()
        gpu.prepare_devices()
        assert not (devices / "nvidia-uvm").exists(), "asked once"
    finally:
        gpu._use_cuda.cache_clear()


def test_what_is_not_protected_is_said(way: str) -> None:
    closed, _, open_ = sandbox.protection().partition("NOT closed")
    assert bool(open_) == (way == "landlock")
    assert ("no TCP even to itself" in closed) == (way == "landlock")
    assert ("/dev/shm" in open_ and "modes" in open_) == (way == "landlock" and not landlock.mounts())


REACHES = """
import ctypes, os, resource, sys
number, call = int(sys.argv[1]), ctypes.CDLL(None, use_errno=True).syscall
numbers = {"x86_64": (248, 250, 188), "aarch64": (217, 219, 5)}[os.uname().machine]
def can(act):
    try:
        return act() is not False
    except OSError:
        return False
print({
    "limits of others": can(lambda: resource.prlimit(number, resource.RLIMIT_NOFILE, (3, 3))),
    "priority of others": can(lambda: os.setpriority(os.PRIO_PROCESS, number, 10)),
    "priority of all": can(lambda: os.setpriority(os.PRIO_USER, 0, 1)),
    "scheduling of others": can(lambda: os.sched_setscheduler(number, os.SCHED_IDLE, os.sched_param(0))),
    "own priority": can(lambda: (os.nice(1), os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)))),
    "own limits": can(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))),
    "keys": max(call(numbers[0], b"user", b"swarm-test", b"kept", 4, -4), call(numbers[1], 0, -4, 1)) >= 0,
    "attributes": can(lambda: os.setxattr(sys.argv[2], "user.kept", b"1")),
})
"""


def test_what_outlives_a_run_and_limits_of_others_are_closed_without_bubblewrap(tmp_path: Path) -> None:
    """Limits set from outside end any process of the same user, the head too; keys and attributes carry state on."""
    if why := sandbox._missing("landlock"):
        pytest.skip(why)
    (tmp_path / "mine").touch()
    box = sandbox.Sandbox((), (), tmp_path / "blanks", "landlock")
    argv = box.command([sys.executable, "-S", "-c", REACHES], (tmp_path,))
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            tried = [*argv, str(other.pid), str(tmp_path / "mine")]
            done = subprocess.run(tried, capture_output=True, text=True, check=True)
            limits = Path(f"/proc/{other.pid}/limits").read_text()
        finally:
            other.kill()
    assert ast.literal_eval(done.stdout) == {
        "limits of others": False, "own limits": True, "keys": False, "attributes": False,
        "priority of others": False, "priority of all": False, "scheduling of others": False, "own priority": True,
    }  # fmt: skip
    assert re.search(r"Max open files +3 ", limits) is None


CLOSES = """
import ctypes, os, pathlib, sys
place, own, libc = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), ctypes.CDLL(None, use_errno=True)
data = place / "data"
os.chmod(place, 0)
os.chmod(data, 0o077)
libc.syscall(452, -100, bytes(data), 0o400, 0)  # fchmodat2
file = os.open(data, os.O_RDONLY)
os.fchmod(file, 0)
program = own / "program"
program.write_text("#!/bin/sh\\necho runs\\n")
program.chmod(0o755)
print(os.stat(program).st_mode & 0o777 == 0o755 and os.popen(str(program)).read())
"""


def test_no_mode_closes_a_file_to_its_owner_where_there_are_no_mounts(tmp_path: Path) -> None:
    """Inside a sandbox of this kind nobody makes mounts: there the inner one has none of its own."""
    if why := sandbox._missing("landlock"):
        pytest.skip(why)
    place, work = tmp_path / "place", tmp_path / "work"
    for folder in (place, work):
        folder.mkdir(mode=0o750)
    (place / "data").write_text("x")
    before = [path.stat().st_mode for path in (place, place / "data")]
    outer, inner = (sandbox.Sandbox((), (), tmp_path / "blanks", "landlock") for _ in range(2))
    argv = inner.command([sys.executable, "-S", "-c", CLOSES, str(place), str(work)], (work,), (place,))
    argv = outer.command(argv, (tmp_path,), (Path(landlock.__file__),))
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.stdout == "runs\n\n", done.stderr
    assert [path.stat().st_mode for path in (place, place / "data")] == before
