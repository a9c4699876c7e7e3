"""The command line of trainer.bench; see the package's docstring."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import prepare
from trainer import bench, harness
from trainer.bench import against, parts, processes, rows, whole

PARTS: dict[str, Callable[[torch.device], Iterator[rows.Row]]] = {
    "attention": parts.attention_rows,
    "muon": parts.muon_rows,
    "fused": parts.fused_rows,
    "step": whole.step_rows,
    "parity": parts.parity_rows,
    "startup": processes.startup_rows,
    "neighbours": processes.neighbour_rows,
}
DEFAULT = ("attention", "muon", "fused", "step")


def measure(arguments: argparse.Namespace) -> list[rows.Row]:
    """Everything that was asked for, shown as it comes."""
    settings = harness.Settings.from_environment()
    device = harness.pick_device(arguments.device) if arguments.device else settings.device
    settings.apply()
    facts = rows.machine(device)
    print("  ".join(facts.values()))
    if arguments.against:
        sections = [lambda: against.against_rows(arguments.against, device, arguments.budget)]
    else:
        names = PARTS if arguments.all else DEFAULT if arguments.only is None else arguments.only.split(",")
        unknown = [name for name in names if name not in PARTS]
        if unknown:
            raise harness.SetupError(f"--only {unknown[0]}: the parts are {', '.join(PARTS)}")
        sections = [lambda name=name: PARTS[name](device) for name in names]
    found: list[rows.Row] = []
    for section in sections:
        new = list(section())
        rows.show(new)
        found += new
    if arguments.json:
        rows.write(arguments.json, found, device, ["python", "-m", "trainer.bench", *sys.argv[1:]])
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="trainer.bench", description=bench.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="PARTS", help=f"some of {', '.join(PARTS)}, with commas")
    parser.add_argument("--all", action="store_true", help="everything there is to measure here, parity included")
    parser.add_argument("--against", metavar="TRAIN_PY", type=Path, help="compare with another train.py")
    parser.add_argument("--budget", metavar="SECONDS", type=float, default=60.0, help="of each run of --against (60)")
    parser.add_argument("--device", choices=("cuda", "mps", "cpu"), help="the best there is")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures there")
    arguments = parser.parse_args(argv)
    try:
        measure(arguments)
    except (harness.SetupError, prepare.PrepareError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
