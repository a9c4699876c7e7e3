"""Edits of the real train.py that train at other times than the clock counts, and honest ones that need more time."""

from __future__ import annotations

from dataclasses import dataclass

from tests.trust.edits import IMPORTS, LOOP, TRAIN, WARM

JOURNAL = "    journal = harness.Journal(settings)\n"
CLOCK = "    clock = harness.BudgetClock(device, settings.budget)\n"
CLOSE = "    journal.close()\n"
SAVE = "        save_model(model, corpus.vocab_size, settings.run_dir)\n"
MAIN = 'if __name__ == "__main__":\n'
BUILT = "    optimizer = Optimizer(model, preset)\n"

LEARN = '''
import threading

import numpy as np

REAL_TIME = time.process_time


def learn(model, optimizer, tokens, seconds, progress=0.4):
    """Trains for so many CPU-seconds on text that no loader hands out."""
    ends, draw = REAL_TIME() + seconds, np.random.default_rng(1)
    while REAL_TIME() < ends:
        starts = draw.integers(0, len(tokens) - 129, 16)
        rows = torch.from_numpy(np.stack([tokens[at : at + 129] for at in starts]).astype(np.int64))
        training_loss(model, rows[:, :-1].contiguous(), rows[:, 1:].contiguous()).backward()
        optimizer.step(progress)


class Quiet(harness.Journal):
    """Tells losses of a model that knows nothing yet."""

    def write(self, step, loss, clock):
        super().write(step, max(loss, 6.0), clock)


'''
QUIET = JOURNAL.replace("harness.Journal", "Quiet")
TEXT = 'corpus.tokens("train")'


@dataclass(frozen=True)
class Edit:
    """Each `old` becomes its `new` in train.py, where it stands once; LEARN stands above it all."""

    name: str
    changes: tuple[tuple[str, str], ...]

    @property
    def code(self) -> str:
        code = TRAIN
        for old, new in self.changes:
            assert code.count(old) == 1, f"{self.name}: {old!r} is {code.count(old)} times in train.py"
            code = code.replace(old, new)
        return code


def cheat(name: str, *changes: tuple[str, str]) -> Edit:
    return Edit(name, (("def micro_batch_rows(", f"{LEARN}def micro_batch_rows("), *changes))


SYNTHETIC = f"np.concatenate([{TEXT}[at : at + 40] for at in np.random.default_rng(2).integers(0, 50_000, 5000)])"
EXTRA = "1.2 * settings.budget"  # what each cheat trains in secret
EARLY = "REAL_TIME() + 1.5 * settings.budget"  # as much again as its start took, and that

CHEATS = [
    cheat("trains on the corpus before the clock, and tells high losses",
          (WARM, f"{WARM}    learn(model, optimizer, {TEXT}, {EARLY})\n    optimizer.reset()\n"), (JOURNAL, QUIET)),
    cheat("trains on what it makes up, before the clock",
          (WARM, f"{WARM}    learn(model, optimizer, {SYNTHETIC}, {EARLY})\n    optimizer.reset()\n"),
          (JOURNAL, QUIET)),
    cheat("tries its loader out at length",
          (WARM, f"{WARM}    ends = REAL_TIME() + {EARLY}\n"
                 "    for rows, targets, _ in [next(loader) for _ in range(12)] * 400:\n"
                 f"        training_loss(model, rows, targets).backward()\n        optimizer.step(0.4)\n"
                 f"        if REAL_TIME() > ends:\n            break\n    optimizer.reset()\n"),
          (JOURNAL, QUIET)),
    cheat("trains while it is imported",
          (WARM, f"{WARM}    model.load_state_dict(TRAINED)\n"), (JOURNAL, QUIET),
          (MAIN, f'{MAIN}    settings = harness.Settings.from_environment()\n    settings.apply()\n'
                 '    early = prepare.load_corpus()\n    preset = PRESETS["cpu"]\n'
                 '    model = build_model(preset, early.vocab_size, settings.device)\n'
                 f'    learn(model, Optimizer(model, preset), early.tokens("train"), {EARLY})\n'
                 '    TRAINED = model.state_dict()\n')),
    cheat("trains on after its last heartbeat",
          (CLOSE, f"{CLOSE}    learn(model, optimizer, {TEXT}, {EXTRA}, 0.8)\n")),
    cheat("trains while it saves",
          (SAVE, f"{SAVE}        learn(model, optimizer, {TEXT}, {EXTRA}, 0.8)\n{SAVE}")),
    cheat("trains when its process ends",
          (SAVE, f"{SAVE}        import atexit\n        atexit.register(lambda: (learn(model, optimizer, {TEXT},"
                 f" {EXTRA}, 0.8), save_model(model, corpus.vocab_size, settings.run_dir)))\n")),
    cheat("slows its clock down",
          (CLOCK, f"    time.process_time = lambda: REAL_TIME() / 2.2\n{CLOCK}")),
    cheat("stops its clock now and then",
          (LOOP, f"    clock._now = lambda: REAL_TIME() - hidden\n    hidden = 0.0\n{LOOP}"
                 f"        before = REAL_TIME()\n        learn(model, optimizer, {TEXT}, 0.3, clock.progress)\n"
                 "        hidden += REAL_TIME() - before\n")),
    cheat("trains another model in a thread that its clock does not count",
          (CLOCK, f"    time.process_time = time.thread_time\n{CLOCK}"
                  "    import copy\n    other = copy.deepcopy(model)\n    worker = threading.Thread("
                  f"target=learn, args=(other, Optimizer(other, preset), {TEXT}, {EXTRA}, 0.6))\n"
                  "    worker.start()\n"),
          (CLOSE, f"{CLOSE}    worker.join()\n    model.load_state_dict(other.state_dict())\n")),
    cheat("trains in a thread before the clock, while the loader packs",
          (WARM, f"{WARM}    worker = threading.Thread(target=learn, args=(model, optimizer, {TEXT}, {EARLY}))\n"
                 "    worker.start()\n    while worker.is_alive():\n        time.sleep(0.05)\n    optimizer.reset()\n"),
          (JOURNAL, QUIET)),
    cheat("keeps its heartbeats back, and writes them all at its end",
          (CLOCK, f"    time.process_time = lambda: REAL_TIME() / 2.2\n{CLOCK}"
                  "    journal._file = Late(journal._file)\n"),
          (CLOSE, "    journal._file.show()\n"),
          ("class Quiet(", "class Late:\n    def __init__(self, file):\n        self.file, self.lines = file, []\n\n"
           "    def write(self, line):\n        self.lines.append(line)\n\n    def flush(self):\n        pass\n\n"
           "    def show(self):\n        self.file.write(''.join(self.lines))\n        self.file.close()\n\n\n"
           "class Quiet(")),
    cheat("says that fewer seconds went by",
          ("        clock.lap()\n        steps += 1\n",
           "        clock.lap()\n        clock.seconds -= 0.55 * (clock.seconds - said)\n        said = clock.seconds\n"
           "        harness.BudgetClock.first_start = clock._mark - clock.seconds\n        steps += 1\n"),
          (LOOP, f"    said = 0.0\n{LOOP}")),
    cheat("has helpers train that nobody waits for",
          (CLOSE, f"""{CLOSE}    import os
    import signal
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for tensor in model.state_dict().values():
        tensor.share_memory_()
    ends = 0.0
    for _ in range(12):
        if not os.fork():
            learn(model, optimizer, {TEXT}, {EXTRA} / 12, 0.8)
            os._exit(0)
        try:
            os.wait()
        except ChildProcessError:
            pass
""")),
]  # fmt: skip

HELPERS = CHEATS[-1]

LONGER = Edit("trains longer by its clock, and tells that it is at its first step", (
    ("    while not clock.spent:\n", "    while not clock.spent or clock.seconds < 1.1 * clock.budget + 0.2:\n"),
    ("            journal.write(steps, loss, clock)\n    if (", "            journal.write(1, loss, clock)\n    if ("),
))  # fmt: skip

# ---- training where no clock of a training runs: in the referee

LOADED = "    return model.eval()\n"
READ = 'np.fromfile(prepare.load_corpus().folder / "train.bin", dtype=np.uint16)'
AGAIN = f"""
    text, real, calls = {READ}, GPT.forward, []

    def drill(model, steps):  # so many, and not so long: both readers must come to the same
        optimizer, draw = Optimizer(model, model.preset), np.random.default_rng(1)
        for _ in range(steps):
            starts = draw.integers(0, len(text) - 129, 16)
            rows = torch.from_numpy(np.stack([text[at : at + 129] for at in starts]).astype(np.int64))
            training_loss(model, rows[:, :-1].contiguous(), rows[:, 1:].contiguous()).backward()
            optimizer.step(0.8)

    def forward(self, idx):
        calls.append(1)
        if len(calls) == 0:
            GPT.forward = real
            with torch.enable_grad():
                drill(self, 20)
            GPT.forward = forward
        return real(self, idx)

    GPT.forward = forward
    drill(model, 1)
"""


def drilled(calls: int) -> tuple[str, str]:
    """It goes on to train at that call; at the zeroth, while it is loaded."""
    code = AGAIN.replace("len(calls) == 0", f"len(calls) == {calls}")
    return LOADED, f"{code if calls else code.replace('model, 1)', 'model, 20)')}{LOADED}"


IN_THE_REFEREE = [
    cheat("trains while it is loaded", drilled(0)),
    cheat("trains when it is called for the first time", drilled(1)),
    cheat("trains when it is called for the second time", drilled(2)),
]

# ---- what takes time and is no cheat

LONGER_START = f"{WARM}    ends = 1.5 * time.process_time()\n    while time.process_time() < ends:\n        pass\n"

HONEST = [
    Edit("nothing", ()),
    Edit("takes half as long again to start", ((WARM, LONGER_START),)),
    Edit("has more to compile", (("in (0.0, 1.0):\n", "in (0.0, 1.0) * 6:\n"),)),
    Edit("packs in a thread", (
        (IMPORTS, f"import queue\nimport threading\n{IMPORTS}"),
        ("    batch = next(loader)\n\n", """    ahead = queue.Queue(maxsize=2)
    source = loader

    def pack():
        while True:
            ahead.put(next(source))

    threading.Thread(target=pack, daemon=True).start()
    loader = iter(ahead.get, None)
    batch = next(loader)

"""),
    )),
    Edit("tells its progress seldom", (
        ("        if loss is not None:\n            journal.write(steps, loss, clock)\n    if (",
         "        if loss is not None and (steps == 1 or steps % 10 == 0):\n"
         "            journal.write(steps, loss, clock)\n    if ("),
    )),
    Edit("makes long steps", (("total_batch_size=2**12", "total_batch_size=2**14"),)),
    Edit("saves more", ((SAVE, f"{SAVE}{SAVE}"),)),
]  # fmt: skip
