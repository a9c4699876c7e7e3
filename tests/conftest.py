"""What several rooms' tests share."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from swarm.lab.simulation.project import make_project
from tests.board.nights import Night
from tests.shared_ray import address_of

for _name, _examples in (("quick", 50), ("thorough", 500)):  # a machine that is slow is no fault of the code
    settings.register_profile(
        _name, deadline=None, max_examples=_examples, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile(os.environ.get("EXAMPLES", "quick"))

# Containers mostly say "write no bytecode". Hundreds of Pythons start here, and each would compile all it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell has its background jobs ignore Ctrl-C, and nohup a hang-up, and so would every program that is started here.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# Who thinks where a test does not say: never a program that happens to be installed here, or a key that is set.
os.environ["SWARM_RESEARCHER"] = "sweep"


def pytest_xdist_auto_num_workers() -> int:
    """How many tests `-n auto` runs at a time: they wait for processes more than they compute."""
    return min(8, 2 * (os.cpu_count() or 1))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the long tests out so that every test process begins with its share of them: none is left with one alone
    when all others are done."""
    long = [item for item in items if item.get_closest_marker("long")]
    short = [item for item in items if not item.get_closest_marker("long")]
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = -(-len(items) // processes)  # each process is given so many in a row, before they steal from each other
    items.clear()
    for number in range(processes):
        mine = long[number::processes]
        items += mine + short[: share - len(mine)]
        del short[: share - len(mine)]
    items += short


def pytest_collection_finish() -> None:
    """What is imported and collected stays: no garbage collection goes through its millions of objects again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this session share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Only one process at a time is in here: what several need is made by whoever comes first."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def library_cache(shared_folder: Path) -> Path:
    """AUTORESEARCH_CACHE where prepare.py has prepared the default corpus, this Python's own library, for the test
    process that asks first; `made.json` there is what it said. Whoever changes it copies it."""
    cache = shared_folder / "library"
    with held(shared_folder / "library.lock"):
        if not (cache / "made.json").exists():
            command = [sys.executable, "prepare.py", "--corpus", "stdlib", "--json"]
            environment = {**os.environ, "AUTORESEARCH_CACHE": str(cache)}
            root = Path(__file__).parents[1]
            done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            (cache / "made.json").write_text(done.stdout)
    return cache


@pytest.fixture(scope="session")
def ray_address(shared_folder: Path) -> str:
    """One Ray for the swarms of all tests, with simulated GPUs: a launch with this as RAY_ADDRESS joins it."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    with held(shared_folder / "ray.lock"):
        return address_of(shared_folder, owner)


@pytest.fixture(scope="session")
def on_shared_ray(ray_address: str) -> Mapping[str, str]:
    """The environment of a launch that joins it."""
    return {**os.environ, "RAY_ADDRESS": ray_address}


@pytest.fixture(scope="session")
def finished_night(shared_folder: Path, on_shared_ray: Mapping[str, str]) -> Path:
    """A project with one finished swarm, apr5: two experiments and a closing wave. Whoever changes it copies it.

    It is made once, whichever of the test processes asks first; the others wait for it.
    """
    root = shared_folder / "finished-night" / "project"
    with held(shared_folder / "finished-night.lock"):
        if not (shared_folder / "finished").exists():
            shutil.rmtree(root.parent, ignore_errors=True)
            root.parent.mkdir()
            make_project(root, budget=0.1)
            flags = ["--tag", "apr5", "--device", "sim", "--agents", "1", "--max-experiments", "2"]
            command = [sys.executable, "-m", "swarm", "launch", "-C", str(root), "--researcher", "sweep", *flags]
            done = subprocess.run(command, env=on_shared_ray, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            (shared_folder / "finished").touch()
    return root


@pytest.fixture
def make_night(tmp_path: Path) -> Callable[..., Night]:
    """Nights on one ledger file; keywords are columns of the swarm's row."""
    made: list[Night] = []

    def make(agents: int = 2, **settings: Any) -> Night:
        if made:
            made[-1].ledger.close()
        made.append(Night(tmp_path / ".swarm" / "ledger.sqlite", agents, **settings))
        return made[-1]

    return make


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    """Two agents whose baselines are measured: 1.0 on average."""
    night = make_night()
    night.baselines()
    return night
