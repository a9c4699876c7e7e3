"""What each key of a project says, in a line: for the swarm.toml that `init` writes, and for docs/any-repository.md."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """One key: what it says, an example in TOML, and what holds where it is not given."""

    says: str
    example: str
    default: str


KEYS: dict[str, Key] = {
    "command": Key(
        "one run, as a text or a list of words; `{python}` is the running interpreter, `{venv}` the repository's own"
        " environment, `{repo}` your checkout",
        '"{python} train.py"',
        "what autoresearch.sh, the texts for agents, a Makefile or the code say",
    ),
    "editable": Key("files that ideas may change; folders and patterns too", '["model.py", "src/*.py"]', "as above"),
    "fixed": Key(
        "files and folders that must not change; hashed before and after each run",
        '["evaluate.py", "tests"]',
        "what the command runs and imports, as far as it is not editable",
    ),
    "metric": Key("the name of the number that decides, as it is printed", '"val_auc"', "what is told and printed"),
    "direction": Key("which way it gets better", '"higher"', "by the metric's name where that tells, else asked"),
    "result": Key("a file that the run writes, JSON, TSV or CSV, in place of its output", '"results.json"', "the log"),
    "pattern": Key(
        "a regular expression with one group, which finds the number in the log",
        '"final score: ([0-9.]+)"',
        "the metric's name, in all usual forms",
    ),
    "guards": Key(
        'bounds on other printed numbers: "<= 60", ">= 1", or "+10%" over the untouched code\'s',
        '{ memory_mb = "+10%" }',
        "none",
    ),
    "checks": Key("commands that must end well before a better number is kept", '["pytest -q"]', "none"),
    "budget": Key("what training is asked to take: its variable `TIME_BUDGET`", '"5m"', "as in the code, else 5m"),
    "timeout": Key("when a run is ended, whatever it does", '"20m"', "by the trial run and the budget"),
    "program": Key("the text for whoever has the ideas; read anew for each", '"program.md"', "`program.md`"),
    "include": Key(
        "ignored or untracked paths that each run sees, read-only", '["data", "node_modules"]', "what git holds"
    ),
    "readable": Key("folders elsewhere that the sandbox leaves open, read-only", '["~/datasets"]', "tools and caches"),
    "pass_env": Key(
        "variables that a run gets beside the usual ones, secrets too", '["HF_HOME", "GEMINI_API_KEY"]', "none"
    ),
    "network": Key("whether a run may use the network", "true", "`false`"),
    "sigma": Key("the expected noise of the metric by device", "{ cuda = 0.0006 }", "measured from the first repeats"),
    "outlier_gain": Key(
        "a gain of one step by device: beyond it, and ten sigmas, it is run once more",
        "{ cuda = 0.01 }",
        "ten sigmas alone",
    ),
    "data": Key("prints what data is prepared as a JSON object, exits with 2 if none is", '["make", "check"]', "none"),
    "prepare": Key("what a person types to prepare the data", '"make data"', "none"),
    "referee": Key(
        "measures the saved model in a process of its own",
        '["{python}", "referee.py"]',
        "none: the printed number counts, marked unaudited",
    ),
    "referee_waits": Key(
        "whether it starts with the training, and measures after a line `go` on its stdin", "true", "`false`"
    ),
    "hidden": Key(
        "measures confirmed models on a second split: writes `referee-test.json`, which nobody is judged by",
        '["{python}", "referee.py", "--test"]',
        "none: reports say so",
    ),
    "held_out": Key("patterns of files below the cache that a run must not see", '["corpora/*/val.*"]', "none"),
}


def key_table() -> str:
    """All keys as a table in Markdown."""
    rows = (f"| `{name}` | {key.says} | `{key.example}` | {key.default} |" for name, key in KEYS.items())
    return "\n".join(["| key | what it says | example | where it is not given |", "|---|---|---|---|", *rows])
