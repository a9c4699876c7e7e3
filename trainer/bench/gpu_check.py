"""The first session on a GPU: everything that was never seen on one, in ten minutes, worst news last.

    make gpu-check                                # on a machine with an NVIDIA GPU
    python -m trainer.bench.gpu_check --cpu       # the same parts at CPU size, to try the check itself

Every part is a process of its own with a time limit. It shows the end of what it printed, all of which is kept in the
output's folder ($OUT, or --out), and the others go on where it fails. A table of all parts and their figures is last.
No part touches the caches and the corpus of this machine. Exit codes: 0 all parts did well, 1 one did not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 600.0  # seconds of all parts together; what a part may take is also bounded by what is left of them
SHOWN = 25  # lines of a part's output
VERSIONS = (
    "import os, platform, torch; print('torch', torch.__version__, 'cuda', torch.version.cuda, 'python',"
    " platform.python_version(), 'cores', len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else '');"
    " print(*(torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())), sep='\\n')"
)


@dataclass(frozen=True)
class Part:
    """One process of the check. `figures` are patterns of the lines that the last table repeats; `answer` is a file
    in JSON that it writes, whose values count as lines that it printed."""

    name: str
    seconds: float
    command: tuple[str, ...]
    figures: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    answer: Path | None = None


@dataclass(frozen=True)
class Outcome:
    part: Part
    seconds: float
    said: str  # how it ended
    output: str

    @property
    def well(self) -> bool:
        return self.said == "well"


def parts(device: str, out: Path) -> list[Part]:
    """All parts in their order: what the others need first, then what matters most."""
    gpu = device == "cuda"
    python, run = (sys.executable,), {"SWARM_RUN_DIR": str(out / "run")}
    bench = (*python, "-m", "trainer.bench")
    plain = {"AUTORESEARCH_KERNELS": "polar,cross_entropy"}
    tables = ("--set", f"bigram_rows={2**22 if gpu else 2**14}", "--set", "copy_features=1")
    busy = (r"^profile +busy", r"^profile +\S.* \d+\.\d%$")
    measured, answer = (r"^(val_bpb|moved|limit|floor|seconds|overhead_seconds):",), out / "run" / "referee.json"
    summary = (r"^(tokens_per_second|mfu_percent|peak_vram_mb|num_steps|attention|kernels):", r"^start:", r"^batch:")
    kernels = ("--only", "parity,fused,muon", "--json", str(out / "kernels.json"))
    tests = (
        "-q",
        "-rs",
        "-m",
        "gpu",
        "-p",
        "no:cacheprovider",
        "tests/trainer",
        "tests/execution/test_real_training.py",
    )
    return [
        Part("machine", 60, (*python, "-c", VERSIONS), (r".",)),
        Part("corpus", 90, (*python, "prepare.py", "--corpus", "synthetic" if gpu else "stdlib"), (r" train, ",)),
        Part("profile", 200, (*bench, "--only", "profile", "--json", str(out / "profile.json")), busy),
        Part("train", 150, (*python, "-m", "trainer.train"), summary, {"TIME_BUDGET": "25" if gpu else "1"} | run),
        Part("referee", 150, (*python, "-m", "trainer.referee"), measured, run, answer),
        Part("again", 90, (*python, "-m", "trainer.referee"), measured, run, answer),
        Part("kernels", 120, (*bench, *kernels), (r"aim|race|used",)),
        Part("plain mlp", 100, (*bench, "--only", "profile"), busy, plain),
        Part("attention", 60, (*bench, "--only", "attention", "--json", str(out / "attention.json")), (r"^attention",)),
        Part("tables", 90, (*bench, "--only", "step", *tables), (r"tokens/s|peak",)),
        Part("tests", 200, (*python, "-m", "pytest", *tests), (r"passed|failed|skipped|error",)),
    ]  # fmt: skip


def attempt(part: Part, seconds: float, environment: Mapping[str, str], out: Path) -> Outcome:
    """Run a part for at most so many seconds; its whole process group ends with it."""
    log, began = out / f"{part.name.replace(' ', '-')}.log", time.monotonic()
    with log.open("wb") as file:
        try:
            process = subprocess.Popen(
                part.command, cwd=ROOT, env={**environment, **part.variables},
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return Outcome(part, 0.0, f"did not start: {error}", "")
        try:
            code = process.wait(seconds)
            said = "well" if code == 0 else f"failed with {code}"
        except subprocess.TimeoutExpired:
            said = f"ended after {seconds:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Outcome(part, time.monotonic() - began, said, log.read_text(errors="replace") + answer_of(part))


def answer_of(part: Part) -> str:
    """The values of the file that a part has written, in a line each; "" where there is none."""
    try:
        found = json.loads(part.answer.read_text()) if part.answer else {}
        return "".join(f"{key}: {value}\n" for key, value in found.items())
    except (OSError, ValueError, AttributeError) as error:
        return f"{part.answer}: {error}\n"


def figures(outcome: Outcome) -> list[str]:
    """The lines of a part's output that hold its figures; of one that failed the last line."""
    lines = [line.rstrip() for line in outcome.output.splitlines() if line.strip()]
    found = [line for line in lines if any(re.search(pattern, line) for pattern in outcome.part.figures)]
    return found if outcome.well else [*found, *lines[-1:]]


def check(chosen: list[Part], environment: Mapping[str, str], out: Path, longest: float) -> list[Outcome]:
    """Run parts one after another, whatever becomes of each, and show them."""
    outcomes: list[Outcome] = []
    began = time.monotonic()
    for part in chosen:
        left = longest - (time.monotonic() - began)
        if left < 5:
            outcomes.append(Outcome(part, 0.0, "not run: the time was up", ""))
            continue
        print(f"== {part.name}, {longest - left:.0f} s in", flush=True)
        outcome = attempt(part, min(part.seconds, left), environment, out)
        print("\n".join(outcome.output.splitlines()[-SHOWN:]))
        print(f"-- {part.name}: {outcome.said}, {outcome.seconds:.0f} s", flush=True)
        outcomes.append(outcome)
    return outcomes


def table(outcomes: list[Outcome]) -> list[str]:
    """How each part ended, with its figures below it."""
    lines = []
    for outcome in outcomes:
        lines.append(f"{outcome.part.name:<10} {outcome.seconds:>5.0f} s  {outcome.said}")
        lines += [f"    {line[:150]}" for line in figures(outcome)]
    return lines


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="trainer.bench.gpu_check", description="Ten minutes on a GPU, all in one.")
    parser.add_argument("--cpu", action="store_true", help="at CPU size, to try the check itself")
    parser.add_argument("--only", metavar="PARTS", help="some of the parts, with commas")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="of all output ($OUT, or .cache/gpu-check)")
    parser.add_argument("--seconds", type=float, default=LONGEST, help=f"of all parts together ({LONGEST:.0f})")
    arguments = parser.parse_args(argv)
    out = (arguments.out or Path(os.environ.get("OUT") or ROOT / ".cache" / "gpu-check")).resolve()
    device = "cpu" if arguments.cpu else "cuda"
    chosen = parts(device, out)
    if arguments.only:
        names = arguments.only.split(",")
        unknown = set(names) - {part.name for part in chosen}
        if unknown:
            print(
                f"gpu-check: --only {min(unknown)}: the parts are {', '.join(p.name for p in chosen)}", file=sys.stderr
            )
            return 2
        chosen = [part for part in chosen if part.name in names]
    try:
        (out / "cache").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"gpu-check: --out {out}: {error.strerror or error}", file=sys.stderr)
        return 2
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SWARM_", "AUTORESEARCH_"))}
    environment = kept | {
        "SWARM_DEVICE": device,
        "AUTORESEARCH_CACHE": str(out / "cache"),
        "TORCHINDUCTOR_CACHE_DIR": str(out / "cache" / "inductor"),
        "TRITON_CACHE_DIR": str(out / "cache" / "triton"),
        "PYTHONUNBUFFERED": "1",
    }
    outcomes = check(chosen, environment, out, arguments.seconds)
    summary = "\n".join(table(outcomes))
    (out / "summary.txt").write_text(summary + "\n")
    print(f"\n== all parts; their output is in {out}\n{summary}")
    return 0 if all(outcome.well for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
