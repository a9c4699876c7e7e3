"""What people wrote for agents: the metric, its direction, and what is run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.project.texts import Run, better_of, goals_of, metrics_of, runs_of, said_around, said_of


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
        ("The number that counts is `mean_gain` in the table", ["mean_gain"]),
        ("The metric is `valid rmse`; `wall time` is shown", ["valid rmse"]),
        ("The metric is `python eval.py`, or `the loss`", []),
        ("See the metric in `results.tsv`, `src/metric.py`.", []),
        ("grep -r 'TODO' src", []),
        (r'`grep "^comp_rate:\|^syn_rate:" run.log`', ["comp_rate", "syn_rate"]),
        ("`grep -E '^(val_acc|val_loss):' run.log`", ["val_acc", "val_loss"]),
        (r'grep -e "^fit_a:" -e "^fit_b:" log', ["fit_a", "fit_b"]),
        (r'`grep "^val_acc:" run.log`; later `grep "^val_acc:\|^hit_rate:" run.log`', ["val_acc"]),
        (r'grep "^peak_vram_mb:" run.log; grep "^hit_rate:\|^val_acc:" run.log', ["hit_rate", "val_acc"]),
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
        ("Lower `valid mae` is better. More **hits@10** are better.", ["valid mae", "hits@10"]),
        ("the highest throughput possible, the lowest price", []),
    ],
)
def test_what_is_to_be_improved(text: str, goals: list[str]) -> None:
    assert list(goals_of(text)) == goals


def test_the_names_of_which_it_is_said_which_way_is_better() -> None:
    text = "`run.py` prints the `squeeze` over `texts/` (0.5 to 9, higher is better).\n\n`lr`: try `1e-3`."
    assert better_of(text) == ("squeeze",)
    assert better_of("| `f_a` | lower is better |\n| `f_b` | ↑ |") == ("f_a", "f_b")


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
        ("It ends with the **pass_at_1** over all tasks, which should go up.", "pass_at_1", {"higher"}),
        ("`gap`: the smaller, the better", "gap", {"lower"}),
        ("- primary metric: vm_count\n- metric unit: count\n- direction: higher", "vm_count", {"higher"}),
        ("metric: `a_b`, direction: **minimize**", "a_b", {"lower"}),
        ("primary metric: vm_count\n\n## Walking\n- direction: higher", "vm_count", set()),
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
        (
            "4. Run:\n\n```bash\npython run.py --config \\\n  c.json\n```",
            [Run("python run.py --config c.json", 1, fenced=True)],
        ),
        ("```\n$ bash go.sh 2>&1 | tee run.log\n```", [Run("bash go.sh", 2, fenced=True)]),
        ("2. Run `python run.py --quick` for a fast test", [Run("python run.py --quick", 1)]),
        ("`uv run prepare.py`, `uv sync`, `pip install x`, `pytest -q`, `./models/`, `train.py`", []),
        ("`uv run <script>`", [Run("uv run <script>", 0)]),
        ("Run `python arena.py` to play", [Run("python arena.py", 1)]),
        ("Build and run with `make bench`.", [Run("make bench", 1)]),
        ("Evaluate with `just eval`; wait", [Run("just eval", 1)]),
        ("`make evaluate` prints one object per split.", [Run("make evaluate", 1)]),
        (
            "Run `python scripts/fetch_data.py`, `bash setup_env.sh`, `python get_data.py`, `python make_dataset.py`.",
            [],
        ),
        ("Run `python asynctrain.py`.", [Run("python asynctrain.py", 1)]),
        ("It was `python old.py` once.", [Run("python old.py", 0)]),
        ("```sh\npython measure.py\n```", [Run("python measure.py", 0, fenced=True)]),
    ],
)
def test_what_is_run(text: str, runs: list[Run]) -> None:
    assert list(runs_of(text)) == runs


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    metrics_of(text), goals_of(text), list(runs_of(text)), said_of(text, text[:9]), said_around(text, text[:9])


def test_of_several_greps_the_one_that_a_sentence_calls_primary_is_the_metric() -> None:
    text = 'grep "^sharpe:\\|^max_drawdown:" run.log\n\nThe primary metric is the Sharpe ratio of the second half.\n'
    assert metrics_of(text) == ("sharpe",)
    assert len(metrics_of(text.replace("Sharpe ratio", "ratio"))) == 2
