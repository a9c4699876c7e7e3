from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.records import Source
from swarm.researchers.sweep.knob_space import KnobSpace, open_knob_space
from swarm.researchers.sweep.literals import Value
from swarm.researchers.sweep.token_literals import LANGUAGES, read_tokens

SCRIPT = """\
// const HIDDEN_LR = 0.5;
const CONFIG = { depth: 4, aggression: 0.75, text: "const a = 5;", nested: { alpha: 1e-3, port: 8080 } };
const MAX_DEPTH = 64_000; /* const b = 3; */
let wins = 0;
let temp = 100.5;
for (let i = 0; i < 3; i++) { wins += 1; }
export const ratio = .25, breadth = 3;
function evaluate(board) {
  const mobilityWeight = 0.1;
  return `x${5}` + mobilityWeight;
}
"""
RUST = """\
pub const ALPHA: f64 = 0.15;
const DEPTH: usize = 6;
static MASK: u32 = 0x1F;
fn main() { let cooling = 0.995_f64; let mut i = 0; i += 1; let width: u32 = 0x10; let name = r#"let x = 5;"#; }
impl Default for Params { fn default() -> Self { Params { beta: 0.5, iterations: 1_000, } } }
"""
CUDA = """\
#define BLOCK_SIZE 256
#define LR (0.01f) /* learning rate */
#define MAX(a, b) ((a) > (b) ? (a) : (b))
static const float momentum = 0.9f;
constexpr int TILE_DIM = 32, K2 = 4;
int main() { const double temperature = 1.0e2; int y = 5; struct P p = { .alpha = 0.3f, .beta = 0.5f }; }
"""
GO = """\
package main
const (
    alpha = 0.5 // weight
    depth int = 4
)
var Rate float64 = 0.25
func main() { k := 5; for i := 0; i < 3; i++ { println(k) } }
"""
JULIA = "const DEPTH = 6 # layers\nrate = 0.5\n#= const X = 3 =#\nfunction f(x)\n    y = 7\nend\n"
JAVA = "class Bot {\n  private static final double LEARNING_RATE = 0.05;\n  static final int PORT = 99;\n}\n"


def space(text: str, path: str) -> KnobSpace:
    opened = open_knob_space(Source({path: text.encode()}), "cpu")
    assert opened is not None
    return opened


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        (
            SCRIPT,
            "bot.js",
            {
                "CONFIG.depth": 4,
                "CONFIG.aggression": 0.75,
                "CONFIG.nested.alpha": 1e-3,
                "MAX_DEPTH": 64_000,
                "temp": 100.5,
                "ratio": 0.25,
                "breadth": 3,
                "evaluate.mobilityWeight": 0.1,
            },
        ),
        (
            RUST,
            "main.rs",
            {
                "ALPHA": 0.15,
                "DEPTH": 6,
                "main.cooling": 0.995,
                "main.width": 16,
                "Params.default.Params.beta": 0.5,
                "Params.default.Params.iterations": 1000,
            },
        ),
        (
            CUDA,
            "kernel.cu",
            {
                "BLOCK_SIZE": 256,
                "LR": 0.01,
                "momentum": 0.9,
                "TILE_DIM": 32,
                "K2": 4,
                "main.temperature": 100.0,
                "main.p.alpha": 0.3,
                "main.p.beta": 0.5,
            },
        ),
        (GO, "main.go", {"alpha": 0.5, "depth": 4, "Rate": 0.25, "main.k": 5}),
        (JULIA, "m.jl", {"DEPTH": 6, "rate": 0.5}),
        (JAVA, "Bot.java", {"Bot.LEARNING_RATE": 0.05}),
    ],
)
def test_constants_and_tables_are_found_by_token(text: str, path: str, found: dict[str, Value]) -> None:
    opened = space(text, path)
    assert {name.removeprefix(f"{path}:"): value for name, value in opened.knobs.items()} == found
    for name, rule in opened.rules.items():
        for value in rule.neighbours(opened.knobs[name]):
            for idea in opened.turn({name: value}, ""):
                edit = opened.edit(idea)
                assert edit is not None
                again = space(edit.files[path].decode(), path)
                assert again.knobs == {**opened.knobs, **idea.knobs}


def test_the_style_of_a_number_stays() -> None:
    turned = (
        space(RUST, "main.rs").set({"main.rs:main.cooling": 0.99, "main.rs:main.width": 32}).files["main.rs"].decode()
    )
    assert turned == RUST.replace("0.995_f64", "0.99_f64").replace("0x10", "0x20")


@given(
    st.text(st.sampled_from("constle fnxX01.5e-={}()[];:,#'\"/*`\\\n\r\t_\udc80\x00"), max_size=80),
    st.sampled_from(sorted(LANGUAGES)),
)
def test_garbage_raises_nothing(text: str, suffix: str) -> None:
    for literal in read_tokens(text, suffix):
        assert literal.name and literal.start < literal.end <= len(text)
