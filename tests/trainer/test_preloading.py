"""What readers are forked from holds all files that they could map.

python -m pytest tests/trainer/test_preloading.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there are readers forked")

SCRIPT = """
import sys, threading
import torch
torch.set_num_threads(1)
from pathlib import Path
from trainer import preloading

def here():
    return {line.split(maxsplit=5)[5] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line}

preloading.load_libraries()
mapped, held = here(), preloading.hold_files()
assert threading.active_count() == 1
whole = sum(high - low for low, high in preloading.mapped_files())
print("held", held == whole and held > 2**26)
import decimal, fractions, heapq, lzma, numpy.fft, numpy.random, sqlite3, ssl, statistics, unicodedata
numpy.random.default_rng(1).integers(5)
torch.randn(100, 100) @ torch.randn(100, 100)
import torch._dynamo
print("new", sorted(name for name in here() - mapped if "triton" not in name))  # without it there is no Triton
resident = {}
name = ""
for line in Path("/proc/self/smaps").read_text().splitlines():
    if "-" in line.split()[0]:
        fields = line.split(maxsplit=5)
        name = fields[5] if len(fields) > 5 and fields[1].startswith("r") and "libtorch_cpu" in fields[5] else ""
    elif name and line.split(":")[0] in ("Size", "Rss"):
        resident.setdefault(line.split(":")[0], []).append(int(line.split()[1]))
print("resident", sum(resident["Rss"]) >= 0.99 * sum(resident["Size"]))
"""


def test_a_model_that_is_loaded_needs_no_library_that_is_not_there() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said == {"held": "True", "new": "[]", "resident": "True"}
