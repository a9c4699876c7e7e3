"""What code prints, read and never run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.project.code import printed


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
