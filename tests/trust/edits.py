"""Edits of the real train.py: cheats, each with the check that must catch it, and honest ones, which must pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAIN = (ROOT / "trainer" / "train.py").read_text()

IMPORTS = "import torch\nfrom torch import nn\n"
LOSS = "    features = model.features(inputs, grams).flatten(0, 1)\n"
FORWARD = "        logits, cap = self.head(self.features(idx)).float(), self.softcap\n"
CAPPED = "        return torch.sigmoid(logits * (2 / cap)) * (2 * cap) - cap if cap else logits\n"
LOOP = "    while not clock.spent:\n"
START = '    """Train until the budget is spent. Returns the values of the `---` block, in order."""\n'
FEATURES = "        return norm(x)\n\n    def flops_per_token"
ENDED = "    tokens = steps * preset.total_batch_size\n"
WARM = "    gc.collect()\n"
PACK = "            batch = next(loader)  # packed while a GPU still works on the last one\n"
LOADER = "    loader = prepare.TrainLoader(corpus, rows, preset.seq_len, device, settings.seed)\n"
OWN_LOADER = f"""
    class Own(prepare.TrainLoader):
        def __next__(self):
            rows, epoch = self._pack()
            return rows[:, :-1], rows[:, 1:], epoch

{LOADER.replace("prepare.TrainLoader", "Own")}"""
LAP = "        clock.lap()\n        steps += 1\n"
LOADED = "    return model.eval()\n"


@dataclass(frozen=True)
class Change:
    """`old` becomes `new`, once, in train.py."""

    name: str
    old: str
    new: str
    check: str = ""  # its name; of several, with | between them, the lot decides

    @property
    def code(self) -> str:
        assert TRAIN.count(self.old) == 1, f"{self.name}: its place is {TRAIN.count(self.old)} times in train.py"
        return TRAIN.replace(self.old, self.new)


# ---- what reading the edit shows, before a GPU is spent on it

REFUSED = [
    Change("downloads weights", IMPORTS, f"import urllib.request\n{IMPORTS}", "process"),
    Change("starts a program", IMPORTS, f"import subprocess\n{IMPORTS}", "process"),
    Change("needs a new package", IMPORTS, f"import einops\n{IMPORTS}", "dependency"),
    Change("compiles C++", IMPORTS, f"from torch.utils.cpp_extension import load_inline\n{IMPORTS}", "process"),
    Change("reads the environment", LOOP, f'    steps = int(os.environ["STEPS"])\n{LOOP}', "environment"),
    Change("imports os to do so", IMPORTS, f"import os\n{IMPORTS}", "process"),
    Change("trains on the held-out tokens", START, f'{START}    held = prepare.load_corpus().tokens("val")\n', "data"),
    Change("measures itself while it trains", LOOP, f"{LOOP}        prepare.evaluate_bpb(model, device)\n", "data"),
    Change("opens the tokens by their file", LOOP, f'    seen = open("x.bin", "rb").read()\n{LOOP}', "files"),
    Change("reads another run's model", LOOP, f'    old = torch.load("../r.1/model.pt")\n{LOOP}', "files"),
    Change("writes the referee's answer", LOOP, f'    Path("referee.json").write_text("{{}}")\n{LOOP}', "files"),
    Change("picks its own seed", LOOP, f"    torch.manual_seed(1337)\n{LOOP}", "seed"),
    Change("shifts the seed", "device, settings.seed)", "device, settings.seed + 1)", "seed"),
    Change("seeds the data apart", "device, settings.seed)", "device, seed=1)", "seed"),
    Change("seeds it by position", "device, settings.seed)", "device, 1)", "seed"),
    Change("gives itself more time", "BudgetClock(device, settings.budget)",
           "BudgetClock(device, 3 * settings.budget)", "clock"),
    Change("turns the clock back", "        clock.lap()\n        steps += 1\n",
           "        clock.lap()\n        clock.seconds *= 0.5\n        steps += 1\n", "clock"),
    Change("asks no clock", LOOP, "    while steps < 5000:\n", "clock"),
    Change("never stops the watch", "        clock.lap()\n        steps += 1\n", "        steps += 1\n", "clock"),
    Change("patches the clock", START, f"{START}    harness.BudgetClock.lap = lambda self: None\n", "patch"),
    Change("patches time", START, f"{START}    time.perf_counter = lambda: 0.0\n", "patch"),
    Change("patches the metric", START, f"{START}    prepare.EVAL_LOGITS = {{}}\n", "patch"),
    Change("patches torch", START, f"{START}    F.cross_entropy = lambda *a, **k: torch.zeros(())\n", "patch"),
    Change("patches torch by another name", START,
           f'{START}    setattr(torch.nn.functional, "cross_entropy", None)\n', "patch"),
    Change("keeps what the warm-up learned", "        model.load_state_dict(before)\n", "", "warm-up"),
    Change("prints a block early", LOOP, f'    print("---\\nval_bpb: 0.5")\n{LOOP}', "summary"),
    Change("reports its own number", '"val_bpb": measured and f"{measured.bpb:.6f}",', '"val_bpb": 0.5,', "summary"),
    Change("claims fewer steps, as if it had been slowed", '"num_steps": steps,', '"num_steps": steps // 2,', "tokens"),
    Change("claims more tokens", '"{tokens / 1e6:.3f}"', '"{tokens / 1e5:.3f}"', "tokens"),
    Change("sets the loader's count back", LOOP, f"    prepare.TrainLoader.tokens_handed_out = 0\n{LOOP}", "patch"),
    Change("brings the weights along", START, f"{START}    weights = {list(range(2000))}\n", "blob"),
    Change("ends before it is measured", LOOP, f"    sys.exit(0)\n{LOOP}", "exit"),
    Change("keeps its weights under another name", START, f"{START}    keep = torch.save\n", "files"),
    Change("keeps numbers for the next run", START, f'{START}    torch.zeros(1).numpy().dump("kept")\n', "files"),
    Change("takes the tokens by another name", START, f"{START}    read = prepare.load_corpus().tokens\n", "data"),
    Change("reads behind the loader's back", WARM, f"{WARM}    text, _ = loader._pack()\n", "patch"),
    Change("reads behind the back of a loader's class", LOADER, OWN_LOADER.replace("self._pack", "super()._pack"),
           "patch"),
    Change("asks the fixed files for what they keep", START, f"{START}    key = prepare._key_of\n", "patch"),
    Change("takes the tokens of a corpus in hand", WARM, f"{WARM}    read = corpus.tokens\n", "data"),
    Change("takes them of a corpus by another name", WARM, f"{WARM}    text = corpus\n    read = text.tokens\n",
           "data"),
    Change("takes them of its class", WARM, f"{WARM}    read = type(corpus).offsets\n", "data"),
    Change("tells its seed and takes another one", LOADER,
           LOADER.replace("settings.seed", "1") + '    print("seed", settings.seed)\n', "seed"),
    Change("loads a file beside a kernel", LOOP,
           f'    import triton.language as tl\n    tl.load(1)\n    torch.load("x")\n{LOOP}', "files"),
    Change("takes a built-in before the name is its own", START, f"{START}    def run(name=eval, eval=1): ...\n",
           "process"),
    Change("takes a built-in beside one who owns the name", START,
           f"{START}    def own(eval): ...\n    run = eval\n", "process"),
    Change("finds the built-ins by their own name", START, f'{START}    __builtins__["eval"]("1")\n', "patch"),
    Change("calls one of them there", START, f'{START}    __builtins__.eval("1")\n', "patch"),
    Change("calls its own what may never be", IMPORTS, f"if 0:\n    eval = 1\nrun = eval\n{IMPORTS}", "process"),
    Change("names an attribute without writing it", START,
           f'{START}    import operator\n    operator.attrgetter("save")(torch)\n', "process"),
    Change("hides what it calls", START, f'{START}    eval("1")\n', "process"),
    Change("makes the corpus anew", START, f"{START}    held = prepare.stdlib_source().documents()\n", "data"),
    Change("imports what does", IMPORTS, f"from prepare import split_documents\n{IMPORTS}", "data"),
    Change("reads the source of a module", START, f"{START}    text = torch.inspect.getsource(torch)\n", "library"),
    Change("finds the library by a module's file", START, f"{START}    place = math.__file__\n", "library"),
    Change("finds its own file", START, f"{START}    place = __file__\n", "library"),
    Change("asks where the library is", IMPORTS, f"import sysconfig\n{IMPORTS}", "dependency"),
    Change("asks it of prepare", START, f"{START}    root = prepare.sysconfig.get_path\n", "library"),
    Change("looks for lines as a traceback does", IMPORTS, f"import linecache\n{IMPORTS}", "dependency"),
    Change("looks for them by way of a harmless module", START,
           f'{START}    import warnings\n    text = warnings.linecache.getlines("x")\n', "library"),
    Change("asks the loader of a module", START, f"{START}    load = torch.__spec__.loader.get_data\n", "library"),
    Change("takes the system by way of a harmless module", START,
           f"{START}    import random\n    system = random._os\n", "process"),
    Change("takes it of torch", START, f"{START}    system = torch.os\n", "process"),
    Change("takes what unpickles of the loader's module", START, f"{START}    system = prepare.sys\n", "process"),
]  # fmt: skip

# ---- what only shows when it is measured; the gate lets these pass

MEASURED = [
    Change("looks one token ahead", FEATURES, FEATURES.replace("norm(x)", "norm(x + x.roll(-1, 1))"), "causality"),
    Change("looks at the mean of the row", FEATURES, FEATURES.replace("norm(x)", "norm(x + x.mean(1, True))"),
           "causality"),
    Change("looks ahead only when measured", FEATURES,
           FEATURES.replace("norm(x)", "norm(x if self.training else x + x.roll(-1, 1))"), "causality"),
    Change("looks ahead in few rows", FEATURES,
           FEATURES.replace("return norm(x)", "x[::4] += x[::4].roll(-1, 1)\n        return norm(x)"), "causality"),
    Change("knows the next token", FORWARD,
           f"{FORWARD}        logits.scatter_(2, idx.roll(-1, 1)[..., None], 30.0)\n", "causality"),
    Change("hints at the next token below the tolerance", FORWARD,
           f"{FORWARD}        logits += 9e-4 * F.one_hot(idx.roll(-1, 1), logits.shape[-1])\n", "causality"),
    Change("hints at it in every other row only", FORWARD,
           f"{FORWARD}        logits[::2] += 9e-4 * F.one_hot(idx.roll(-1, 1), logits.shape[-1])[::2]\n", "causality"),
    Change("looks at the other rows", FEATURES, FEATURES.replace("norm(x)", "norm(x + x.mean(0, True))"), "rows"),
    Change("looks at the row below from the last place, which nothing stands after", FEATURES,
           FEATURES.replace("norm(x)", "norm(torch.cat((x[:, :-1], x[:, -1:] + x.roll(-1, 0)[:, 1:2]), 1))"), "rows"),
    Change("leaves something for the row below in the last place of all", FEATURES,
           FEATURES.replace("norm(x)", "norm(torch.cat((x[:, :-1], x[:, -1:] + x.mean((0, 1))), 1))"), "rows"),
    Change("learns while it is measured", FORWARD,
           f"        self.head.weight.data += 0.01 * self.head.weight.data.roll(1, 0)\n{FORWARD}", "memory|rows"),
    Change("guesses", FORWARD, f"{FORWARD}        logits = logits + torch.randn_like(logits)\n", "memory|rows"),
    Change("answers NaN, which is not above anything", FORWARD, f"{FORWARD}        logits = logits * math.nan\n",
           "finite"),
    Change("skips hard tokens with infinities", CAPPED,
           "        return torch.where(idx[..., None] % 4 == 0, math.inf, logits)\n", "finite"),
    Change("leaves rare tokens out", FORWARD, f"{FORWARD}        logits = logits[..., :-1]\n", "shape"),
    Change("returns losses instead of logits", FORWARD, f"{FORWARD}        return logits[..., 0]\n", "shape"),
    Change("returns what it likes", FORWARD, f"{FORWARD}        return logits, 0.0\n", "shape"),
    Change("reads more than all may", LOADED, f"    model.seq_len = 10**6\n{LOADED}", "context"),
]  # fmt: skip

# ---- what only shows in what a run counted; the gate lets these pass

COUNTED = [
    Change("loses steps in the end", ENDED, f"    steps //= 2\n{ENDED}", "tokens"),
    Change("sets the count back behind its name", ENDED, f"    type(loader).tokens_handed_out = 1\n{ENDED}", "tokens"),
    Change("trains on a loader of its own", LOADER, OWN_LOADER, "tokens"),
    Change("looks at the text before the clock runs", WARM,
           f"{WARM}    batch = [next(loader) for _ in range(50)][-1]\n", "warm-up"),
    Change("looks at as much in one batch", WARM,
           f"{WARM}    next(prepare.TrainLoader(corpus, 200, preset.seq_len, device, 7))\n", "warm-up"),
    Change("looks at it with a loader that counts nothing", LOADER,
           f"{OWN_LOADER}    [next(loader) for _ in range(50)]\n    loader = prepare.TrainLoader(corpus, rows, "
           "preset.seq_len, device, 7)\n", "warm-up"),
    Change("trains before the clock runs", WARM,
           f"{WARM}    for inputs, targets, _ in [next(loader) for _ in range(15)] * 2:\n"
           "        loss_of(model, inputs, targets).backward()\n        optimizer.step(0.0)\n", "warm-up"),
    Change("starts the clock again and again", LAP,
           f"        if steps < 10:\n            clock.start()\n{LAP}", "clock"),
    Change("takes back what was counted", LAP,
           f"{LAP}        if steps < 10:\n            clock.count(-clock.seconds)\n", "clock"),
]  # fmt: skip

# ---- what honest researchers do

HONEST = [
    Change("learning rate", "matrix_lr=0.02", "matrix_lr=0.03"),
    Change("depth", "depth=2, width=64", "depth=3, width=64"),
    Change("batch", "total_batch_size=2**12", "total_batch_size=2**11"),
    Change("short rows", "seq_len=128, device_batch_size=4", "seq_len=64, device_batch_size=8"),
    Change("long rows", "seq_len=128, device_batch_size=4", "seq_len=256, device_batch_size=2"),
    Change("smaller pieces of a batch", "seq_len=128, device_batch_size=4", "seq_len=128, device_batch_size=2"),
    Change("trains on the richer half of the text", PACK,
           "            batch = max(next(loader), next(loader), key=lambda pair: pair[0].unique().numel())\n"),
    Change("looks at batches twice", PACK, "            batch = next(loader) if optimizer.steps % 2 else batch\n"),
    Change("another activation", '"silu": F.silu}', '"silu": F.silu, "elu": F.elu}'),
    Change("no cap", CAPPED, "        return logits\n"),
    Change("unnormalised logits are allowed", FORWARD, f"{FORWARD}        logits = 3.0 * logits - 7.0\n"),
    Change("a bias of the output", FORWARD, f"{FORWARD}        logits = logits + self.head.weight.mean(1)\n"),
    Change("token shift looks back", FEATURES, FEATURES.replace("norm(x)",
           "norm(x + 0.1 * F.pad(x, (0, 0, 1, 0))[:, :-1])")),
    Change("causal mean", FEATURES, FEATURES.replace("norm(x)",
           "norm(x + x.cumsum(1) / torch.arange(1, x.shape[1] + 1, device=x.device)[:, None])")),
    Change("normal weights", "    nn.init.uniform_(weight, -math.sqrt(3) * std, math.sqrt(3) * std)\n",
           "    nn.init.normal_(weight, std=std)\n"),
    Change("dropout, off when measured", FEATURES, FEATURES.replace("norm(x)",
           "norm(F.dropout(x, 0.1, self.training))")),
    Change("bf16 logits", FORWARD, f"{FORWARD}        logits = logits.bfloat16()\n"),
    Change("a smooth warmdown", "    return left + (1 - left) * preset.final_lr\n",
           "    return left * left + (1 - left) * preset.final_lr\n"),
    Change("TF32", "    device = settings.device\n",
           "    torch.backends.cuda.matmul.allow_tf32 = True\n    device = settings.device\n"),
    Change("a helper from the standard library", IMPORTS, f"from functools import partial\n{IMPORTS}"),
    Change("numpy", IMPORTS, f"import numpy as np\n{IMPORTS}"),
    Change("gradient clipping", "        optimizer.step(progress)\n        return total\n",
           "        nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n        optimizer.step(progress)\n"
           "        return total\n"),
    Change("another loop around the same clock", LOOP,
           "    while True:\n        if clock.spent:\n            break\n"),
    Change("a line on the terminal", LOOP, f'    print("begins", flush=True)\n{LOOP}'),
    Change("more warm-up steps", "        for progress in (0.0, 1.0):\n", "        for progress in (0.0, 0.5, 1.0):\n"),
    Change("a penalty in training only", LOSS, f"{LOSS}    features = features + 1e-4 * torch.randn_like(features)\n"),
]  # fmt: skip
