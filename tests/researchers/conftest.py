"""What the researchers' tests share: two files with knobs, and briefings about them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from swarm.records import Briefing, Finding, Idea, Source

ROOT = Path(__file__).resolve().parents[2]

FOREIGN = '''\
"""A training file shaped like autoresearch's."""
import math
import torch.nn.functional as F

MAX_STEPS_EVAL = 100
PEAK_FLOPS = 989.5e12  # a fact, not a knob


class MLP:
    def forward(self, x):
        return F.relu(x).square()


# Model
ASPECT_RATIO = 64       # width = depth * this
HEAD_DIM = 128
WINDOW_PATTERN = "SSSL" # sliding windows
# Optimization
TOTAL_BATCH_SIZE = 2**19 # tokens
UNEMBEDDING_LR = 0.004
MATRIX_LR = 0.04
ADAM_BETAS = (0.8, 0.95)
WARMUP_RATIO = 0.0
WARMDOWN_RATIO = 0.5
DEPTH = 8
DEVICE_BATCH_SIZE = 128
UNUSED_LR = 0.1
SEED = 42

print(PEAK_FLOPS, SEED, MAX_STEPS_EVAL, ASPECT_RATIO, HEAD_DIM, WINDOW_PATTERN, TOTAL_BATCH_SIZE, UNEMBEDDING_LR)
print(MATRIX_LR, ADAM_BETAS, WARMUP_RATIO, WARMDOWN_RATIO, DEPTH, DEVICE_BATCH_SIZE)


def get_lr_multiplier(progress):
    cooldown = (1.0 - progress) / WARMDOWN_RATIO
    return cooldown
'''


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def trainer() -> str:
    return (ROOT / "trainer" / "train.py").read_text()


@pytest.fixture(scope="session")
def foreign() -> str:
    return FOREIGN


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """A small project in a folder of its own, with instructions for its developers, which no researcher should read."""
    place = tmp_path / "outer" / "draft"
    (place / "trainer").mkdir(parents=True)
    (place / "trainer" / "train.py").write_text("lr = 0.1\n")
    (place / "prepare.py").write_text("BUDGET = 300\n")
    (place / "CLAUDE.md").write_text("INNER-CANARY for developers\n")
    (place.parent / "CLAUDE.md").write_text("OUTER-CANARY\n")
    return place


@pytest.fixture
def brief(trainer: str) -> Callable[..., Briefing]:
    """Makes a briefing; what is not said is empty, the parent is the real train.py on a CPU."""

    def make(
        findings: Sequence[Finding] = (), live: Sequence[tuple[str, Idea]] = (), text: str = "", **other: Any
    ) -> Briefing:
        values: dict[str, Any] = {
            "tag": "t",
            "agent": "gpu0",
            "parent": Source({"trainer/train.py": (text or trainer).encode()}),
            "position": 0,
            "metric": "val_bpb",
            "direction": "lower",
            "budget": 10.0,
            "baseline": 2.0,
            "best": 2.0,
            "sigma": 0.02,
            "program": "",
        }
        return Briefing(**values | {"findings": tuple(findings), "live": tuple(live)} | other)

    return make


@pytest.fixture
def learn() -> Callable[..., Finding]:
    """Makes the finding that an idea led to."""
    numbers = itertools.count(1)

    def make(idea: Idea, gain: float | None, status: str = "discard", **other: Any) -> Finding:
        return Finding(
            f"t-gpu0-{next(numbers):04}",
            "gpu0",
            idea.title,
            idea.category,
            status,
            "seen",
            "",
            idea.knobs,
            gain=gain,
            **{"n": 1} | other,
        )

    return make
