"""What the gate refuses before a GPU is spent on it, and what it must let pass.

python -m pytest tests/trust
"""

from __future__ import annotations

import inspect
import re

import pytest

import prepare
from swarm.agent.edit_check import fault
from swarm.project.project import load_project
from swarm.records import Edit, Source
from swarm.researchers.sweep.knobs import read_knobs, write_knobs
from swarm.researchers.sweep.playbook import rule_for
from swarm.researchers.sweep.structures import PATCHES
from tests.trust.edits import COUNTED, HONEST, MEASURED, REFUSED, ROOT, TRAIN, Change
from trainer import harness

PATH = "trainer/train.py"
PROJECT = load_project(ROOT)


def told(code: str, parent: str = TRAIN) -> str:
    return fault(Edit({PATH: code.encode()}), Source({PATH: parent.encode()}), PROJECT)


def test_there_is_enough_of_both() -> None:
    assert len(REFUSED) + len(MEASURED) >= 20 and len(HONEST) >= 20
    assert len({change.name for change in (*REFUSED, *MEASURED, *COUNTED, *HONEST)}) == len(
        REFUSED + MEASURED + COUNTED + HONEST
    )


@pytest.mark.parametrize("cheat", REFUSED, ids=lambda cheat: cheat.name)
def test_a_cheat_in_plain_sight_is_refused_by_name(cheat: Change) -> None:
    said = told(cheat.code)
    assert said.startswith(f"is refused by a check of {PATH}: {cheat.check}: "), said
    assert "\n" not in said and len(said) < 200


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_honest_edits_pass(honest: Change) -> None:
    assert told(honest.code) == ""


@pytest.mark.parametrize(
    "ordinary",
    [
        "def inner(model): return model._orig_mod",
        """class Gain(torch.nn.Module):
    def _h(self): return type(self)._h

    def same(self, other): return super()._h() == other._w""",
        "def small(preset): return preset._replace(depth=1)._asdict()",
        "def plain(parameters): return [p for p in parameters if not p._no_decay and p._version == 0]",
        "def due(schedule, batch): return schedule.tokens > 10 and batch.offsets is None",
        "def build(model, compile: bool = True, eval=None):\n    if compile:\n        return eval",
        "def choose(model):\n    compile = model.training\n    return compile",
        "compile = True\nif compile:\n    print('compiles')",
        "def eval(model): return model.eval()\n\n\nlosses = eval(torch.nn.Linear(1, 1))",
        """import triton
import triton.language as tl


@triton.jit
def copy(source, target, size: tl.constexpr):
    at = tl.arange(0, size)
    tl.store(target + at, tl.load(source + at))""",
        "def measure(model):\n    model.compile()\n    return model.eval()",
        "import re\n\nLAYER = re.compile('[0-9]+')",
        "same = torch._C._GLIBCXX_USE_CXX11_ABI",
        "window = torch.signal.windows.hann",
        "def choose(x): return torch.select(x, 0, 1), x.select(0, 1)",
        "def kind(x): return isinstance(x, torch.types.Number)",
    ],
    ids=lambda code: code.splitlines()[0],
)
def test_ordinary_code_passes(ordinary: str) -> None:
    """Underscores, common names and kernels are everybody's, whoever else uses them for a cheat."""
    assert told(f"{TRAIN}\n\n{ordinary}\n") == ""


def test_a_line_that_only_tells_the_seed_may_go() -> None:
    line = '    print("seed", args.seed)\n    log.info(f"run {args.seed}")\n'
    parent = f"def main(args, log):\n{line}    torch.manual_seed(args.seed)\n"
    assert told(parent.replace(line, ""), parent) == ""
    assert told(parent.replace("manual_seed(args.seed)", "manual_seed(1)"), parent).endswith("as it was")


def test_the_gate_knows_every_private_name_of_the_fixed_files_that_is_worth_reaching_for() -> None:
    found = set()
    for kind in (prepare.TrainLoader, harness.BudgetClock, harness.Journal):
        found.update(re.findall(r"(?:self\.|def )(_[a-z]\w*)", inspect.getsource(kind)))
    assert len(found) > 8
    assert {name for name in found if told(f"{TRAIN}\n\ndef reach(it): return it.{name}\n") == ""} == set()


def test_what_stood_there_before_is_no_news() -> None:
    """The project's own file may do what an edit may not begin to do."""
    bold = TRAIN.replace("import torch\n", "import os\nimport torch\n", 1) + '\nos.environ["X"] = "1"\n'
    assert told(bold + "\nX = 1\n", bold) == ""
    assert told(bold + '\nos.environ["Y"] = "1"\n', bold) != ""


def test_every_play_of_the_sweep_passes() -> None:
    edits = [changed for patch in PATCHES if (changed := patch.apply(TRAIN))]
    for device in ("cpu", "cuda", "mps"):
        numbers = {name: value for name, value in read_knobs(TRAIN, device).items() if rule_for(name, value)}
        edits.append(write_knobs(TRAIN, device, {k: 2 * v for k, v in numbers.items() if v and not isinstance(v, str)}))
    assert len(edits) > 20
    assert {said for code in edits if (said := told(code))} == set()
