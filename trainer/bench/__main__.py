"""The command line of trainer.bench; see the package's docstring."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import torch

import prepare
from trainer import bench, harness, probing
from trainer.bench import against, parts, processes, profiling, rows, whole
from trainer.bench.training_step import preset_of

Section = Callable[[torch.device], Iterator[rows.Row]]

PARTS: dict[str, Section] = {
    "attention": parts.attention_rows,
    "muon": parts.muon_rows,
    "fused": parts.fused_rows,
    "step": whole.step_rows,
    "profile": profiling.profile_rows,
    "parity": parts.parity_rows,
    "startup": processes.startup_rows,
    "neighbours": processes.neighbour_rows,
}
DEFAULT = ("attention", "muon", "fused", "step")
READ_TEXT = {"step", "profile", "startup", "neighbours"}


def measure(arguments: argparse.Namespace) -> int:
    """Everything that was asked for, shown and written down as it comes. Returns the exit code.

    Raises:
        SetupError, PrepareError: before anything was measured, or from `--against`.
    """
    settings = harness.Settings.from_environment()
    names = chosen_parts(arguments)
    check_place(arguments.json)
    settings.apply()
    with preset_of(settings.device, arguments.set):
        return measure_all(arguments, names, settings.device)


def measure_all(arguments: argparse.Namespace, names: tuple[str, ...], device: torch.device) -> int:
    print("  ".join(rows.machine(device).values()))
    if arguments.against:
        found = list(against.against_rows(arguments.against, device, arguments.budget))
        tell(found, found, device, arguments.json)
        return 0
    found, failed = [], False
    for name in names:
        new, complete = attempt(name, PARTS[name], device)
        found += new
        failed |= not complete
        tell(new, found, device, arguments.json)
    return int(failed)


def chosen_parts(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The names of the parts that were asked for.

    Raises:
        SetupError: there is no such part.
        PrepareError: it needs a corpus, and none is prepared.
    """
    if arguments.against:
        return ()
    names = tuple(PARTS) if arguments.all else DEFAULT if arguments.only is None else tuple(arguments.only.split(","))
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise harness.SetupError(f"--only {unknown[0]}: the parts are {', '.join(PARTS)}")
    if READ_TEXT & set(names):
        prepare.load_corpus()
    return names


def check_place(path: Path | None) -> None:
    """Refuse a file that could not be written once everything is measured."""
    if path and (path.is_dir() or not os.access(path.absolute().parent, os.W_OK)):
        raise harness.SetupError(f"--json {path}: no file can be written there")


def attempt(name: str, section: Section, device: torch.device) -> tuple[list[rows.Row], bool]:
    """The rows of a section, and whether those are all: where it fails, the last one says why, and the next section
    begins as if nothing had happened."""
    found: list[rows.Row] = []
    try:
        release(device)
        for row in section(device):
            found.append(row)
    except (harness.SetupError, prepare.PrepareError) as error:
        why = probing.reason(error)
    except Exception as error:  # whatever a GPU, its driver, a compiler or a package of kernels comes up with
        traceback.print_exc()
        why = f"{type(error).__name__}: {probing.reason(error)}"
    else:
        return found, True
    return [*found, rows.missing(name, "failed here", "", why)], False


def release(device: torch.device) -> None:
    """Give the memory of the section before back to the GPU: a trainer that the next one starts needs it."""
    gc.collect()  # an optimizer that holds its own compiled method is a cycle
    if device.type == "cuda":
        torch.cuda.empty_cache()


def tell(new: list[rows.Row], found: list[rows.Row], device: torch.device, path: Path | None) -> None:
    """Show new rows, and write all that were found until now."""
    rows.show(new)
    if path:
        rows.write(path, found, device, ["python", "-m", "trainer.bench", *sys.argv[1:]])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="trainer.bench", description=bench.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="PARTS", help=f"some of {', '.join(PARTS)}, with commas")
    parser.add_argument("--all", action="store_true", help="everything there is to measure here, parity included")
    parser.add_argument("--against", metavar="TRAIN_PY", type=Path, help="compare with another train.py")
    parser.add_argument("--budget", metavar="SECONDS", type=float, default=60.0, help="of each run of --against (60)")
    parser.add_argument("--device", choices=("cuda", "mps", "cpu"), help="the best there is")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="in step and profile")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures there")
    arguments = parser.parse_args(argv)
    try:
        with rows.variable("SWARM_DEVICE", arguments.device) if arguments.device else nullcontext():
            return measure(arguments)
    except (harness.SetupError, prepare.PrepareError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
