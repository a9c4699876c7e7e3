from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.records import Source
from swarm.researchers.sweep.config_literals import CONFIGS, read_config
from swarm.researchers.sweep.knob_space import KnobSpace, open_knob_space
from swarm.researchers.sweep.literals import Value, spliced

YAML = """\
# what is tuned
model:
  lr: 1e-3   # learning rate
  layers: [64, 32]
  act: relu  # one of: relu, gelu, silu
  opt: {name: adam, beta: 0.9}
  "quoted key": 0.25
trees:
  - depth: 3
    rate: 0.1
  - depth: 5
    rate: 0.2
seed: 42
server: {port: 8080}
note: |
  lr: 5
use_bias: true   # a switch
version: 1.2
"""
JSON = """\
{
  // ours
  "model": {"lr": 1e-3, "depth": 6, "port": 80},
  "weights": [0.5, 0.25],
  "use_atr": false,
}
"""
TOML = """\
[model]  # ours
lr = 1e-3
layers = [64, 32]
buffer = 64_000
opt = { beta = 0.9, name = "adam" }
note = '''
lr = 3
'''
[[stage]]
epochs = 5
[[stage]]
epochs = 7
"""
INI = "[train]\nlr = 0.01   ; fast\nepochs: 5\npath = 3\n[model]\nuse_bias = yes\ndropout=.1\n"


def space(text: str, path: str) -> KnobSpace:
    opened = open_knob_space(Source({path: text.encode()}), "cpu")
    assert opened is not None
    return opened


def knobs(text: str, path: str) -> dict[str, Value]:
    return {name.removeprefix(f"{path}:"): value for name, value in space(text, path).knobs.items()}


def test_yaml() -> None:
    assert knobs(YAML, "c.yaml") == {
        "model.lr": 1e-3,
        "model.layers[0]": 64,
        "model.layers[1]": 32,
        "model.act": "relu",
        "model.opt.beta": 0.9,
        "model.quoted key": 0.25,
        "trees[0].depth": 3,
        "trees[0].rate": 0.1,
        "trees[1].depth": 5,
        "trees[1].rate": 0.2,
        "use_bias": True,
    }
    written = space(YAML, "c.yaml").set(
        {"c.yaml:model.act": "gelu", "c.yaml:trees[1].rate": 0.3, "c.yaml:use_bias": False}
    )
    changed = (
        YAML.replace("act: relu", "act: gelu").replace("rate: 0.2", "rate: 0.3").replace("bias: true", "bias: false")
    )
    assert written.files["c.yaml"].decode() == changed


def test_json() -> None:
    found = {"model.lr": 1e-3, "model.depth": 6, "weights[0]": 0.5, "weights[1]": 0.25, "use_atr": False}
    assert knobs(JSON, "c.json") == found
    written = space(JSON, "c.json").set({"c.json:model.depth": 8, "c.json:use_atr": True}).files["c.json"].decode()
    assert written == JSON.replace('"depth": 6', '"depth": 8').replace("false", "true")


def test_toml() -> None:
    found = {"model.lr": 1e-3, "model.layers[0]": 64, "model.layers[1]": 32, "model.buffer": 64_000}
    found |= {"model.opt.beta": 0.9, "stage[0].epochs": 5, "stage[1].epochs": 7}
    assert knobs(TOML, "c.toml") == found
    written = space(TOML, "c.toml").set(
        {"c.toml:model.lr": 0.0015, "c.toml:stage[1].epochs": 9, "c.toml:model.buffer": 96_000}
    )
    text = written.files["c.toml"].decode()
    assert text == TOML.replace("1e-3", "1.5e-3").replace("= 7", "= 9").replace("64_000", "96_000")
    assert tomllib.loads(text)["model"]["lr"] == 0.0015


def test_ini() -> None:
    assert knobs(INI, "c.ini") == {"train.lr": 0.01, "train.epochs": 5, "model.dropout": 0.1}
    assert space(INI, "c.ini").set({"c.ini:model.dropout": 0.2}).files["c.ini"].decode() == INI.replace("=.1", "=.2")


@pytest.mark.parametrize("text", ["{", '{"a": 1', '{"a" 1}', "[1, 2", "{'a': 1}", '{"a": 1} x', ""])
def test_broken_json_has_no_knobs(text: str) -> None:
    assert read_config(text, "json") == ()


def test_a_number_that_yaml_reads_as_text_stays_away() -> None:
    assert (
        open_knob_space(Source({"c.yaml": b"rate: 0123\ndate: 2024-01-05\nip: 10.0.0.1\nzip: '0.5x'\n"}), "cpu") is None
    )


leaves = st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
trees = st.recursive(leaves, lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3), max_leaves=8)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), trees, max_size=4), st.sampled_from([None, 2]))
def test_every_leaf_of_json_is_found_and_written_alone(tree: dict[str, object], indent: int | None) -> None:
    text = json.dumps(tree, indent=indent)
    for literal in read_config(text, "json"):
        inside: object = tree
        for part in literal.name.split("."):
            assert isinstance(inside, dict)
            inside = inside[part]
        assert literal.value == inside and type(literal.value) is type(inside)
        if isinstance(inside, float) and not isinstance(inside, bool):
            again = {other.name: other.value for other in read_config(spliced(text, {literal: 0.125}), "json")}
            assert again == {**{other.name: other.value for other in read_config(text, "json")}, literal.name: 0.125}


@given(
    st.text(st.sampled_from("ab0.5e-:=[]{},#'\"| \t\r\n\udc80\x00\ufeff&*!>;"), max_size=60),
    st.sampled_from(sorted(CONFIGS)),
)
def test_garbage_raises_nothing(text: str, suffix: str) -> None:
    for literal in read_config(text, suffix):
        assert literal.name is not None and literal.start < literal.end <= len(text)
