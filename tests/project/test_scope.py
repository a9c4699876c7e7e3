"""Which files a text allows to edit and which it forbids, in the ways that people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.project.scope import scope_of


@pytest.mark.parametrize(
    ("text", "editable", "fixed", "sure"),
    [
        ("- `train.py` — the file you modify. Model and optimizer.", ["train.py"], [], True),
        ("- `prepare.py` — fixed constants and data. Do not modify.", [], ["prepare.py"], False),
        ("Edit **only** `solver.py`.", ["solver.py"], [], True),
        (
            "ONLY modify `attack.py`. Never touch `run.py` or `prepare.py`.",
            ["attack.py"],
            ["run.py", "prepare.py"],
            True,
        ),
        ("- Only edit train.py\n- Keep it simple", ["train.py"], [], True),
        ("Modify `a.py` — this is the only file you edit.", ["a.py"], [], True),
        ("`bot.rs` is the single file the agent edits.", ["bot.rs"], [], True),
        ("```\nagent.py   — AGENT EDITS THIS. Strategy.\nrun.py — FROZEN.\n```", ["agent.py"], ["run.py"], True),
        ("**What you CANNOT do:**\n- Modify `evaluate.py`. It is read-only.", [], ["evaluate.py"], False),
        (
            "## Files in Scope\n- `src/a.rs` — hot path\n- `src/b.rs`, `src/c.rs`",
            ["src/a.rs", "src/b.rs", "src/c.rs"],
            [],
            False,
        ),
        ("## Files in scope\n\n- `src/**`\n- `lib/`", ["src/**", "lib"], [], False),
        (
            "## In-scope files\n\nYou may edit:\n\n- `model.py`\n- `conf.yaml`\n\nYou should not edit:\n\n- `data.py`",
            ["model.py", "conf.yaml"],
            ["data.py"],
            False,
        ),
        ("## Files in Scope\n| File | Why |\n|--|--|\n| `x/y.go` | parser |", ["x/y.go"], [], False),
        ("## Files in Scope\n- `cfg/{a,b}.yaml`", ["cfg/a.yaml", "cfg/b.yaml"], [], False),
        (
            "## Files in Scope\n- `a.py`\n- `bench/run.py` — driver\n- `b.py` — the evaluation\n  harness",
            ["a.py"],
            ["bench/run.py", "b.py"],
            False,
        ),
        (
            "## Files in Scope\n- `a.py`\n- `log/*`, `autoresearch.sh` — this session",
            ["a.py"],
            ["log/*", "autoresearch.sh"],
            False,
        ),
        ("## Off Limits\n- `score.sh` — the benchmark\n- New dependencies", [], ["score.sh"], False),
        (
            "3. **Read the in-scope files**:\n   - `README.md` — context\n   - `opt.py` — the file you modify.",
            ["opt.py"],
            [],
            True,
        ),
        ("Files are changed *only* in whitespace by `hook.sh`; keeps only improvements of `x.py`.", [], [], False),
        ("- `prepare.py` — used by `train.py`. Prefer not to modify.", [], ["prepare.py"], False),
        ("Verify that `results.tsv` exists and that `artifacts/` is writable.", [], [], False),
        ("## In scope\nYou may edit:\n- `a.py`\n\nYou may read:\n- `b.py`", ["a.py"], [], False),
        ("## Never stop\n- re-read `train.py`\n- `run.log` may be long", [], ["run.log"], False),
        ("Edit `a.py`. Edit `b.py` only when needed.", ["a.py"], ["b.py"], False),
        ("Only `knobs.json` may be changed; `fit.py` is fixed.", ["knobs.json"], ["fit.py"], True),
        ("Only `a.py` and `b.yaml` are to be edited.", ["a.py", "b.yaml"], [], True),
        ("Only **`src/k.rs`** may change.", ["src/k.rs"], [], True),
        ("`ask.txt` is what you edit. `m.py` and `q.json` stay as they are.", ["ask.txt"], ["m.py", "q.json"], True),
        ("`fit.py` is the only file that gets edited; lower is better.", ["fit.py"], [], True),
        (
            "Files in scope: `c.yaml` and `src/m.py`. Do not modify `src/e.py`.",
            ["c.yaml", "src/m.py"],
            ["src/e.py"],
            True,
        ),
        ("Editable files: `m.py`, `bench.py`", ["m.py"], ["bench.py"], True),
        ("Read the in-scope files: `a.py`, `b.py`.", [], [], False),
        ("`a.py` must not be changed.", [], ["a.py"], False),
        ("The weather may change only in spring; `a.py` is what reads it.", [], [], False),
        ("Only `a.py` prints what `b.py` changed.", [], [], False),
        ("Nothing here.", [], [], False),
        ("| `prepare.py` | **NOBODY** (fixed) |\n| `train.py` | **AI ONLY** |", ["train.py"], ["prepare.py"], True),
        ("## What You Can Change (in solve.py)\n\n- the learning rate", ["solve.py"], [], False),
    ],
)
def test_what_a_text_says_of_files(text: str, editable: list[str], fixed: list[str], sure: bool) -> None:
    scope = scope_of(text)
    assert (list(scope.editable), list(scope.fixed), scope.sure) == (editable, fixed, sure)


def test_a_file_that_is_both_allowed_and_forbidden_is_contested() -> None:
    scope = scope_of("## Files in Scope\n- `a.yaml` — flags\n- `b.yaml`\n\n## Off Limits\n- `a.yaml`: its url\n")
    assert scope.contested == ("a.yaml",) and scope.editable == ("b.yaml",)


PIECES = ["## Files in Scope", "- `a/b.py`", "do not edit", "only", "`", "```", "\n", "|", "x.py", "{a,", "}"]


@given(st.lists(st.sampled_from(PIECES)).map(" ".join))
def test_any_text_can_be_read(text: str) -> None:
    scope = scope_of(text)
    assert not {*scope.editable} & {*scope.fixed}
