"""When single moves are done: several knobs at once, a near miss carried on, a patch with a knob; and the end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.records import Briefing, Finding, Idea
from swarm.researchers.protocol import Exhausted
from swarm.researchers.sweep.knob_space import STRUCTURE, key_of
from swarm.researchers.sweep.sweep import Sweep

Brief = Callable[..., Briefing]
Learn = Callable[..., Finding]

RATES = "MATRIX_LR = 0.04\nHEAD_LR = 0.004\nEMBEDDING_LR = 0.6\nprint(MATRIX_LR, HEAD_LR, EMBEDDING_LR)\n"
COUNTS = "DEPTH = 8\nMUON_STEPS = 5\nprint(DEPTH, MUON_STEPS)\n"
PATCH = "embedding of hashed token pairs"


def propose(researcher: Sweep, briefing: Briefing) -> Idea:
    return asyncio.run(researcher.propose(briefing))


def swept(brief: Brief, learn: Learn, number: int, text: str, newest: int = 400) -> list[Finding]:
    """So many experiments of one agent, none of which gains; its briefings show the `newest`."""
    researcher, findings, luck = Sweep("gpu0", 1, {}), [], random.Random(0)
    for _ in range(number):
        idea = propose(researcher, brief(list(reversed(findings[-newest:])), text=text, device="sim"))
        findings.append(learn(idea, luck.gauss(-0.02, 0.02)))
    return findings


def test_three_knobs_are_enough_for_a_night_however_short_its_briefings(brief: Brief, learn: Learn) -> None:
    findings = swept(brief, learn, 500, RATES, newest=20)
    assert len({key_of(finding) for finding in findings}) == 500
    assert all(len(finding.knobs) >= 2 for finding in findings[-50:] if len(finding.knobs) != 1)
    assert sum(len(finding.knobs) > 1 for finding in findings[-100:]) > 60
    assert sum(len(finding.knobs) == 3 for finding in findings) > 20, "after long without a keep it is bolder"


def test_a_near_miss_is_carried_on(brief: Brief, learn: Learn) -> None:
    findings = swept(brief, learn, 30, RATES)
    near = learn(Idea("near", knobs={"HEAD_LR": 0.0047}), 0.012, n=4)
    researcher, seen = Sweep("gpu0", 2, {}), []
    for _ in range(25):
        briefing = brief([near, *reversed(findings)], text=RATES, device="sim")
        seen.append(propose(researcher, briefing))
        findings.append(learn(seen[-1], -0.01))
    carried = [idea for idea in seen if idea.knobs.get("HEAD_LR") == 0.0047]
    assert carried and all(len(idea.knobs) > 1 and "near miss" in idea.rationale for idea in carried)


def test_a_patch_is_tried_with_a_knob(brief: Brief, learn: Learn) -> None:
    findings = [learn(Idea(PATCH, category="embedding"), -0.004)]
    researcher = Sweep("gpu0", 3, {})
    for _ in range(400):
        briefing = brief(list(reversed(findings)), category="embedding", plateau=True)
        idea = propose(researcher, briefing)
        if idea.knobs.get(STRUCTURE) == PATCH:
            break
        findings.append(learn(idea, -0.01))
    [code] = asyncio.run(researcher.edit(idea, briefing, Path("unused"))).files.values()
    turned = dict(idea.knobs)
    assert turned.pop(STRUCTURE) == PATCH and idea.title.startswith(PATCH)
    assert b"class PairEmbedding" in code and all(name in idea.title for name in turned)
    for broken in ({STRUCTURE: "gone", **turned}, {STRUCTURE: PATCH, "gone": 1}, {STRUCTURE: PATCH}):
        assert asyncio.run(researcher.edit(Idea("t", knobs=broken), briefing, Path("unused"))).files == {}


def test_agents_that_draft_at_the_same_moment_hardly_meet(brief: Brief, learn: Learn) -> None:
    agents = {f"gpu{number}": Sweep(f"gpu{number}", number, {}) for number in range(8)}
    findings, live, met, asked = [], [], 0, 0
    for _ in range(12):
        briefing = brief(list(reversed(findings)), live)
        ideas = {name: propose(agent, briefing) for name, agent in agents.items()}
        different = {key_of(idea): (name, idea) for name, idea in ideas.items()}
        asked, met = asked + 8, met + 8 - len(different)
        findings += [learn(idea, -0.01) for _, idea in live]
        live = list(different.values())
    assert met < 0.2 * asked


def test_when_everything_was_tried_it_says_so_at_once(brief: Brief, learn: Learn) -> None:
    researcher, findings = Sweep("gpu0", 1, {}), []
    with pytest.raises(Exhausted, match="everything that the sweep can propose was tried"):
        for _ in range(200):
            findings.append(learn(propose(researcher, brief(findings[::-1], text=COUNTS, device="sim")), -0.01))
    assert {len(finding.knobs) for finding in findings} == {1, 2}
    with pytest.raises(Exhausted):  # a restarted agent too
        propose(Sweep("gpu1", 2, {}), brief(findings[::-1], text=COUNTS, device="sim"))


def test_a_proposals_cost_grows_less_than_the_history(brief: Brief, learn: Learn) -> None:
    """In CPU seconds, and against itself: it grows less than the history does, however fast the machine is."""
    luck, names = random.Random(0), ("MATRIX_LR", "HEAD_LR", "EMBEDDING_LR")

    def random_finding() -> Finding:
        knobs = {name: luck.uniform(0.001, 1.0) for name in luck.sample(names, luck.randint(1, 3))}
        return learn(Idea(str(knobs), "", "other", knobs), luck.gauss(-0.02, 0.02))

    findings = [random_finding() for _ in range(5000)]

    def seconds(researcher: Sweep, number: int) -> float:
        """Of ten proposals, the briefing's findings read each time; the history is told before."""
        for first in range(0, number, 400):
            propose(researcher, brief(findings[first : first + 400][::-1], text=RATES, device="sim"))
        begun = time.process_time()
        for _ in range(10):
            propose(researcher, brief(findings[number - 400 : number][::-1], text=RATES, device="sim"))
        return time.process_time() - begun

    assert seconds(Sweep("gpu0", 1, {}), 5000) < 5000 / 400 * seconds(Sweep("gpu0", 1, {}), 400)
