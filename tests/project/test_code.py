"""What code prints, read and never run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.project.code import budget_in, printed, printed_within
from tests.deep_python import BROKEN, DEEP, LONG


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("a.py", "print(f'val_acc: {x}')", ["val_acc"]),
        ("a.py", "print('val_acc:', x)", ["val_acc"]),
        ("a.py", "print('val_acc: %.4f' % x)", ["val_acc"]),
        ("a.py", "print('val_acc={:.4f}'.format(x))", ["val_acc"]),
        ("a.py", "print('val_acc: ' + str(x))", ["val_acc"]),
        ("a.py", "sys.stdout.write(f'val_acc={x}\\n')", ["val_acc"]),
        ("a.py", "logging.info(f'val_acc={x}')", ["val_acc"]),
        ("a.py", "print(f'loss: {l:.3f}')\nprint('---')\nprint(f'fit: {f}')", ["fit", "loss"]),
        ("a.py", "print(f'loss: {l:.3f}')\nprint(f'METRIC fit={f}')", ["fit"]),
        ("a.py", "print(f'Accuracy: {x:.2%}')\nprint(f'Path: {p}')\nprint(f'Saved: {p}')", ["Accuracy"]),
        ("a.py", "try:\n    go()\nexcept E as e:\n    print(f'loss: {e}')", []),
        ("a.py", "print(f'loss: {e}', file=sys.stderr)\nsys.stderr.write(f'loss={e}')", []),
        ("a.py", "print(f'error: {e}')\nprint('usage: train.py')", []),
        ("a.py", "print('val_acc: (", []),
        ("a.sh", 'echo "METRIC total_ms=$T"\necho "done: $x"', ["total_ms"]),
        ("a.sh", "printf 'METRIC fit=%s\\n' \"$f\"", ["fit"]),
        ("a.sh", 'echo "fit: $f"', ["fit"]),
        ("a.sh", "python3 - <<'P'\nprint(f\"METRIC bytes={n}\")\nP", ["bytes"]),
        ("a.mjs", "console.log(`ops_per_sec: ${n}`)", ["ops_per_sec"]),
        ("a.rs", 'println!("METRIC ns_per_op={}", n);', ["ns_per_op"]),
        ("a.c", 'printf("score: %f\\n", s);', ["score"]),
        ("a.cpp", 'std::cout << "loss=" << l;', ["loss"]),
    ],
)
def test_what_is_printed(tmp_path: Path, name: str, text: str, names: list[str]) -> None:
    (tmp_path / name).write_text(text)
    assert [item.name for item in printed(tmp_path / name)] == names


@given(st.binary(max_size=120), st.sampled_from(["a.py", "a.sh", "a.js"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_can_be_read(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    printed(tmp_path / name)


ODD = {**DEEP, **{f"{name}, long": text for name, text in LONG.items()}, **BROKEN}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_code_of_any_depth_can_be_read(tmp_path: Path, odd: str) -> None:
    (tmp_path / "a.py").write_text(odd)
    budget = budget_in(tmp_path, ["a.py"])
    assert budget is None or math.isfinite(budget.value)
    printed_within(tmp_path / "a.py")
    printed(tmp_path / "a.py")
    (tmp_path / "a.py").write_text(f"{odd}\nprint(f'fit: {{fit:.3f}}')\nTIME_BUDGET = 60\n")
    if odd not in BROKEN.values():
        assert "fit" in [item.name for item in printed(tmp_path / "a.py")]
        found = budget_in(tmp_path, ["a.py"])
        assert found and found.value == 60
