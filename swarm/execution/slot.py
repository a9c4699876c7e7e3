"""A slot: the GPU or CPU cores that one run at a time uses, the environment of its programs, and its limits."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from swarm.execution.sandbox.secret_variables import is_secret

COLD = 240.0  # seconds that a start on a GPU may take where nothing is compiled yet: minutes where cores are few
SAVING = 60.0  # seconds to save a model and end, on a slow disk too

FREE = 1.5  # times the start of the untouched code that a start costs nothing: load and chance alone make it longer
LONGER, SHARE = 2.25, 0.02  # times what the untouched code took, and share of the budget, that an edit may take beside
MOMENT = 0.2, 2.0  # seconds that chance may add to any time, of the CPU and on the wall
LONGEST_START = 600.0  # seconds until the first heartbeat, whatever is known
UNKNOWN_START = 60.0  # CPU-seconds of it where nothing is known, at most
UNKNOWN_END = (3.0, 10.0)  # seconds after the last heartbeat where nothing is known; with CUDA

_ALLOWED = re.compile(
    r"(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|DYLD_\w*LIBRARY_PATH|XDG_(?:CACHE|DATA)_HOME"
    r"|CC|CXX|FC|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|CPATH|C_INCLUDE_PATH|CPLUS_INCLUDE_PATH|LIBRARY_PATH|PKG_CONFIG_PATH"
    r"|CUDA\w*|CUDNN_\w+|CUBLAS_\w+|NVIDIA_\w+|HIP_\w+|ROC\w+|HSA_\w+|MIOPEN_\w+|NCCL_\w+|TRITON_\w+"
    r"|TORCH\w*|PYTORCH_\w+|JAX_\w+|XLA_\w+|TF_(?!VAR_|CLI_|CLOUD_|LOG|WORKSPACE)\w+|KERAS_\w+|HF_\w+|TRANSFORMERS_\w+|DATASETS_\w+|ACCELERATE_\w+"
    r"|TOKENIZERS_PARALLELISM|WANDB_(?:MODE|DISABLED|SILENT|DIR|CACHE_DIR)|MLFLOW_TRACKING_URI|NUMBA_\w+|MPL\w+|NLTK_DATA"
    r"|PYTHON(?:PATH|WARNINGS|UTF8|HASHSEED|OPTIMIZE|FAULTHANDLER|IOENCODING|NOUSERSITE|USERBASE|MALLOC)|VIRTUAL_ENV"
    r"|CONDA_\w+|MAMBA_\w+|PYENV_\w+|UV_\w+|PIXI_\w+|POETRY_\w+|ASDF_\w+|MISE_\w+"
    r"|NODE_(?:PATH|OPTIONS|ENV)|NVM_\w+|VOLTA_HOME|FNM_\w+|PNPM_HOME|BUN_INSTALL|CARGO_\w+|RUST\w+|GO(?:PATH|ROOT|FLAGS|"
    r"MODCACHE|TOOLCHAIN)|JULIA_\w+|JULIAUP_\w+|JAVA_HOME|R_LIBS\w*|PERL5LIB|RUBYLIB|AUTORESEARCH_\w+)"
)
START, COLD_START = "start.json", "cold.json"  # seconds until the first heartbeat of a baseline run on this slot
END = "end.json"  # and after its last one
READING = "reading.json"  # what one took in the referee (reading_check.py)
COUNTED = "counted.json"  # there where a fixed harness counts its steps (clock_check.py)
TOOK = "took.json"  # and seconds that it took in all


def passes(name: str, value: str) -> bool:
    """Whether runs get a variable of the host without being told to: a known one, that holds no key and no token."""
    return bool(_ALLOWED.fullmatch(name)) and not is_secret(name, value)


@dataclass(frozen=True, slots=True)
class Slot:
    """A GPU, or a share of the CPU cores, on which one run at a time is made."""

    device: str  # "cpu", "cuda", "mps", "sim"
    index: int
    gpu: str | None = None  # CUDA_VISIBLE_DEVICES; None inherits, "" hides all
    cores: tuple[int, ...] = ()  # all where empty
    threads: int = 1
    memory: float | None = None  # MB, its share of the host's memory; no limit where None
    lock: str = ""  # name of the host-wide lock, such as the GPU's uuid; no lock where empty

    def environment(self, host: Mapping[str, str], allowed: Collection[str] = ()) -> dict[str, str]:
        """The environment of a program in this slot: of the host's what runs need, never a key or a token; and what is
        `allowed` by name, whatever it holds."""
        env = {name: value for name, value in host.items() if name in allowed or passes(name, value)}
        if (everywhere := env.get("LC_ALL", "")) and "LC_ALL" not in allowed:
            env = {name: value for name, value in env.items() if not name.startswith("LC_")} | {"LANG": everywhere}
        env["LC_NUMERIC"] = "C"  # numbers are printed with a decimal point, wherever the machine stands
        env |= {"SWARM_THREADS": str(self.threads), "OMP_NUM_THREADS": str(self.threads)}
        if self.device != "sim":
            env["SWARM_DEVICE"] = self.device
        if self.device == "cuda":
            env.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as NVML counts
        if self.gpu is not None:
            env["CUDA_VISIBLE_DEVICES"] = self.gpu
        return env


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds that the untouched code took on a slot beside its training, as the budget is counted: until its first
    heartbeat, after its last one, and until the first where it had to compile something."""

    start: float
    end: float
    cold: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """At which use of time, memory and disk a run is ended, in seconds and MB."""

    wall: float  # of the trainer
    cpu: float | None  # CPU-seconds of the trainer's process tree
    referee: float
    silence: float | None  # without a heartbeat, once there was one
    start: float = 600.0  # until the first heartbeat
    cold: float | None = None  # the same for one that had to compile something; no other where None
    free: float | None = None  # of a start; what it takes longer counts as training; none does where None
    slack: float = 3.0  # beyond the budget: for saving the model, and for the process to end
    end: float | None = None  # what of that the untouched code needs, where CPU-seconds are counted
    grace: float = 2.0  # from SIGTERM to SIGKILL
    lock_wait: float = 60.0
    disk: float | None = 20_000.0  # written by one step, a single file included
    entries: int | None = 200_000  # files and folders that one step makes
    processes: int | None = 1024
    memory: float | None = None  # of one step's whole tree; None: the slot's share
    check: float = 1800.0  # of each of the project's checks


UNTOUCHED = 7200.0  # seconds that the untouched code may take where nobody knows yet what it takes


def timeout_from(seconds: float, budget: float) -> float:
    """The hard end of a run by the clock, where the untouched code took so many seconds.

    Three times that, as an idea may well be slower; or, where it took less than its budget of training, up to twice
    this budget; and a minute. A short program is not waited for long: what hangs costs ten of its runs at most.
    """
    return 60.0 + max(3 * seconds, min(2 * budget, 10 * seconds))


def limits_for(budget: float, device: str, known: Overhead | None = None, timeout: float | None = None) -> Limits:
    """Twice the budget plus an allowance for imports and compiling; on a CPU in CPU time: a busy host is no fault.

    With a `timeout`, that alone ends the training, by the clock: what a program does beside training, and for how long,
    its budget does not say.

    `known` is what the untouched code took beside its training on this slot, where that was seen. An edit may take
    longer, but not as long as it likes, or it could train before its clock starts and after it ends. On a CPU our own
    trainer takes what a start takes longer off its budget. On CUDA a start is longer where something has to be
    compiled, and may take COLD at least.
    """
    if timeout is not None:
        limits = limits_for(budget, device, known)
        return replace(limits, wall=timeout, cpu=None, silence=None, end=None, check=max(limits.check, timeout))
    allowance = max(60.0, budget)
    end, referee = 2 * budget + allowance, max(120.0, budget)
    start, cold, free = _start(budget, device, known)
    slack = UNKNOWN_END[device == "cuda"] if known is None else longer(known.end, budget, device)
    if device == "cpu":
        silence, wall = max(120.0, 3 * budget), 6 * budget + 120
        limits = Limits(wall=wall, cpu=end, referee=3 * referee, silence=silence, end=known and known.end)
    elif device == "cuda":  # where what compiling takes says nothing of the idea: also the referee's processes compile
        wall = 2 * budget + max((cold or start) + SAVING, budget)
        limits = Limits(wall=wall, cpu=None, referee=COLD + referee, silence=allowance)
    else:
        limits = Limits(wall=end, cpu=None, referee=referee, silence=allowance)
    return replace(limits, start=start, cold=cold, free=free, slack=slack)


def _start(budget: float, device: str, known: Overhead | None) -> tuple[float, float | None, float | None]:
    """The limits of a start, in seconds: any, one that compiles, and what is free of it."""
    if known is None:
        return min(UNKNOWN_START, 10 + budget) if device == "cpu" else LONGEST_START, None, None
    start = min(LONGEST_START, longer(known.start, budget, device))
    if device != "cuda":
        return start, None, FREE * known.start + SHARE * budget if device == "cpu" else None
    return start, min(LONGEST_START, max(COLD, start, longer(known.cold or 0.0, budget, device))), None


def longer(seconds: float, budget: float, device: str) -> float:
    """What an edit may take where the untouched code took so many seconds."""
    return LONGER * seconds + SHARE * budget + MOMENT[device != "cpu"]
