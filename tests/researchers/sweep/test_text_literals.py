from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.records import Source
from swarm.researchers.sweep.knob_space import KnobSpace, open_knob_space
from swarm.researchers.sweep.literals import Value, spliced
from swarm.researchers.sweep.text_literals import read_text_literals

REDCODE = """\
;redcode-94nop
;assert CORESIZE==8000
step    equ 2667
gate    equ (start-4) ; no number
start   add.ab #step, ptr
ptr     mov.i  bomb, 3     ; where
        spl    0, <-12
        jmp    start, 0    ; must be 0
bomb:   dat.f  #4, #-7
        for 3
        rof
        end    0
"""
SHELL = """\
#!/usr/bin/env bash
# LR=5
set -euo pipefail
LR=0.1
DROPOUT="0.25"
SEED=42
PORT=8080
VERSION=2.1
DEPTH="${DEPTH:-6}"
OPT=adam   # adam | sgd
python3.11 train.py --out runs/3 --momentum 0.9 --num-layers=4 --seed 1 \\
   --batch-size 64 --port 80 --host 10.0.0.1
tries=0
tries=$((tries + 1))
"""
R = """\
# learning rate
eta <- 0.3
use_bias <- TRUE
fit <- xgboost(data = d, max_depth = 6, nrounds = 100, verbose = 0, eta = eta)
set.seed(123)
kernel <- "rbf"
if (kernel == "rbf") x else if (kernel == "poly") y
i <- 0
i <- i + 1
score <- 0.7 * a + b * 0.25
"""
SQL = """\
-- alpha = 5
/* beta = 6 */
SELECT 0.7 * recency AS score, 'gamma = 3' FROM t WHERE clicks > 12.5 AND year > 2019 LIMIT 10;
SET @alpha = 0.5;
INSERT INTO t VALUES (1, 2, 3);
"""
LUA = """\
-- depth = 9
local cfg = { depth = 4, aggression = 0.75, name = "x" } --[[ beta = 5 ]]
local port = 8080
for i = 1, 10 do total = total + 1 end
cfg.margin = 1.5
"""
LISP = "(define alpha 0.5) ; (define beta 3)\n(setq depth 6)\n(foo 1 2)\n"
PROMPT = """\
Answer in 3 sentences, at 10:30: be brief.
temperature: 0.2
top_p = 0.9
Version: 2.1
date: 2024-01-02
See http://x.org:80/a?b=5 and ./run-3.sh
"""
DOCKER = "FROM python:3.11\nENV LR=0.1\n"


def space(text: str, path: str) -> KnobSpace | None:
    return open_knob_space(Source({path: text.encode()}), "cpu")


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        (
            "warrior.red",
            REDCODE,
            {
                "step": 2667,
                "ptr.mov[1]": 3,
                "spl[0]": 0,
                "spl[1]": -12,
                "bomb.dat[0]": 4,
                "bomb.dat[1]": -7,
                "for[0]": 3,
            },
        ),
        (
            "run.sh",
            SHELL,
            {
                "LR": 0.1,
                "DROPOUT": 0.25,
                "DEPTH": 6,
                "OPT": "adam",
                "momentum": 0.9,
                "num-layers": 4,
                "batch-size": 64,
            },
        ),
        (
            "fit.R",
            R,
            {
                "eta": 0.3,
                "use_bias": True,
                "max_depth": 6,
                "nrounds": 100,
                "kernel": "rbf",
                "a.weight": 0.7,
                "b.weight": 0.25,
            },
        ),
        ("rank.sql", SQL, {"recency.weight": 0.7, "clicks.threshold": 12.5, "alpha": 0.5}),
        ("bot.lua", LUA, {"depth": 4, "aggression": 0.75, "cfg.margin": 1.5}),
        ("bot.scm", LISP, {"alpha": 0.5, "depth": 6}),
        ("prompt.txt", PROMPT, {"temperature": 0.2, "top_p": 0.9}),
        ("Dockerfile", DOCKER, {"LR": 0.1}),
        ("points.csv", "a,b\nalpha = 0.5,3\n", {}),
    ],
)
def test_numbers_are_found_in_any_text(path: str, text: str, found: dict[str, Value]) -> None:
    opened = space(text, path)
    assert {name.removeprefix(f"{path}:"): value for name, value in (opened.knobs if opened else {}).items()} == found
    if opened is None:
        return
    for name, rule in opened.rules.items():
        moves = list(rule.neighbours(opened.knobs[name]))
        assert moves
        for idea in (idea for value in moves for idea in opened.turn({name: value}, "")):
            edit = opened.edit(idea)
            assert edit is not None
            again = space(edit.files[path].decode(), path)
            assert again is not None and again.knobs == {**opened.knobs, **idea.knobs}


def test_an_operand_may_become_negative_and_a_comment_holds_it() -> None:
    opened = space("        mov.i  #1, 1 ; do not change\n        add    #-1, 0\n", "a.red")
    assert opened is not None
    assert opened.knobs == {"a.red:add[0]": -1, "a.red:add[1]": 0}
    assert set(opened.rules["a.red:add[1]"].neighbours(0)) == {1, -1, 2, -2}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("; alpha = 1.5\nbeta = 0.5\n", {"beta"}),
        ("-- alpha = 1.5\nbeta = 0.5\n", {"beta"}),
        ("% alpha = 1.5\nbeta = 0.5\n", {"beta"}),
        ("gamma = 0.5 # alpha = 1.5\ndelta = 2.5 // alpha = 1.5\n", {"gamma", "delta"}),
    ],
)
def test_where_the_name_does_not_tell_the_lines_say_how_a_comment_begins(text: str, found: set[str]) -> None:
    assert {literal.name for literal in read_text_literals(text, "unheard")} == found


def test_a_file_of_many_numbers_is_data() -> None:
    assert not read_text_literals("".join(f"a{i} = 0.{i}\n" for i in range(1, 1000)), "conf")


def test_switches_stay_in_their_capitals() -> None:
    (literal,) = read_text_literals("use_bias <- TRUE\n", "r")
    assert spliced("use_bias <- TRUE\n", {literal: False}) == "use_bias <- FALSE\n"


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="ab=:<->(){}[]\"'#;/*%$ \t\n\r.0159eE+,\\\u00e9\ufeff", max_size=80),
    st.sampled_from(["red", "sh", "r", "sql", "lua", "txt", "", "unheard", "s"]),
)
def test_no_text_raises_and_what_is_found_stands_there(text: str, suffix: str) -> None:
    for literal in read_text_literals(text, suffix):
        assert 0 <= literal.start < literal.end <= len(text)
        assert spliced(text, {literal: literal.value}) is not None
        assert text[literal.start : literal.end].strip() == text[literal.start : literal.end]
