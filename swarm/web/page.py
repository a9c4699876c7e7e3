"""The page: its parts by name, and all of them as one file that needs nothing else and asks nobody for anything.

A part is an element whose id is the part's name, so that a live page can be given the parts that changed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from swarm.snapshot.records import AgentView, Snapshot
from swarm.web import summary
from swarm.web.ablation import matters
from swarm.web.details import Detail
from swarm.web.experiments import rows, table
from swarm.web.html import Html, el, inline, join
from swarm.web.live import newest
from swarm.web.staircase import staircase
from swarm.wording.facts import facts
from swarm.wording.formatting import Scale, clean, dollars, plural, short_id
from swarm.wording.headline import leading, title
from swarm.wording.recommendations import recommend
from swarm.wording.verdict_text import judged, outcome_word

MOST = 940_000  # bytes of a page; beyond, rows are shown in short
_ASSETS = Path(__file__).with_name("assets")
_FILTERS = ("kept", "carried", "near miss", "held", "crashed")  # the kinds that have a button of their own
_STEPS = 40  # kept steps listed beside the staircase
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M1 3h5v4h4v4h5' fill='none' stroke='%232a9d5c' stroke-width='2.4'/%3E%3C/svg%3E"
)


def parts(snapshot: Snapshot, usd_per_gpu_hour: float | None, live: bool = False) -> dict[str, Html]:
    """Every part but the rows, by its id and in the order of the page. A live one has the newest verdicts too, and
    whoever asks for it puts cards in the place of the agents' table."""
    return {
        "top": summary.top(snapshot),
        "warnings": summary.warned(snapshot),
        "result": summary.result(snapshot),
        "agents": _agents(snapshot),
        **({"newest": newest(snapshot)} if live else {}),
        "stairs": _stairs(snapshot),
        "matters": matters(snapshot),
        "take": _take(snapshot),
        "counts": _filters(snapshot),
        "next": _section(
            "next", "What to try next", el("ul", [el("li", inline(text)) for text in recommend(snapshot)])
        ),
        "facts": _section("facts", "What ran", _facts(snapshot), summary.money(snapshot, usd_per_gpu_hour)),
        "said": _notes(snapshot),
    }


def page(snapshot: Snapshot, details: Mapping[str, Detail], usd_per_gpu_hour: float | None = None) -> str:
    """The whole report as HTML."""
    above = parts(snapshot, usd_per_gpu_hour)
    empty = document(title(snapshot), above, {}, scripts=("page.js",))
    listed = rows(snapshot, details, MOST - len(empty.encode()))
    return document(title(snapshot), above, listed, scripts=("page.js",))


def document(
    name: str, above: Mapping[str, Html], listed: Mapping[str, Html], scripts: tuple[str, ...], **live: str
) -> str:
    """The parts and the rows as one document. `live` becomes data attributes of its body, for the scripts."""
    style, script = _asset("style.css"), "".join(map(_asset, scripts))
    policy = content_policy(style, script, connect=bool(live))
    after = ("next", *(["agents"] if not live else []), "facts", "said")
    main = [
        *(part for part_name, part in above.items() if part_name not in after and part_name != "counts"),
        el("section", el("h2", "Experiments"), above["counts"], _list(listed), id="experiments"),
        *(above[part_name] for part_name in after),
    ]
    head = [
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("link", rel="icon", href=_ICON),
        el("title", name),
        el("style", Html(style)),
    ]
    data = {f"data_{key}": value for key, value in live.items()}
    body = el(
        "body", el("main", main), el("footer", "made by the autoresearch swarm"), el("script", Html(script)), **data
    )
    return "<!DOCTYPE html>\n" + el("html", el("head", head), body, lang="en") + "\n"


def content_policy(style: str, script: str, connect: bool) -> str:
    """What the page may do: these very styles and scripts, and nothing from anywhere; a live one asks its server."""
    asked = "; connect-src 'self'" if connect else ""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; base-uri 'none';"
        f" form-action 'none'{asked}"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------
# Parts


def _section(name: str, heading: str, *children: Html | None) -> Html:
    return el("section", el("h2", heading), *children, id=name)


def _stairs(snapshot: Snapshot) -> Html:
    scale = Scale.of(snapshot)
    steps = [step for step in snapshot.trunk if step.position > 0]
    shown = [
        el(
            "li",
            el(
                "div",
                el("a", clean(step.title)[:90], href=f"#{short_id(clean(step.experiment), snapshot.tag)}"),
                el("span", scale.change(step.gain)),
            ),
            value=step.position,
            class_="champion" if step.experiment == snapshot.champion else None,
        )
        for step in steps[-_STEPS:]
    ]
    listed = el("ol", shown) if shown else el("p", "no step was kept yet", class_="about")
    beside = el("div", el("h3", f"Kept steps, {scale.metric} from the baseline"), listed, class_="steps")
    bands = "; green: 95% interval of a kept state" if steps else ""
    bands += "; grey: one sigma around the baseline" if snapshot.sigma else ""
    axis = el("p", f"{scale.metric}, {scale.direction} is better, by verdict{bands}", class_="about")
    return _section(
        "stairs", "Every experiment", el("div", el("div", staircase(snapshot), axis), beside, class_="split")
    )


def _take(snapshot: Snapshot) -> Html:
    """How to get the result into one's own code; empty while there is none."""
    leader = leading(snapshot)
    if leader is None or not leader.better:
        return el("section", id="take", hidden=True)
    tag = clean(snapshot.tag)
    which = "champion" if leader.step.experiment == snapshot.champion else short_id(leader.step.experiment, tag)
    commands = [
        f"python -m swarm show {which} --tag {tag} --patch > {which}.patch && git apply {which}.patch",
        f"git merge {clean(snapshot.branch)}",
    ]
    patched = "every kept step up to the champion" if which == "champion" else "the last step alone"
    told = f"The patch holds {patched}; the branch holds the whole trunk."
    return _section("take", "Take it", el("p", told, class_="about"), *(el("pre", command) for command in commands))


def _filters(snapshot: Snapshot) -> Html:
    """Buttons that work without a script: what is chosen hides the rest by a style."""
    words = [outcome_word(view, snapshot.sigma) for view in judged(snapshot)]
    choices = [("all", len(words)), *((word, words.count(word)) for word in _FILTERS)]
    buttons = [
        el("label", f"{word} ", el("small", str(count)), for_=f"f-{word.replace(' ', '-')}") for word, count in choices
    ]
    return el("div", buttons, id="counts")


def _list(listed: Mapping[str, Html]) -> Html:
    inputs = [
        el("input", type="radio", name="f", id=f"f-{word.replace(' ', '-')}", checked=word == "all")
        for word in ("all", *_FILTERS)
    ]
    return join([*inputs, el("div", *listed.values(), id="rows")])


def _facts(snapshot: Snapshot) -> Html:
    return el("dl", [[el("dt", label), el("dd", text)] for label, text in facts(snapshot).items()])


def _agents(snapshot: Snapshot) -> Html:
    scale = Scale.of(snapshot)
    heads = ["agent", "keep", "discard", "crash", "spent", "best from the baseline", "device"]
    lines = [_agent(agent, scale) for agent in snapshot.agents]
    return _section("agents", plural(len(lines), "agent"), table(heads, lines) if lines else None)


def _agent(agent: AgentView, scale: Scale) -> list[str]:
    best = scale.interval(agent.gain, agent.low, agent.high)
    counts = [str(count) for count in (agent.keep, agent.discard, agent.crash)]
    return [clean(agent.agent), *counts, dollars(agent.usd), best, clean(agent.device)]


def _notes(snapshot: Snapshot) -> Html:
    notes = [el("li", text) for _, text in snapshot.notes]
    return _section("said", "What people said", el("ul", notes)) if notes else el("section", id="said", hidden=True)
