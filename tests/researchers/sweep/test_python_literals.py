from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.records import Source
from swarm.researchers.sweep.knob_space import KnobSpace, open_knob_space
from swarm.researchers.sweep.knobs import read_knobs, write_knobs
from swarm.researchers.sweep.literals import spliced
from swarm.researchers.sweep.python_literals import read_python
from tests.deep_python import BROKEN, DEEP, LONG

TABULAR = '''\
"""A model of trees; learning_rate=0.5 stands in a docstring."""
import argparse
import os
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

SEED = 7
n_bags = 3
ratio: float = 0.25
PARAMS = {"max_depth": 6, "eta": 0.3, "tree": {"min_child_weight": 2.0}, "random_state": 42}
HIDDEN = [128, 64]
TABLE = [[1.5, 2.5], [3.5, 4.5]]


@dataclass
class Config:
    lr: float = 3e-4
    layers: int = 4
    act: Literal["relu", "gelu"] = "relu"
    use_bias: bool = True
    dropout: float = field(default=0.1)
    momentum: float = float(os.environ.get("MOMENTUM", "0.9"))
    overridden: float = 0.7


def score(row, decay=0.95, axis=1):
    count = 0
    temp = 100.0
    while temp > 1:
        count += 1
        temp *= 0.995
    if row.rsi < 30:
        return row.value * 0.4 + row.form * 0.6 + count * 1000.0
    return decay + axis
    dead = 5.5


def unread(options):
    if options.loss == "huber":
        return 1
    elif options.loss == "mse":
        return 2


parser = argparse.ArgumentParser()
parser.add_argument("--top-k", type=int, default=20)
parser.add_argument("--loss", default="mse", choices=["mse", "huber"])
parser.add_argument("--port", type=int, default=8080)
train_test_split([], test_size=0.2)
model = XGBClassifier(n_estimators=200, learning_rate=0.05, n_jobs=4, random_state=1, **PARAMS)
config = Config(overridden=n_bags)
print(f"{ratio:.3f}", config.lr, config.layers, config.act, config.use_bias, config.dropout, config.momentum)
print(config.overridden, HIDDEN, TABLE, score(None, 0.9), round(0.123, 2), unread(parser.parse_args()))
'''


def space(text: str, path: str = "train.py") -> KnobSpace:
    opened = open_knob_space(Source({path: text.encode()}), "cpu")
    assert opened is not None
    return opened


def test_every_kind_of_place_is_found_and_the_frame_is_not() -> None:
    found = {name.removeprefix("train.py:"): value for name, value in space(TABULAR).knobs.items()}
    assert found == {
        "n_bags": 3,
        "ratio": 0.25,
        "PARAMS.max_depth": 6,
        "PARAMS.eta": 0.3,
        "PARAMS.tree.min_child_weight": 2.0,
        "HIDDEN[0]": 128,
        "HIDDEN[1]": 64,
        "Config.lr": 3e-4,
        "Config.layers": 4,
        "Config.act": "relu",
        "Config.use_bias": True,
        "Config.dropout": 0.1,
        "Config.momentum": 0.9,
        "score.temp": 100.0,
        "score.temp.factor": 0.995,
        "score.rsi.threshold": 30,
        "score.value.weight": 0.4,
        "score.form.weight": 0.6,
        "--top-k": 20,
        "--loss": "mse",
        "XGBClassifier.n_estimators": 200,
        "XGBClassifier.learning_rate": 0.05,
    }


def test_what_the_code_shows_are_the_choices() -> None:
    rules = space(TABULAR).rules
    assert rules["train.py:--loss"].choices == ("mse", "huber")
    assert rules["train.py:Config.act"].choices == ("relu", "gelu")
    assert rules["train.py:Config.use_bias"].choices == (True, False)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ('opt = "adam"\nif opt == "sgd":\n    1\nelif opt == "adam":\n    2\n', ("sgd", "adam")),
        ('mode = "a"\nmatch mode:\n    case "a":\n        1\n    case "b" | "c":\n        2\n', ("a", "b", "c")),
        ('OPS = {"relu": abs, "gelu": int}\nact = "gelu"\nf = OPS[act]\n', ("relu", "gelu")),
        ('act = "relu"  # one of: relu, gelu, silu\nprint(act)\n', ("relu", "gelu", "silu")),
        ('act = "relu"  # "relu" | "gelu"\nprint(act)\n', ("relu", "gelu")),
    ],
)
def test_choices_of_words(text: str, choices: tuple[str, ...]) -> None:
    [rule] = [rule for rule in space(text).rules.values() if rule.choices]
    assert rule.choices == choices


def test_a_word_without_alternatives_is_no_knob() -> None:
    assert open_knob_space(Source({"a.py": b'name = "adam"\nif name == "sgd":\n    print(1)\n'}), "cpu") is None


@pytest.mark.parametrize(
    "said", ["do not change", "must match prepare.py", "fixed by the harness", "Don't touch this", "read-only"]
)
def test_a_comment_can_say_that_a_number_stays(said: str) -> None:
    text = f"alpha = 0.5  # {said}\n# {said}\nbeta = 0.7\nrate = 0.1\nprint(alpha, beta, rate)\n"
    assert list(space(text).knobs) == ["train.py:rate"]


def test_a_comment_can_say_the_range() -> None:
    rule = space("alpha = 0.5  # range 0.2 to 0.8\nprint(alpha)\n").rules["train.py:alpha"]
    assert (rule.low, rule.high) == (0.2, 0.8)


def test_names_survive_edits_elsewhere() -> None:
    grown = "# a new line\n\n\ndef before(x):\n    return x\n\n\n" + TABULAR.replace("import os", "import os, sys")
    assert space(grown).knobs == space(TABULAR).knobs


def test_the_knobs_of_the_known_files_keep_their_names(trainer: str, foreign: str) -> None:
    constants = [name for name in space(foreign).knobs if ":" not in name]
    assert constants == [
        *("ASPECT_RATIO", "HEAD_DIM", "WINDOW_PATTERN", "TOTAL_BATCH_SIZE", "UNEMBEDDING_LR", "MATRIX_LR"),
        *("ADAM_BETAS[0]", "ADAM_BETAS[1]", "WARMUP_RATIO", "WARMDOWN_RATIO", "DEPTH", "DEVICE_BATCH_SIZE"),
    ]
    assert len(space(trainer, "trainer/train.py").knobs) == 40
    assert not [name for name in space(trainer, "trainer/train.py").knobs if ":" in name]


def test_what_is_around_a_knob_stays_as_it_is() -> None:
    text = "# é\r\nα = {'rate': 1e-3,  # ← das\r\n\t'weiß': .5}\r\nprint('ü', α)\r\n"
    for name, value in read_knobs(text, "cpu").items():
        written = write_knobs(text, "cpu", {name: float(value) * 2})
        old = {"rate": "1e-3", "weiß": ".5"}[name.rpartition(".")[2]]
        new = {"rate": "2e-3", "weiß": "1.0"}[name.rpartition(".")[2]]
        assert written == text.replace(old, new)
    assert len(read_knobs(text, "cpu")) == 2


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b"# -*- coding: latin-1 -*-\n# caf\xe9\n", b""])
def test_bytes_that_are_no_text_of_ours_stay(head: bytes) -> None:
    content = head + b"rate = 0.5  # caf\xe9\r\nprint(rate)\n"
    opened = open_knob_space(Source({"a.py": content}), "cpu")
    assert opened is not None
    assert opened.set({"a.py:rate": 0.25}).files == {"a.py": content.replace(b"0.5", b"0.25")}


def test_every_knob_of_real_code_is_written_alone_and_read_back(root: Path) -> None:
    sources = [TABULAR, (root / "examples/vision/train.py").read_text(), (root / "prepare.py").read_text()]
    for text in sources:
        opened = space(text)
        for name, rule in opened.rules.items():
            wanted = next(iter(rule.neighbours(opened.knobs[name])), None)
            for idea in opened.turn({name: wanted}, "") if wanted is not None else ():
                edit = opened.edit(idea)
                assert edit is not None
                again = space(edit.files["train.py"].decode())
                assert again.knobs == {**opened.knobs, **idea.knobs}


@given(st.text(st.sampled_from("abrlt_ =([{}]):,.'\"#\\\n\r\t0159e-+*x\u00e9\udc80\x00\ufeff"), max_size=60))
def test_garbage_has_no_knobs_and_raises_nothing(text: str) -> None:
    for name in read_knobs(text, "cpu"):
        assert name


def test_members_of_an_enumeration_and_keys_of_a_table_are_choices() -> None:
    text = """
from enum import Enum, StrEnum

class Goal(Enum):
    FIRST = 1
    SECOND = 2

class Config:
    goal: Goal = Goal.FIRST  # no words here
    depth: int = 4

TABLE: dict[str, Config] = {"small": Config(1), "large": Config(2)}
ACTIVE = TABLE["small"]
SETTINGS = {"lr": 0.1, "wd": 0.5}
LR = SETTINGS["lr"]
PARTS = {"model": {"a": 1}, "data": {"b": 2}}
MODEL, DATA = PARTS["model"], PARTS["data"]
ACT = "relu"
act = {"relu": f, "gelu": g}
ACTS = {"relu": f, "gelu": g}
function = ACTS.get(ACT)
OPT = "adam"
OPTS = {"adam": f, "sgd": g}
if OPT not in OPTS:
    raise ValueError
RISK = Risk.VAR
if RISK is Risk.VAR:
    pass
elif RISK == Risk.CVAR:
    pass
print(ACTIVE, LR, MODEL, DATA, function, OPT, RISK, Config())
"""
    found = {literal.name: literal.choices for literal in read_python(text, "cpu").literals if literal.choices}
    assert found == {
        "Config.goal": ("FIRST", "SECOND"),
        "ACTIVE": ("small", "large"),
        "ACT": ("relu", "gelu"),
        "OPT": ("adam", "sgd"),
        "RISK": ("VAR", "CVAR"),
    }
    values = {literal.name for literal in read_python(text, "cpu").literals}
    assert "Goal.FIRST" not in values and "Config.depth" in values
    (goal,) = (literal for literal in read_python(text, "cpu").literals if literal.name == "Config.goal")
    assert "goal: Goal = Goal.SECOND  # no words" in spliced(text, {goal: "SECOND"})


ODD = {**DEEP, **{f"{name}, long": text for name, text in LONG.items()}}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_deep_code_hides_no_knobs_beside_it(odd: str) -> None:
    around = f"RATE = 0.1\n{odd}\nWIDTH = 64\nprint(RATE, WIDTH)\n"
    assert {"RATE", "WIDTH"} <= {literal.name for literal in read_python(around, "cpu").literals}
    inside = f"class A:\n    rate: float = 0.1\n{indented(odd)}\n    width: int = 64\nprint(A.rate, A.width)\n"
    assert {"A.rate", "A.width"} <= {literal.name for literal in read_python(inside, "cpu").literals}


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_does_not_parse_has_no_knobs(broken: str) -> None:
    assert read_python(f"RATE = 0.1\n{broken}\nprint(RATE)\n", "cpu").literals == ()
