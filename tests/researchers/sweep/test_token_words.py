from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.records import Source
from swarm.researchers.sweep.knob_space import KnobSpace, open_knob_space
from swarm.researchers.sweep.literals import Value
from swarm.researchers.sweep.token_literals import LANGUAGES, read_tokens

TYPESCRIPT = """\
// const OLD = "dfs"; // dfs | bfs
export const cfg: Config = { kind: "adam", useBias: true, name: "mine", seed: "a" };
const say = "const HIDDEN = true; const HIDDEN = 'x'";
const style: "round" | "flat" = "round";
type Level = "low" | "high";
const effort: Level = "low";
enum Mode { Fast, Slow = 2 }
const mode = Mode.Fast;
const algo = "dfs"; // dfs | bfs
const USE_CACHE_LINES = false;
let found = false;
found = true;
let sort = "up";
if (sort === "up") {} else if (sort === "down") {}
switch (cfg.kind) { case "adam": break; case "sgd": { break; } }
"""
RUST = """\
#[derive(Clone)] enum Init { Greedy, Random }
const ADAPTIVE: bool = true;
const ORDER: &str = "near"; // one of: near, far
fn main() { let init = Init::Greedy; let rule = "best".to_string();
  match rule.as_str() { "best" => 1, "first" => 2, _ => 3 };
  match init { Init::Greedy => 1, Init::Random => 2 }; }
"""
CPP = """\
enum class Move { TwoOpt, OrOpt };
static const bool USE_RESTARTS = true;
const Move move = Move::TwoOpt;
int main() { bool ok = true; }
"""
JAVA = """\
class Bot { enum Style { CALM, BOLD } static final Style STYLE = Style.CALM; static final boolean GREEDY = false;
  String plan = "near"; int f() { if (plan.equals("near")) return 1; if (plan.equals("far")) return 2; } }
"""


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        (
            "bot.ts",
            TYPESCRIPT,
            {
                "kind": ("adam", {"sgd"}),
                "useBias": (True, {False}),
                "style": ("round", {"flat"}),
                "effort": ("low", {"high"}),
                "mode": ("Fast", {"Slow"}),
                "algo": ("dfs", {"bfs"}),
                "sort": ("up", {"down"}),
            },
        ),
        (
            "main.rs",
            RUST,
            {
                "ADAPTIVE": (True, {False}),
                "ORDER": ("near", {"far"}),
                "init": ("Greedy", {"Random"}),
                "rule": ("best", {"first"}),
            },
        ),
        ("main.cpp", CPP, {"USE_RESTARTS": (True, {False}), "move": ("TwoOpt", {"OrOpt"})}),
        (
            "Bot.java",
            JAVA,
            {"STYLE": ("CALM", {"BOLD"}), "GREEDY": (False, {True}), "plan": ("near", {"far"})},
        ),
    ],
)
def test_switches_words_and_members_with_alternatives_are_knobs(
    path: str, text: str, found: dict[str, tuple[Value, set[Value]]]
) -> None:
    opened = _space(text, path)
    seen = {
        name.removeprefix(f"{path}:"): (opened.knobs[name], set(rule.neighbours(opened.knobs[name])))
        for name, rule in opened.rules.items()
        if isinstance(opened.knobs[name], bool | str)
    }
    assert seen == found
    for name, rule in opened.rules.items():
        for value in rule.neighbours(opened.knobs[name]):
            for idea in opened.turn({name: value}, ""):
                edit = opened.edit(idea)
                assert edit is not None
                assert _space(edit.files[path].decode(), path).knobs == {**opened.knobs, **idea.knobs}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "enum",
                "Mode",
                "{",
                "}",
                "A",
                "B",
                ",",
                "::",
                ".",
                "=",
                ":",
                '"a"',
                "'b'",
                "|",
                "true",
                ";",
                "//",
                "switch",
                "(",
                ")",
                "case",
                "x",
                "const",
                "===",
                "/*",
                "*/",
                "type",
                "get",
                "set",
                "3",
                "`",
                "\n",
                " ",
            ]
        ),
        max_size=30,
    ),
    st.sampled_from(sorted(LANGUAGES)),
)
def test_no_text_raises_and_what_is_found_stands_there(words: list[str], suffix: str) -> None:
    text = " ".join(words)
    for literal in read_tokens(text, suffix):
        written = text[literal.start : literal.end]
        if isinstance(literal.value, bool):
            assert written == str(literal.value).lower()
        elif isinstance(literal.value, str):
            assert written.strip("\"'") == literal.value


def _space(text: str, path: str) -> KnobSpace:
    opened = open_knob_space(Source({path: text.encode()}), "cpu")
    assert opened is not None
    return opened
