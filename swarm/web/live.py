"""What only a live page has: a card per agent with what it does now, and the newest verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swarm.snapshot.agent_files import TRANSCRIPTS
from swarm.snapshot.records import AgentView, ExperimentView, Snapshot
from swarm.web.html import Html, block, el
from swarm.wording.formatting import Scale, clean, clock, dollars, duration, plural, quantity, share, short_id
from swarm.wording.verdict_text import judged, outcome_word

_NEWEST = 8  # verdicts
_TAIL = 6000  # bytes of a transcript that are read
_LINES = 14  # of them shown


def agents(snapshot: Snapshot, transcripts: Mapping[str, str]) -> Html:
    """A card per agent. `transcripts` are their newest lines."""
    scale = Scale.of(snapshot)
    cards = [_card(agent, scale, transcripts.get(agent.agent, "")) for agent in snapshot.agents]
    heading = el("h2", plural(len(cards), "agent"))
    return el("section", heading, el("div", cards, class_="grid-agents"), id="agents", hidden=not cards)


def _card(agent: AgentView, scale: Scale, transcript: str) -> Html:
    state = "first run" if agent.purpose == "first" else clean(agent.purpose)
    state = clean(agent.state) if agent.state != "training" or not agent.purpose else state
    now = [
        f"step {agent.step:,}" if agent.step is not None and agent.experiment else "",
        f"loss {agent.loss:.3f}" if agent.loss is not None else "",
        f"{duration(agent.seconds)} of {duration(agent.budget)}" if agent.experiment and agent.budget else "",
    ]
    machine = [
        f"load {share(agent.gpu_load)}" if agent.gpu_load is not None else "",
        quantity(agent.gpu_memory_gb, " GB", 1) if agent.gpu_memory_gb is not None else "",
        quantity(agent.gpu_watts, " W") if agent.gpu_watts is not None else "",
        dollars(agent.usd) if agent.usd else "",
    ]
    tally = f"{agent.keep} keep · {agent.discard} discard · {agent.crash} crash"
    best = f"best {scale.interval(agent.gain, agent.low, agent.high)}" if agent.gain is not None else ""
    return el(
        "div",
        el("h3", clean(agent.agent), el("span", state)),
        el("p", clean(agent.title or agent.note or agent.device), class_="tries"),
        el("progress", value=f"{_used(agent):.3f}", max="1") if agent.experiment and agent.budget > 0 else None,
        *(
            el("p", " · ".join(filter(None, line)), class_="about")
            for line in (now, machine, [tally], [best])
            if any(line)
        ),
        el("p", f"the sweep thinks for it: {clean(agent.standin)}", class_="about") if agent.standin else None,
        el("details", el("summary", "transcript"), el("pre", transcript), data_key=f"transcript {clean(agent.agent)}")
        if transcript
        else None,
        class_=f"agent {clean(agent.state)}",
    )


def _used(agent: AgentView) -> float:
    return 1.0 if agent.state == "measuring" else min(max(agent.seconds / agent.budget, 0.0), 1.0)


def newest(snapshot: Snapshot) -> Html:
    """The last verdicts, newest first."""
    found, scale = judged(snapshot)[::-1][:_NEWEST], Scale.of(snapshot)
    lines = [_verdict(view, snapshot, scale) for view in found]
    return el("section", el("h2", "Last verdicts"), el("ol", lines), id="newest", hidden=not lines)


def _verdict(view: ExperimentView, snapshot: Snapshot, scale: Scale) -> Html:
    word = outcome_word(view, snapshot.sigma)
    return el(
        "li",
        el("time", clock(view.judged or view.created)),
        el("b", word),
        el("span", el("a", clean(view.title)[:120], href=f"#{short_id(clean(view.id), snapshot.tag)}")),
        el("i", scale.change(view.gain) if view.gain is not None else ""),
        class_=word.replace(" ", "-"),
    )


def transcript(folder: Path, agent: str) -> str:
    """The newest lines of what an agent's researcher said and did; "" where there are none."""
    try:
        file = TRANSCRIPTS.newest(folder / agent)
        if file is None:
            return ""
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - _TAIL))
            text = opened.read(_TAIL)
    except OSError:  # renamed a moment ago
        return ""
    lines = block(text.decode(errors="replace"), _TAIL).split("\n")
    return "\n".join(lines[-_LINES:])
