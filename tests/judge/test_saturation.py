"""When distinct edits all land in one place."""

from __future__ import annotations

import random

from swarm.judge.saturation import EDITS, indistinct


def test_edits_that_do_nothing_are_told_from_edits_that_do():
    rng = random.Random(2)
    assert indistinct([0.0] * EDITS, 0.0)
    assert indistinct([rng.uniform(-0.5, 0.5) for _ in range(EDITS)], 1.0)
    assert not indistinct([rng.uniform(-0.5, 0.5) for _ in range(EDITS - 1)] + [-6.0], 1.0), "one effect is enough"
    assert not indistinct([0.0] * (EDITS - 1), 1.0)
    assert not indistinct([0.0] * EDITS, None)
