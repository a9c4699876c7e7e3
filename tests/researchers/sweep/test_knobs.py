from __future__ import annotations

import pytest

from swarm.researchers.sweep.knobs import read_knobs, show, write_knobs


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return [(old, new) for old, new in pairs if old != new]


def test_reads_the_presets_of_the_device(trainer: str) -> None:
    cpu, cuda = read_knobs(trainer, "cpu"), read_knobs(trainer, "cuda")
    assert cpu.keys() == cuda.keys() and len(cpu) > 25
    assert cuda["total_batch_size"] == 2**18 and cuda["window_pattern"] == "SSSSL"
    assert cpu["depth"] < cuda["depth"]
    assert read_knobs(trainer, "abacus") == {}


def test_reads_the_constants_of_a_foreign_file(foreign: str) -> None:
    knobs = read_knobs(foreign, "cuda")
    assert knobs["TOTAL_BATCH_SIZE"] == 524288
    assert (knobs["ADAM_BETAS[0]"], knobs["ADAM_BETAS[1]"]) == (0.8, 0.95)
    assert not {"PEAK_FLOPS", "SEED", "MAX_STEPS_EVAL", "UNUSED_LR"} & knobs.keys()


def other(value: float | int | str) -> float | int | str:
    return "S" if isinstance(value, str) else value + 1


def test_writes_each_knob_of_the_trainer_alone(trainer: str) -> None:
    for name, value in read_knobs(trainer, "cpu").items():
        [(old, new)] = changed_lines(trainer, write_knobs(trainer, "cpu", {name: other(value)}))
        before, after = old.split(f"{name}=")
        assert new.startswith(f"{before}{name}=") and new.endswith(after[after.index(",") :])


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_writes_all_knobs_of_one_device_only(trainer: str, device: str) -> None:
    changes = {name: other(value) for name, value in read_knobs(trainer, device).items()}
    written = write_knobs(trainer, device, changes)
    for preset in ("cpu", "cuda", "mps"):
        assert read_knobs(written, preset) == (changes if preset == device else read_knobs(trainer, preset))


def test_keeps_comments_powers_and_neighbours(foreign: str) -> None:
    written = write_knobs(foreign, "cuda", {"TOTAL_BATCH_SIZE": 2**18, "ADAM_BETAS[1]": 0.98, "WINDOW_PATTERN": "L"})
    assert changed_lines(foreign, written) == [
        ('WINDOW_PATTERN = "SSSL" # sliding windows', 'WINDOW_PATTERN = "L" # sliding windows'),
        ("TOTAL_BATCH_SIZE = 2**19 # tokens", "TOTAL_BATCH_SIZE = 2**18 # tokens"),
        ("ADAM_BETAS = (0.8, 0.95)", "ADAM_BETAS = (0.8, 0.98)"),
    ]


def test_an_unknown_knob_is_an_error(trainer: str) -> None:
    with pytest.raises(KeyError):
        write_knobs(trainer, "cpu", {"warp": 9})


def test_a_value_is_written_as_the_same_value(foreign: str) -> None:
    for value in (0.1, 1e-05, 3.0, 0.0):
        assert read_knobs(write_knobs(foreign, "cuda", {"MATRIX_LR": value}), "cuda")["MATRIX_LR"] == value
    for value in (3, -1, 1000, 2**20):
        assert (
            read_knobs(write_knobs(foreign, "cuda", {"TOTAL_BATCH_SIZE": value}), "cuda")["TOTAL_BATCH_SIZE"] == value
        )


def test_what_is_not_a_plain_literal_is_no_knob() -> None:
    text = (
        "import os\nA = int(os.environ['A'])\nB = 2**19 // 4\nC = 9**9**9\nD = None\nE = -0.5\nprint(A, B, C, D, E)\n"
    )
    assert read_knobs(text, "cpu") == {"B": 2**17, "E": -0.5}
    assert read_knobs("def broken(:\n", "cpu") == {}


def test_show_is_short_and_true() -> None:
    values = (0.03, 1e-05, 262144, "SL", 0.0, 200_000.0)
    assert [show(value) for value in values] == ["0.03", "1e-05", "262144", "SL", "0", "2e+05"]
