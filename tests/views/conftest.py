"""Snapshots of made-up swarms, and a terminal of a known size to draw them on."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from rich.console import Console, RenderableType

from swarm.lab.demo import demo_swarm
from swarm.records import Outcome
from swarm.snapshot.records import Event, ExperimentView, Snapshot, TrunkView


@pytest.fixture
def make_swarm() -> Callable[..., Snapshot]:
    """A rich snapshot; keywords go to `swarm.lab.demo.demo_swarm`."""
    return demo_swarm


@pytest.fixture
def draw() -> Callable[..., str]:
    """What a terminal of `width` x `height` receives when something is printed on it."""

    def drawn(renderable: RenderableType, width: int = 80, height: int = 24, **settings: object) -> str:
        file = io.StringIO() if (encoding := settings.pop("encoding", None)) is None else _encoded(str(encoding))
        settings = {"color_system": None, "force_terminal": True, "_environ": {}} | settings
        console = Console(file=file, width=width, height=height, **settings)
        console.print(renderable)
        file.seek(0)
        return file.read()

    return drawn


def _encoded(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="", write_through=True)


@pytest.fixture
def quiet_swarm() -> Snapshot:
    """Twelve experiments, nothing kept: seven unproven losers, two refuted, one near miss, two crashes."""
    experiments = [
        experiment(1, gain=-0.001, low=-0.003, high=0.001),
        *(experiment(k, gain=-0.0005, low=-0.0025, high=0.0015) for k in range(2, 8)),
        *(experiment(k, gain=-0.006, low=-0.008, high=-0.004, category="batch") for k in (8, 9)),
        experiment(10, gain=0.0004, low=-0.001, high=0.0018, n=5, outcome=Outcome.NEAR_MISS),
        *(experiment(k, status="crash", value=None, gain=None, failure="oom", n=0) for k in (11, 12)),
    ]
    return replace(
        demo_swarm(2, now=0.2), experiments=tuple(experiments), champion=None, runs=(), events=(),
        counts={"discard": 10}, best=0.9979, sigma=0.0009, baseline=0.9979,
        trunk=(TrunkView(0, "apr5-baseline", "baseline", 0.9979, 4, None, None, None, 0.0),),
    )  # fmt: skip


@pytest.fixture
def make_experiment() -> Callable[..., ExperimentView]:
    return experiment


def experiment(number: int, **changes: object) -> ExperimentView:
    """A judged experiment with one run, discarded unless `changes` say otherwise."""
    view = ExperimentView(
        id=f"apr5-gpu0-{number:04}", agent="gpu0", title=f"idea {number}", category="schedule", state="judged",
        status="discard", rung="seen", value=0.9985, gain=-0.0006, n=1, value_n=1, audited=True, sandboxed=True,
        created=1000.0 + number, judged=2000.0 + number,
    )  # fmt: skip
    return replace(view, **changes)


@pytest.fixture
def make_event() -> Callable[..., Event]:
    return lambda view, kind="keep": Event(view.judged or 0.0, view.agent, kind, view.title, view.id)
