from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.novelty.code import fingerprint
from swarm.novelty.intent import intent
from swarm.records import Briefing, Edit, Failure, Finding, Idea, Run, Source
from swarm.researchers.protocol import Exhausted
from swarm.researchers.registry import create
from swarm.researchers.sweep.knob_space import key_of, open_knob_space
from swarm.researchers.sweep.knobs import read_knobs, write_knobs
from swarm.researchers.sweep.playbook import Turn
from swarm.researchers.sweep.sweep import Sweep, _opening

Brief = Callable[..., Briefing]
Learn = Callable[..., Finding]

TINY = "DEPTH = 3\nMATRIX_LR = 0.1\nprint(DEPTH, MATRIX_LR)\n"
FOLDER = Path("unused")


def sweep(agent: str = "gpu0", seed: int = 1) -> Sweep:
    researcher = create("sweep", agent, seed)
    assert isinstance(researcher, Sweep)
    return researcher


def propose(researcher: Sweep, briefing: Briefing) -> Idea:
    return asyncio.run(researcher.propose(briefing))


def edited(researcher: Sweep, idea: Idea, briefing: Briefing) -> Source:
    return briefing.parent.edited(asyncio.run(researcher.edit(idea, briefing, FOLDER)))


def knobs_of(source: Source, device: str = "cpu") -> dict[str, float | int | str]:
    [content] = source.files.values()
    return read_knobs(content.decode(), device)


def crashed(failure: Failure) -> Run:
    return Run("t-gpu0-0001.1", 1, 0.0, 1.0, 1.0, failure=failure)


def test_200_proposals_of_two_agents_never_repeat(brief: Brief, learn: Learn) -> None:
    agents = [sweep("gpu0"), sweep("gpu1")]
    findings: list[Finding] = []
    live: list[tuple[str, Idea]] = []
    luck = random.Random(0)
    for turn in range(200):
        agent = turn % 2
        briefing = brief(reversed(findings), live, agent=f"gpu{agent}", category=("architecture", "batch")[agent])
        idea = propose(agents[agent], briefing)
        live = [*live[-1:], (f"gpu{agent}", idea)]
        if turn:
            status = luck.choice(["discard", "discard", "discard", "crash"])
            findings.append(learn(live[0][1], None if status == "crash" else luck.gauss(-0.02, 0.03), status))
    assert len({intent(idea) for idea in [live[-1][1], *findings]}) == 200  # type: ignore[arg-type]
    assert {f.category for f in findings} > {"architecture", "batch", "learning rate", "schedule", "optimizer"}


def test_every_proposal_has_an_edit_of_one_file_that_matters(brief: Brief, learn: Learn) -> None:
    researcher, findings, seen = sweep(), [], {fingerprint(brief().parent)}
    for _ in range(12):
        briefing = brief(reversed(findings))
        idea = propose(researcher, briefing)
        source = edited(researcher, idea, briefing)
        assert source.files.keys() == briefing.parent.files.keys()
        seen.add(fingerprint(source))
        assert {name: knobs_of(source)[name] for name in idea.knobs} == idea.knobs
        assert idea.title and idea.rationale.endswith(".") and len(idea.title) < 90
        findings.append(learn(idea, -0.01))
    assert len(seen) == 13


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_the_other_presets_have_openings_too(brief: Brief, device: str) -> None:
    researcher = sweep()
    ideas = [propose(researcher, brief(device=device)) for _ in range(8)]
    assert len({key_of(idea) for idea in ideas}) == 8
    for idea in ideas[:2]:
        assert edited(researcher, idea, brief(device=device)).sha != brief().parent.sha


def test_a_foreign_file_is_swept(brief: Brief, learn: Learn, foreign: str) -> None:
    researcher, findings = sweep(), []
    for _ in range(30):
        briefing = brief(reversed(findings), text=foreign, device="sim")
        idea = propose(researcher, briefing)
        knobs = knobs_of(edited(researcher, idea, briefing), "sim")
        assert knobs["TOTAL_BATCH_SIZE"] % (knobs["DEVICE_BATCH_SIZE"] * 2048) == 0  # type: ignore[operator]
        assert knobs["WARMUP_RATIO"] + knobs["WARMDOWN_RATIO"] <= 1  # type: ignore[operator]
        findings.append(learn(idea, -0.001))
    assert {"TOTAL_BATCH_SIZE", "MATRIX_LR", "WARMDOWN_RATIO"} <= {name for f in findings for name in f.knobs}


def test_the_first_proposal_is_of_the_agents_own_category(brief: Brief) -> None:
    for category in ("architecture", "batch", "schedule", "learning rate"):
        assert propose(sweep(), brief(category=category)).category == category


def test_agents_that_start_at_once_start_apart(brief: Brief) -> None:
    first = [propose(sweep(f"gpu{number}"), brief(agent=f"gpu{number}")) for number in range(5)]
    assert len({key_of(idea) for idea in first}) == 5


def test_refused_again_and_again_it_goes_on_elsewhere(brief: Brief) -> None:
    researcher, refused = sweep(), []
    for _ in range(40):
        refused.append(f"{propose(researcher, brief(refused=tuple(refused[-12:]))).title}: tried before")
    assert len(set(refused)) == 40


def test_a_draft_lost_to_the_moving_trunk_is_free_again_but_a_refused_one_is_not(brief: Brief) -> None:
    researcher = sweep()
    lost = propose(researcher, brief(text=TINY))
    assert key_of(propose(researcher, brief(text=TINY))) != key_of(lost)
    assert key_of(propose(researcher, brief(text=TINY, position=1))) == key_of(lost)
    after = brief(text=TINY, position=2, refused=(f"{lost.title}: same code as t-gpu1-0002",))
    assert key_of(propose(researcher, after)) != key_of(lost)


def test_what_was_tried_on_another_machine_may_be_tried_here(brief: Brief, learn: Learn) -> None:
    idea = propose(sweep(), brief())
    assert propose(sweep(), brief([learn(idea, -0.1, comparable=False)])) == idea
    assert key_of(propose(sweep(), brief([learn(idea, -0.1)]))) != key_of(idea)


def test_a_kept_step_is_gone_further(brief: Brief, learn: Learn) -> None:
    researcher = sweep()
    propose(researcher, brief(text=TINY))  # so that it saw where the trunk began
    won = Idea("MATRIX_LR 0.1 -> 0.15", "", "learning rate", {"MATRIX_LR": 0.15})
    on_it = brief([learn(won, 0.03, "keep")], text=TINY.replace("0.1", "0.15"))
    ideas = [propose(researcher, on_it) for _ in range(2)]
    assert [idea.knobs for idea in ideas] == [{"MATRIX_LR": 0.22}, {"MATRIX_LR": 0.18}]
    assert "kept" in ideas[0].rationale


def test_two_near_misses_are_tried_together(brief: Brief, learn: Learn) -> None:
    one = Idea("a", "", "schedule", {"warmdown": 0.51})
    other = Idea("b", "", "learning rate", {"head_lr": 0.0061})
    findings = [learn(one, 0.01, n=3), learn(other, 0.008, n=3), learn(Idea("c", knobs={"x0_init": 0.21}), -0.1)]
    assert propose(sweep(), brief(findings)).knobs == {"warmdown": 0.51, "head_lr": 0.0061}


def test_an_idea_can_be_put_on_another_parent(brief: Brief, trainer: str) -> None:
    researcher = sweep()
    idea = Idea("t", knobs={"head_lr": 0.0061})
    moved = brief(text=write_knobs(trainer, "cpu", {"matrix_lr": 0.033}))
    knobs = knobs_of(edited(researcher, idea, moved))
    assert (knobs["head_lr"], knobs["matrix_lr"]) == (0.0061, 0.033)
    stranger = create("sweep", "gpu7", 3)
    patch = Idea("embedding of hashed token pairs")
    assert b"class PairEmbedding" in next(iter(asyncio.run(stranger.edit(patch, moved, FOLDER)).files.values()))
    assert asyncio.run(researcher.edit(Idea("t", knobs={"gone": 1}), moved, FOLDER)) == Edit({})
    assert asyncio.run(researcher.edit(Idea("unheard of"), moved, FOLDER)) == Edit({})
    assert asyncio.run(researcher.edit(Idea("t", knobs={"width": 65}), moved, FOLDER)) == Edit({})


def test_out_of_memory_is_repaired_by_smaller_micro_batches(brief: Brief, trainer: str) -> None:
    fits = {"device_batch_size": 128, "total_batch_size": 2**18, "seq_len": 2048}
    researcher, briefing = sweep(), brief(device="cuda", text=write_knobs(trainer, "cuda", fits))
    idea = Idea("depth 9 -> 12", knobs={"depth": 12})
    edit = asyncio.run(researcher.edit(idea, briefing, FOLDER))
    mended = asyncio.run(researcher.repair(idea, edit, crashed(Failure.OOM), briefing, FOLDER))
    assert mended
    knobs = knobs_of(Source(mended.files), "cuda")
    assert (knobs["depth"], knobs["device_batch_size"], knobs["total_batch_size"]) == (12, 64, 2**18)
    assert asyncio.run(researcher.repair(idea, edit, crashed(Failure.CODE), briefing, FOLDER)) is None
    small = brief(text="WIDTH = 64\nHEAD_DIM = 16\nprint(WIDTH, HEAD_DIM)\n")
    mended = asyncio.run(researcher.repair(idea, Edit({}), crashed(Failure.OOM), small, FOLDER))
    assert mended and knobs_of(Source(mended.files))["WIDTH"] == 48


def test_findings_of_other_researchers_do_no_harm(brief: Brief, learn: Learn) -> None:
    strange = [
        Idea("words", "", "other", {"matrix_lr": "higher", "no_such_knob": 3}),
        Idea("kinds", "", "batch", {"depth": 2.5}),
        Idea("a new loss"),
    ]
    findings = [learn(idea, 0.01, n=3) for idea in strange] + [learn(strange[0], None, "near miss")]
    researcher = sweep()
    for _ in range(40):
        briefing = brief(findings, [("gpu1", strange[0])], plateau=True)
        assert asyncio.run(researcher.edit(propose(researcher, briefing), briefing, FOLDER)).files


def test_nothing_left_is_exhausted(brief: Brief) -> None:
    with pytest.raises(Exhausted):
        propose(sweep(), brief(text="print('no knobs')\n"))
    researcher = sweep()
    with pytest.raises(Exhausted):
        for _ in range(20):
            propose(researcher, brief(text="DEPTH = 2\nprint(DEPTH)\n"))


def test_equal_seeds_propose_equally(brief: Brief, learn: Learn, foreign: str) -> None:
    def night(seed: int) -> list[str]:
        researcher, findings = sweep(seed=seed), []
        for step in range(15):
            idea = propose(researcher, brief(reversed(findings), text=foreign))
            findings.append(learn(idea, 0.01 * (step % 3 - 1)))
        return [finding.title for finding in findings]

    assert night(1) == night(1) != night(2)


def test_it_finds_the_optimum_of_a_known_truth(brief: Brief) -> None:
    """Two constants with a hidden optimum, a greedy judge with noise: thirty experiments come near it."""
    luck, researcher = random.Random(3), sweep(seed=5)
    text, findings, position = "MATRIX_LR = 0.02\nHEAD_LR = 0.02\nprint(MATRIX_LR, HEAD_LR)\n", [], 0

    def truth(code: str) -> float:
        knobs = read_knobs(code, "sim")
        distances = (float(knobs["MATRIX_LR"]) / 0.07, float(knobs["HEAD_LR"]) / 0.009)
        return sum((ratio - 1) ** 2 if ratio < 1 else (1 - 1 / ratio) ** 2 for ratio in distances)

    start = truth(text)
    for _ in range(30):
        briefing = brief(reversed(findings), text=text, device="sim", position=position, sigma=0.02)
        idea = propose(researcher, briefing)
        [code] = [content.decode() for content in edited(researcher, idea, briefing).files.values()]
        gain = truth(text) - truth(code) + luck.gauss(0, 0.01)
        kept = gain > 0.02
        findings.append(
            Finding(
                f"t-gpu0-{len(findings)}", "gpu0", idea.title, idea.category, "keep" if kept else "discard", "seen", "", idea.knobs, gain=gain
            )
        )
        text, position = (code, position + 1) if kept else (text, position)
    assert truth(text) < 0.1 * start


def test_an_opening_stays_within_the_knobs_range(brief: Brief) -> None:
    text = next(iter(brief().parent.files.values())).decode()
    space = open_knob_space(Source({"trainer/train.py": write_knobs(text, "cpu", {"depth": 1}).encode()}), "cpu")
    assert space is not None
    assert not list(_opening(Turn("depth", plus=-1), space))
    assert [idea.knobs["depth"] for idea in _opening(Turn("depth", plus=1), space)] == [2]
