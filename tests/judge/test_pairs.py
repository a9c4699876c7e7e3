"""Pairs: whatever the order in which GPUs come, fall away and lose runs, both arms end with the same number."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.judge.pairs import Half, next_half

GPUS = ("gpu0", "gpu1", "gpu2")


def test_a_gpu_runs_both_arms_and_the_first_of_them_alternates():
    begun: list[Half] = []
    for gpu in ("gpu0", "gpu1", "gpu1", "gpu0", "gpu0", "gpu0"):
        half = next_half(begun, gpu, GPUS, 3)
        assert half is not None
        begun.append(half)
    assert [(half.gpu, half.arm, half.pair) for half in begun] == [
        ("gpu0", 0, 0),
        ("gpu1", 1, 1),
        ("gpu1", 0, 1),
        ("gpu0", 1, 0),
        ("gpu0", 0, 2),
        ("gpu0", 1, 2),
    ]
    assert next_half(begun, "gpu2", GPUS, 3) is None


def test_what_a_gpu_left_behind_is_for_anybody_once_it_is_gone():
    begun = [Half("gpu0", 0, 0)]
    assert next_half(begun, "gpu1", GPUS, 1) is None
    assert next_half(begun, "gpu1", ("gpu1",), 1) == Half("gpu1", 1, 0)


def test_one_arm_alone_may_run_ahead():
    begun: list[Half] = []
    while half := next_half(begun, "gpu0", GPUS, 3, only=1):
        begun.append(half)
    assert {(half.arm, half.pair) for half in begun} == {(1, 0), (1, 1), (1, 2)}
    assert next_half(begun, "gpu0", GPUS, 3) == Half("gpu0", 0, 0)


@settings(deadline=None)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.sampled_from(GPUS), st.sampled_from(("run", "run", "run", "lose", "die"))), max_size=60),
)
def test_it_ends_with_every_pair_whole(wanted, steps):
    begun: list[Half] = []
    alive = set(GPUS)
    steady = not any(word == "die" for _, word in steps)
    for gpu, word in [*steps, *((gpu, "run") for gpu in GPUS * 2 * wanted)]:
        if word == "die" and len(alive) > 1:
            alive.discard(gpu)
        half = next_half(begun, gpu, alive, wanted) if gpu in alive else None
        if half and word != "lose":
            begun.append(half)
    assert sorted((half.pair, half.arm) for half in begun) == [(pair, arm) for pair in range(wanted) for arm in (0, 1)]
    for pair in range(wanted):
        gpus = {half.gpu for half in begun if half.pair == pair}
        assert len(gpus) == 1 or not steady
