"""Two readers that talk to each other agree on a lie: what they would win, and that they cannot.

python -m pytest tests/trust/test_readers.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import prepare
from swarm.views.plan import _in_turn
from tests.trainer.test_referee import BROKEN, CPU, VOCAB, Here, measured
from trainer import judge, seal

KNOWN = 10  # tokens that tell a row from all others


class Told(nn.Module):
    """Knows the token that comes next, from where a row can be told from others on. What it was shown it leaves where
    the other one looks, who answers about a row as it was asked of the first."""

    seq_len = 64

    def __init__(self, told: list[torch.Tensor], listens: bool) -> None:
        super().__init__()
        self.told, self.listens = told, listens

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        rows = torch.stack([self._first(row) if self.listens else row for row in idx])
        self.told.extend([] if self.listens else rows.clone())
        known = 30.0 * nn.functional.one_hot(rows.roll(-1, 1), VOCAB)
        known[:, :KNOWN] = 0
        return known

    def _first(self, row: torch.Tensor) -> torch.Tensor:
        common = [int((row == other).long().cumprod(0).sum()) for other in self.told]
        return self.told[common.index(max(common))] if common else row


class Talking(Here):
    """A reader beside the other one, at the same time, with a place that both see."""

    sealed = True


def test_readers_that_can_talk_make_a_champion_of_a_model_that_looks_ahead(corpus: prepare.Corpus) -> None:
    told: list[torch.Tensor] = []
    pair = Talking(Told(told, False)), Talking(Told(told, True))
    answer = judge.measure(*pair, CPU, corpus, max_tokens=2048, spots=lambda bpb: 64)
    assert answer["val_bpb"] < 0.6


def test_the_same_without_a_place_that_both_see_is_caught(corpus: prepare.Corpus) -> None:
    pair = Talking(Told([], False)), Talking(Told([], True))
    with pytest.raises(judge.Invalid, match=r"^(causality|memory|rows): "):
        judge.measure(*pair, CPU, corpus, max_tokens=2048, spots=lambda bpb: 64)


FILE = (  # both open a file while the model is loaded, and pass rows on through it
    "import os; Model.fd = os.open({place!r}, os.O_RDWR | os.O_CREAT)",
    "(__import__('os').pwrite(self.fd, idx.numpy().tobytes(), 0), torch.zeros(*idx.shape, 512))[1]",
)
LOCKS = (  # the file need not be written to: which bytes are locked says something
    "import os; Model.fd = os.open(__file__, os.O_RDONLY)",
    "(__import__('fcntl').lockf(self.fd, 1, 1, int(idx[0, 1])), torch.zeros(*idx.shape, 512))[1]",
)
SIGNALS = (
    "import os; Model.parent = os.getppid()",
    "(__import__('os').kill(self.parent, 0), torch.zeros(*idx.shape, 512))[1]",
)
SIZES = (  # how long it takes, or how much memory, which others can see
    "import os; Model.fd = os.open('/proc/self/statm', os.O_RDONLY)",
    "(__import__('os').pread(self.fd, 99, 0), torch.zeros(*idx.shape, 512))[1]",
)
WAKES = (  # whoever waits at that place of a library's file, which all processes map, is woken, and the waker knows
    "import ctypes; Model.call = ctypes.CDLL(None).syscall; Model.place = next(int(line.split('-')[0], 16)"
    " for line in open('/proc/self/maps') if 'libtorch_cpu' in line and 'r-xp' in line); Model.number = {number}",
    "(self.call(self.number, __import__('ctypes').c_void_p(self.place), 1, 1, None, None, 0),"
    " torch.zeros(*idx.shape, 512))[1]",
)


@pytest.mark.skipif(not seal.works(), reason="this kernel seals no process")
@pytest.mark.parametrize("way", [LOCKS, SIGNALS, SIZES, WAKES], ids=["locks", "signals", "sizes", "wakes"])
def test_a_reader_that_passes_something_on_ends_the_run_as_cheating(
    way: tuple[str, str], workspace: Path, run, tmp_path: Path
) -> None:
    """At its first call, on tokens that say nothing, nothing is held against it; from then on it may only compute."""
    load, forward = way[0].replace("{number}", str(seal.number("futex"))), way[1]
    first = "Model.calls = 0"
    count = "setattr(Model, 'calls', Model.calls + 1)"
    model = f"({count}, torch.zeros(*idx.shape, 512) if Model.calls < 2 else {forward})[1]"
    result = measured(workspace, run, tmp_path, model, f"{load}; {first}")
    assert result.returncode == 3, result.stderr
    answer = json.loads((tmp_path / "referee.json").read_text())
    assert answer["invalid"].startswith("sealed: the model asks the system for "), answer


@pytest.mark.skipif(not seal.works(), reason="this kernel seals no process")
def test_a_file_that_both_could_write_to_cannot_be_opened(workspace: Path, run, tmp_path: Path) -> None:
    load, forward = FILE
    result = measured(workspace, run, tmp_path, forward, load.format(place=str(tmp_path / "passed-on")))
    assert result.returncode == 1 and "Read-only file system" in result.stderr
    assert not (tmp_path / "passed-on").exists()


LEAVES = """
import os, pathlib
place = pathlib.Path(os.environ["REFEREE_SCRATCH"])
with open(os.environ["SWARM_RUN_DIR"] + "/found", "a") as told:
    print("found", sorted(path.name for path in place.iterdir()), file=told)
(place / f"{len(list(place.iterdir()))}-loaded").touch()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import time
        while True:
            time.sleep(0.01)
            (place / "late").touch()
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="who descends from whom is read from /proc")
def test_where_no_seal_is_the_second_reader_finds_what_was_there_before_the_first_was_asked(
    workspace: Path, run, tmp_path: Path
) -> None:
    """As on CUDA: what the first one compiled is there, and neither what it wrote later nor what it left running."""
    fixed = workspace / "trainer" / "seal.py"
    fixed.write_text(fixed.read_text().replace("def works() -> bool:", "def works() -> bool:\n    return False\n", 1))
    scratch, model = tmp_path / "scratch", tmp_path / "run"
    scratch.mkdir()
    model.mkdir()
    (workspace / "leaves.py").write_text(LEAVES)
    forward = "((__import__('pathlib').Path(__import__('os').environ['REFEREE_SCRATCH']) / 'asked').touch() if"
    forward += " idx.unique().numel() < 500 else None, torch.zeros(*idx.shape, 512))[1]"
    (model / "model.pt").touch()
    (workspace / "trainer" / "train.py").write_text(BROKEN.format(forward=forward, load="import leaves"))
    result = run(workspace, "trainer.referee", SWARM_RUN_DIR=str(model), REFEREE_SCRATCH=str(scratch))
    assert result.returncode == 0, result.stderr
    answer = json.loads((model / "referee.json").read_text())
    assert answer["readers"] == "in turn" and "sealed" not in answer["checks"]
    found = (model / "found").read_text().splitlines()
    assert found[0] == "found []" and "asked" not in found[1] and "0-loaded" in found[1], found


@pytest.mark.parametrize(("device", "said"), [
    ("cuda", True), ("mps", True), ("cpu", sys.platform != "linux"), ("cpu: AMD EPYC", sys.platform != "linux"),
])  # fmt: skip
def test_the_plan_says_where_nothing_seals_the_readers(device: str, said: bool) -> None:
    assert ("one after the other" in _in_turn(device, ["{python}", "-m", "trainer.referee"])) == said
    assert _in_turn(device, ["make", "measure"]) == ""
