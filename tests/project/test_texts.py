"""What people wrote for agents: the metric, its direction, and what is run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.project.texts import Run, goals_of, metrics_of, runs_of, said_around, said_of


@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        ('grep "^val_bpb:" run.log', ["val_bpb"]),
        ("grep -E '^val_bpb:|^peak_vram_mb:' run.log", ["val_bpb"]),
        ("`grep '^METRIC win_rate=' out`", ["win_rate"]),
        ("- **Primary**: `total_ms` (ms, lower is better)\n- **Secondary**: `rss_mb`", ["total_ms"]),
        ("**Primary** (higher is better):\n\n- `total_score` — sum", ["total_score"]),
        ("## Primary metric\n\n- `compat_failures` — lower is better", ["compat_failures"]),
        ("- Primary: total_ms", ["total_ms"]),
        ("Primary metric: mean shape error", []),
        ("- Metric: **BLEU** (higher is better)", ["BLEU"]),
        ("The metric is `sharpe`.", ["sharpe"]),
        ("- `composite` — single optimization target (higher = better)", ["composite"]),
        ('Primary metric: `val_acc`. Read it: grep "^val_acc:" and grep "^loss:"', ["val_acc"]),
        ('The metric is `sharpe`; grep "^val_acc:" log', ["sharpe", "val_acc"]),
        ("the primary metric given to `init_experiment`", []),
        ("See the metric in `results.tsv`, `src/metric.py`.", []),
        ("grep -r 'TODO' src", []),
    ],
)
def test_the_metric(text: str, metrics: list[str]) -> None:
    assert list(metrics_of(text)) == metrics


@pytest.mark.parametrize(
    ("text", "goals"),
    [
        ("Your goal is to maximize `win_rate`.", ["win_rate"]),
        ("get the lowest val_bpb", ["val_bpb"]),
        ("minimizing the mean `regret` and `wall_seconds`", ["regret"]),
        ("Instead of optimizing `val_bpb`, maximize `fit_acc`. It is no longer to minimize `val_loss`.", ["fit_acc"]),
        ("the highest throughput possible, the lowest price", []),
    ],
)
def test_what_is_to_be_improved(text: str, goals: list[str]) -> None:
    assert list(goals_of(text)) == goals


@pytest.mark.parametrize(
    ("text", "metric", "said"),
    [
        ("`score` (points, higher is better)", "score", {"higher"}),
        ("**score** — lower = better", "score", {"lower"}),
        ("get the lowest score", "score", {"lower"}),
        ("Maximize the mean `fitness`.", "fitness", {"higher"}),
        ("`a_score`: higher is better, `b_score`: lower is better", "a_score", {"higher"}),
        ("`a_score`: higher is better, `b_score`: lower is better", "b_score", {"lower"}),
        ("a higher lr increases score", "score", set()),
        ("Minimize `score`. Later: maximize `score`.", "score", {"lower", "higher"}),
        ("`score`\n\nlower is better", "score", set()),
    ],
)
def test_the_direction(text: str, metric: str, said: set[str]) -> None:
    assert said_of(text, metric) == said


def test_the_direction_of_the_part_that_names_the_metric() -> None:
    text = "# Goal\nRaise `fit`.\n\n```\nfit = a * b\n```\nHigher is better.\n# Speed\nLower is better.\n"
    assert said_around(text, "fit") == {"higher"} and said_around(text, "other") == set()


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("You launch it simply as: `uv run train.py`.", [Run("uv run train.py", 1)]),
        ("Run the experiment: `python t.py > run.log 2>&1` (redirect)", [Run("python t.py", 3)]),
        ("4. Run:\n\n```bash\npython run.py --config \\\n  c.json\n```", [Run("python run.py --config c.json", 1, fenced=True)]),
        ("```\n$ bash go.sh 2>&1 | tee run.log\n```", [Run("bash go.sh", 2, fenced=True)]),
        ("2. Run `python run.py --quick` for a fast test", [Run("python run.py --quick", 1)]),
        ("`uv run prepare.py`, `uv sync`, `pip install x`, `pytest -q`, `./models/`, `train.py`", []),
        ("`uv run <script>`", [Run("uv run <script>", 0)]),
    ],
)
def test_what_is_run(text: str, runs: list[Run]) -> None:
    assert list(runs_of(text)) == runs


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    metrics_of(text), goals_of(text), list(runs_of(text)), said_of(text, text[:9]), said_around(text, text[:9])
