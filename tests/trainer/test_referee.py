"""The referee accepts honest models and names what is wrong with others.

python -m pytest tests/trainer/test_referee.py
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import prepare
from tests.trainer.conftest import edit
from trainer import candidate, harness, judge, readers, referee, seal, train
from trainer.costs import Costs

CPU = torch.device("cpu")
VOCAB = 512


class Honest(nn.Module):
    """Predicts from the current token and the mean of all earlier ones."""

    seq_len = 64

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Parameter(torch.randn(VOCAB, 8, generator=generator))
        self.head = nn.Parameter(torch.randn(8, VOCAB, generator=generator))

    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.cumsum(dim=1) / torch.arange(1, x.shape[1] + 1)[:, None]

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        return self.mix(self.table[idx]) @ self.head


class Clairvoyant(Honest):
    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.roll(-1, dims=1)


class SlightlyClairvoyant(Honest):
    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.01 * x.mean(dim=1, keepdim=True)


class Gossip(Honest):
    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(dim=0, keepdim=True).cumsum(dim=1) / x.shape[1]


class Learner(Honest):
    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.head[:, idx.flatten()] += 1e-3
        return super().forward(idx)


class Undecided(Honest):
    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        return super().forward(idx) * float("nan")


class Endless(Honest):
    seq_len = 10**6


class Here:
    """A reader whose model is in this process: the rules are the same wherever it is."""

    sealed = compiled = False

    def __init__(self, model: nn.Module) -> None:
        self.model, self.context, self.costs = model, model.seq_len, Costs()

    def begin(self) -> None: ...

    def rest(self) -> None: ...

    def wake(self) -> None: ...

    def end(self) -> None: ...

    def open(self, batch: int, context: int, vocab_size: int, device: torch.device, compiles: bool) -> None:
        self.shape = (batch, context, vocab_size)

    def ready(self) -> None:
        pass

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        assert tokens.shape == self.shape[:2]
        with torch.no_grad():
            return self.model(tokens).float()


def measure(model: nn.Module, corpus: prepare.Corpus) -> dict:
    readers = Here(model), Here(deepcopy(model))
    return judge.measure(*readers, CPU, corpus, "val", max_tokens=2048, spots=lambda bpb: 64)


def test_an_honest_model_is_measured_as_by_the_metric(corpus: prepare.Corpus) -> None:
    answer = measure(Honest(), corpus)
    plain = prepare.evaluate_bpb(Honest(), CPU, "val", 16, Honest.seq_len, corpus, 2048)
    assert (answer["val_bpb"], answer["val_loss"]) == pytest.approx((plain.bpb, plain.loss), abs=1e-4)
    assert (answer["tokens"], answer["bytes"], answer["split"]) == (2048, plain.bytes, "val")


@pytest.mark.parametrize(
    ("model", "check"),
    [
        (Clairvoyant, "causality"),
        (SlightlyClairvoyant, "causality"),
        (Gossip, "rows"),
        (Learner, "memory"),
        (Undecided, "finite"),
        (Endless, "context"),
    ],
)
def test_a_model_that_breaks_a_rule_is_invalid_by_name(model: type[nn.Module], check: str, corpus) -> None:
    with pytest.raises(judge.Invalid, match=f"^({check}): "):
        measure(model(), corpus)


class Rescaled(Honest):
    """Its rounding hangs on the whole batch, as with one scale of numbers in 8 bits: less than the tolerance, and to
    nobody's favour."""

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        return super().forward(idx) + 4.9e-4 * torch.sin(torch.arange(VOCAB) * (idx.sum() % 1_000_003))


class Alternating(Honest):
    """Favours the token that comes next in every other row, by less than the tolerance."""

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        hint = 9e-4 * nn.functional.one_hot(idx.roll(-1, dims=1), VOCAB)
        hint[1::2] = 0
        return super().forward(idx) + hint


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Rescaled, r"rows: other rows of the batch move a row's logits by 0\.00\d+$"),
        (Alternating, r"causality: (the token that comes next is known better|tokens from position \d+ on move)"),
    ],
)
def test_what_stays_below_the_tolerance_is_called_what_it_is(model: type[nn.Module], told: str, corpus) -> None:
    said = []
    for _ in range(10):  # rows are drawn by lot, and now and then a lot shows too little
        try:
            measure(model(), corpus)
        except judge.Invalid as invalid:
            said.append(str(invalid))
    assert sum(bool(re.match(told, words)) for words in said) >= 7, said


class Rarely(Honest):
    """Reads ahead in one row of five only: drawn by lot, rows of that kind are among those asked about again."""

    def mix(self, x: torch.Tensor) -> torch.Tensor:
        ahead = super().mix(x)
        ahead[::5] += x[::5].roll(-1, dims=1)
        return ahead


class Careful(Honest):
    """Reads ahead, but remembers what it said about a beginning and says it again when that beginning comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[bytes, torch.Tensor] = {}

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        logits = self.mix(self.table[idx]) @ self.head
        for row, tokens in enumerate(idx):
            for at in range(len(tokens)):
                logits[row, at] = self.said.setdefault(tokens[: at + 1].numpy().tobytes(), logits[row, at])
        return logits

    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.roll(-1, dims=1)


@pytest.mark.parametrize("model", [Rarely, Careful])
def test_reading_ahead_now_and_then_or_with_care_is_caught_all_the_same(model: type[nn.Module], corpus) -> None:
    with pytest.raises(judge.Invalid, match=r"^(causality|rows|memory): "):
        measure(model(), corpus)


class Answers(nn.Module):
    seq_len = 8

    def __init__(self, answer: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, idx: torch.Tensor) -> Any:
        return self.answer(idx)


@contextmanager
def served(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> Iterator[readers.Candidate]:
    """A candidate that is a thread instead of a process; all else is as always."""
    monkeypatch.setattr(train, "load_model", lambda folder, device: deepcopy(model))
    reader = readers.Candidate()
    thread = threading.Thread(target=candidate.serve, args=(reader.there, reader.taker, reader.memories))
    thread.start()
    try:
        reader.load(Path(), CPU)
        yield reader
    finally:
        reader.close()
        thread.join()


def test_logits_cross_from_one_side_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(
        Answers(lambda idx: torch.stack([idx, -idx, idx.bfloat16() / 2], dim=2).bfloat16()), monkeypatch
    ) as reader:
        assert reader.context == 8
        reader.open(2, 8, 3, CPU)
        reader.ready()
        for _ in range(2):
            tokens = torch.randint(100, (2, 8))
            logits = reader(tokens)
            assert logits.dtype == torch.float32
            assert torch.equal(logits, torch.stack([tokens, -tokens, tokens / 2], dim=2))
        kept = logits.clone()
        reader(tokens + 1)
        assert torch.equal(logits, kept), "an answer must not change under its reader"


@pytest.mark.parametrize("works", [True, False])
def test_a_model_that_cannot_be_compiled_is_read_as_it_is_and_that_is_said(
    works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiler(model: nn.Module, dynamic: bool) -> Callable[[torch.Tensor], torch.Tensor]:
        def compiled(idx: torch.Tensor) -> torch.Tensor:
            if not works:
                raise RuntimeError("the compiler fails")
            return model(idx)

        return compiled

    monkeypatch.setattr(torch, "compile", compiler)
    with served(Answers(lambda idx: torch.zeros(*idx.shape, 3)), monkeypatch) as reader:
        assert reader.context == 8
        reader.open(2, 8, 3, CPU, True)
        reader.ready()
        assert reader.compiled is works
        assert reader(torch.zeros(2, 8, dtype=torch.int64)).shape == (2, 8, 3)


class Compiled(Here):
    compiled = True


def test_readers_of_which_one_alone_is_compiled_measure_nothing(corpus: prepare.Corpus) -> None:
    """That is the machine's failing: it is measured again."""
    with pytest.raises(OSError, match="compiled for one reader"):
        judge.measure(Compiled(Honest()), Here(Honest()), CPU, corpus, "val", 2048)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda idx: torch.zeros(*idx.shape, 2), "shape: forward gives [2, 8, 2] instead of floats [2, 8, 3]"),
        (lambda idx: (torch.zeros(*idx.shape, 3), 0), "shape: forward gives tuple instead"),
        (lambda idx: torch.zeros(*idx.shape, 3, dtype=int), "shape: forward gives Tensor torch.int64 instead"),
    ],
)
def test_answers_of_the_wrong_shape_are_invalid(answer, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Answers(answer), monkeypatch) as reader:
        assert reader.context == 8
        reader.open(2, 8, 3, CPU)
        reader.ready()
        with pytest.raises(judge.Invalid, match=re.escape(told)):
            reader(torch.zeros(2, 8, dtype=torch.int64))


@pytest.mark.skipif(sys.platform != "linux", reason="seals are Linux's")
def test_a_candidate_cannot_take_the_memory_away_under_the_referee(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Answers(lambda idx: torch.zeros(*idx.shape, 3)), monkeypatch) as reader:
        assert reader.context == 8
        reader.open(2, 8, 3, CPU)
        reader.ready()
        for memory in reader.memories:
            with pytest.raises(PermissionError):
                os.ftruncate(memory, 0)


BROKEN = """
import torch
from torch import nn

class Model(nn.Module):
    seq_len = 64
    def forward(self, idx):
        return {forward}

def load_model(folder, device):
    {load}
    return Model()
"""


def measured(workspace: Path, run, folder: Path, forward: str, load: str = "") -> subprocess.CompletedProcess[str]:
    """The referee's word on a train.py that is only this."""
    (workspace / "trainer" / "train.py").write_text(BROKEN.format(forward=forward, load=load))
    (folder / "model.pt").touch()
    return run(workspace, "trainer.referee", SWARM_RUN_DIR=str(folder))


def test_a_candidate_that_cannot_be_loaded_is_told_with_its_own_words(workspace: Path, run, tmp_path: Path) -> None:
    result = measured(workspace, run, tmp_path, "0", load="raise ValueError('no such shape')")
    assert result.returncode == 1
    assert "ValueError: no such shape" in result.stderr
    assert "referee.py: the candidate's process ended" in result.stderr.splitlines()  # the other may still complain
    assert not (tmp_path / "referee.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_two_processes_see_inputs_only_and_cannot_talk_to_each_other(workspace: Path, run, tmp_path: Path) -> None:
    """The witness may learn nothing of what the other was asked, or the two could agree on what to say."""
    load = "import os; spaces = (os.readlink(f'/proc/self/ns/{kind}') for kind in ('net', 'ipc', 'user')); "
    load += "os.write(1, f'spaces {\" \".join(spaces)}\\n'.encode())"  # whole lines: two processes write to one pipe
    forward = "{(128, 64, torch.int64): torch.zeros(*idx.shape, 512)}[*idx.shape, idx.dtype]"
    result = measured(workspace, run, tmp_path, forward, load)
    assert result.returncode == 0, result.stderr
    first, second = (set(line.split()[1:]) for line in result.stdout.splitlines() if line.startswith("spaces"))
    assert len(first) == 3 and not first & second


@pytest.mark.skipif(sys.platform != "linux", reason="the seal is Linux's")
def test_what_a_model_says_once_it_knows_rows_reaches_nobody(workspace: Path, run, tmp_path: Path) -> None:
    """What is printed comes into a log that language models read: held-out text must not."""
    load = "import types; asked = []"
    forward = "(print(idx), asked.append(0), torch.zeros(*idx.shape, 512))[2] if not asked else {}[idx]"
    result = measured(workspace, run, tmp_path, forward.replace("asked", "self.asked"), load + "; Model.asked = asked")
    assert result.returncode == 1
    said = result.stdout.partition("tensor")[2]
    assert said.count("tensor") == 1, "both printed at their first call, which is not about held-out text"
    line = next(line for line in result.stderr.splitlines() if line.startswith("referee.py: "))
    assert re.fullmatch(r"referee.py: forward fails on held-out text, .*: KeyError, line 8", line)


def test_a_warm_referee_waits_for_its_turn(workspace: Path, cache: Path, tmp_path: Path) -> None:
    (workspace / "trainer" / "train.py").write_text(BROKEN.format(forward="torch.zeros(*idx.shape, 512)", load=""))
    environment = {"PATH": "", "AUTORESEARCH_CACHE": str(cache), "SWARM_DEVICE": "cpu", "SWARM_RUN_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-m", "trainer.referee", "--wait"], cwd=workspace, env=environment, stdin=subprocess.PIPE
    ) as process:
        time.sleep(0.5)
        (tmp_path / "model.pt").touch()
        time.sleep(0.5)
        assert process.poll() is None and not (tmp_path / "referee.json").exists()
        process.communicate(b"go\n")
    assert process.returncode == 0
    assert json.loads((tmp_path / "referee.json").read_text())["overhead_seconds"] >= 0


def test_the_answer_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    referee.write_answer(tmp_path, {"val_bpb": 1.0}, "val")
    with pytest.raises(TypeError):
        referee.write_answer(tmp_path, {"val_bpb": object()}, "val")
    assert json.loads((tmp_path / "referee.json").read_text()) == {"val_bpb": 1.0}


def test_the_answer_is_where_no_training_writes_if_there_is_such_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run := tmp_path / "run").mkdir()
    (answers := tmp_path / "answers").mkdir()
    monkeypatch.setenv("SWARM_RUN_DIR", str(run))
    monkeypatch.setenv("REFEREE_ANSWERS", str(answers))
    assert referee.tell({"invalid": "causality"}, "val") == 3
    assert json.loads((answers / "referee.json").read_text()) == {"invalid": "causality"}
    assert list(run.iterdir()) == []


def test_a_link_that_a_training_left_leads_the_answer_nowhere(tmp_path: Path) -> None:
    """The referee runs with the rights of whoever launched the swarm: it must not write where edited code points."""
    (tmp_path / "ledger").write_text("precious")
    (tmp_path / "referee.json.part").mkdir()
    (tmp_path / "referee.json").symlink_to(tmp_path / "ledger")
    referee.write_answer(tmp_path, {"val_bpb": 1.0}, "val")
    assert (tmp_path / "ledger").read_text() == "precious"
    assert json.loads((tmp_path / "referee.json").read_text()) == {"val_bpb": 1.0}


def test_another_split_has_another_answer_beside_the_first(workspace: Path, cache: Path, tmp_path: Path) -> None:
    (workspace / "trainer" / "train.py").write_text(BROKEN.format(forward="torch.zeros(*idx.shape, 512)", load=""))
    (tmp_path / "model.pt").touch()
    (tmp_path / "referee.json").write_text("the answer on val")
    environment = {"PATH": "", "AUTORESEARCH_CACHE": str(cache), "SWARM_DEVICE": "cpu", "SWARM_RUN_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "trainer.referee", "--split", "test"]
    subprocess.run(command, cwd=workspace, env=environment, check=True)
    assert json.loads((tmp_path / "referee-test.json").read_text())["split"] == "test"
    assert (tmp_path / "referee.json").read_text() == "the answer on val"


def test_a_candidate_that_reads_ahead_is_caught_end_to_end(workspace: Path, run, tmp_path: Path) -> None:
    edit(workspace, "self.head(self.features(idx))", "self.head((x := self.features(idx)) + x.mean(1, True))")
    folder = tmp_path / "run"
    trained = run(workspace, "trainer.train", SWARM_RUN_DIR=str(folder), TIME_BUDGET="1")
    assert trained.returncode == 0, trained.stderr
    result = run(workspace, "trainer.referee", SWARM_RUN_DIR=str(folder))
    assert result.returncode == 3, result.stderr
    answer = json.loads((folder / "referee.json").read_text())
    assert list(answer) == ["invalid"]
    assert answer["invalid"].startswith("causality: ")


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "device", "huge"])
def test_a_model_that_is_no_plain_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """Whoever opens a pipe waits for somebody who writes to it; such a run took the referee's whole time."""
    model = tmp_path / "model.pt"
    match kind:
        case "pipe":
            os.mkfifo(model)
        case "link":
            (tmp_path / "weights").touch()
            model.symlink_to("weights")
        case "folder":
            model.mkdir()
        case "device":
            model.symlink_to("/dev/zero")
        case "huge":
            with model.open("wb") as file:
                file.truncate(referee.LARGEST_MODEL + 1)
    why = "is larger than 64 GB" if kind == "huge" else "is no plain file"
    with pytest.raises(harness.SetupError, match=f"model.pt {why}"):
        referee.check_model(model)


def test_without_a_model_the_referee_says_so(workspace: Path, run, tmp_path: Path) -> None:
    for folder in (None, str(tmp_path)):
        result = run(workspace, "trainer.referee", SWARM_RUN_DIR=folder)
        assert result.returncode == 2
        assert "train there first" in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(not seal.works(), reason="readers are sealed on Linux alone")
def test_a_reader_holds_nothing_of_its_judge_and_the_text_comes_once_it_is_sealed(
    workspace: Path, run, cache: Path, tmp_path: Path
) -> None:
    """They are forks of one process: what it has, it gets when they can only compute."""
    load = "import os; held = map('/proc/self/fd/{}'.format, range(3, 99)); told = [*filter(os.path.exists, held)]; "
    load += "maps = [name for name in open('/proc/self/maps') if '.bin' in name]; "
    load += "peek = [os.access(f'/proc/{os.getppid()}/mem', os.R_OK), os.access(f'/proc/{os.getppid()}/fd', os.R_OK)]; "
    load += "os.write(1, f'holds {len(told)} {len(maps)} {peek}\\n'.encode())"
    result = measured(workspace, run, tmp_path, "torch.zeros(*idx.shape, 512)", load)
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("holds")]
    assert len(lines) == 2
    for line in lines:  # its channel, two memories, and where its listener went; what lists them
        count, mapped, peek = line.split(maxsplit=3)[1:]
        assert int(count) <= 5 and mapped == "0", line
        assert peek == "[False, False]" or os.geteuid() == 0, line
    assert json.loads((tmp_path / "referee.json").read_text())["readers"] == "sealed"


@pytest.mark.skipif(not seal.works(), reason="readers are sealed on Linux alone")
def test_a_forked_reader_that_does_anything_but_compute_is_told_by_name(workspace: Path, run, tmp_path: Path) -> None:
    forward = (
        "(open('/proc/self/stat') if (idx == idx[0, 0]).all() or self.calls.append(0) or len(self.calls) > 1 else 0, "
    )
    forward += "torch.zeros(*idx.shape, 512))[1]"
    result = measured(workspace, run, tmp_path, forward, "Model.calls = []")
    assert result.returncode == 3, result.stderr
    assert json.loads((tmp_path / "referee.json").read_text())["invalid"].startswith(
        "sealed: the model asks the system"
    )


@pytest.mark.skipif(not seal.works() or torch.cuda.is_available(), reason="readers are sealed on Linux's CPUs alone")
def test_readers_are_sealed_also_where_nobody_says_that_this_is_a_cpu(workspace: Path, run, tmp_path: Path) -> None:
    (workspace / "trainer" / "train.py").write_text(BROKEN.format(forward="torch.zeros(*idx.shape, 512)", load=""))
    (tmp_path / "model.pt").touch()
    result = run(workspace, "trainer.referee", "--split", "test", SWARM_RUN_DIR=str(tmp_path), SWARM_DEVICE=None)
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "referee-test.json").read_text())["readers"] == "sealed"


def test_importing_torch_once_serves_judge_and_readers(workspace: Path, run, tmp_path: Path) -> None:
    """The referee itself never does, and neither reader again: it takes longer than measuring a small model."""
    load = "import os; os.write(1, f'reader of {os.getppid()}\\n'.encode())"
    (workspace / "trainer" / "train.py").write_text(BROKEN.format(forward="torch.zeros(*idx.shape, 512)", load=load))
    (tmp_path / "model.pt").touch()
    result = run(workspace, "trainer.referee", SWARM_RUN_DIR=str(tmp_path), PYTHONPROFILEIMPORTTIME="1")
    assert result.returncode == 0, result.stderr[-2000:]
    imports = [line for line in result.stderr.splitlines() if line.rpartition("|")[2] == " torch"]
    assert len(imports) == 1
    assert len({line for line in result.stdout.splitlines() if line.startswith("reader of")}) == 1


def test_more_places_are_asked_about_where_a_run_may_be_kept_as_far_as_its_budget_goes(monkeypatch) -> None:
    monkeypatch.setenv(judge.BAR, "2.0")
    assert [judge.spots_for(4.0)(bpb) for bpb in (1.9, 2.1)] == [256, 16]
    assert [judge.spots_for(300.0)(bpb) for bpb in (1.9, 2.1)] == [2048, 1200]
