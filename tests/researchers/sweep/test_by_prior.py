"""Prior art orders the sweep's first moves, and a prompt tells what of it is untested here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from swarm.project.prior import prior_art
from swarm.records import Briefing, Finding, Idea, Prior
from swarm.researchers.llm.prompt import PRIOR, briefing_text
from swarm.researchers.registry import create
from swarm.researchers.sweep.by_prior import ranked

PAID = Prior("lower rate", "s", gain=0.5, turn=(("matrix_lr", "down"),), device="cpu")
LITTLE = Prior("more decay", "s", gain=0.1, terms=("weight_decay",))
LOST = Prior("deeper", "s", gain=-0.1, turn=(("depth", "up"),))
ELSEWHERE = Prior("shorter", "s", gain=9.0, turn=(("seq_len", "down"),), device="cuda")
IDEAS = [Idea(title) for title in ("depth 3 -> 4", "seq_len 64 -> 32", "weight_decay 0 -> 1", "matrix_lr 2 -> 1")]


def test_what_paid_comes_first_and_what_lost_last(brief: Callable[..., Briefing]) -> None:
    given = brief(prior=(LOST, LITTLE, ELSEWHERE, PAID), device="cpu")
    assert [idea.title.split()[0] for idea in ranked(IDEAS, given)] == ["matrix_lr", "weight_decay", "seq_len", "depth"]
    assert ranked(IDEAS, brief()) == IDEAS


def test_the_sweep_begins_with_what_paid_elsewhere(brief: Callable[..., Briefing]) -> None:
    first = asyncio.run(create("sweep", "gpu0", 0).propose(brief(device="cpu")))
    paid = Prior("w", "s", gain=1.0, terms=("warmdown",), device="cpu")
    begun = asyncio.run(create("sweep", "gpu0", 0).propose(brief(device="cpu", prior=(paid,))))
    assert begun.title != first.title and "WARMDOWN" in begun.title.upper()


def test_a_model_reads_what_is_untested_its_own_category_first(brief: Callable[..., Briefing]) -> None:
    shipped = prior_art(Path("/nowhere"), "val_bpb")
    tried = Finding("t-gpu0-0001", "gpu0", "TOTAL_BATCH_SIZE 2**19 -> 2**18", "batch", "keep", "kept", "")
    text = briefing_text(brief([tried], prior=shipped, category="optimizer"))
    told = text.split("# Known elsewhere")[1]
    assert told.count("\n- [") == PRIOR and told.index("[optimizer]") < told.index("[architecture]")
    assert "halve the batch" not in told and "source" in told
    assert "Known elsewhere" not in briefing_text(brief())
