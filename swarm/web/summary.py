"""The first screen: what was found, how sure it is, what waits for a person, what it cost, why it ended."""

from __future__ import annotations

from collections.abc import Iterator

from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.web.html import Html, el, inline
from swarm.wording.confirmation_results import hidden_gain
from swarm.wording.cost import cost
from swarm.wording.facts import times, why_it_ended
from swarm.wording.formatting import Scale, clean, dollars, duration, machine_hours, plural, short_id
from swarm.wording.headline import Leader, headline, hidden_of, leading, second_opinion, without_baseline
from swarm.wording.verdict_text import is_held, judged, tried
from swarm.wording.warnings import warnings


def top(snapshot: Snapshot) -> Html:
    """Name, state and time."""
    status = clean(snapshot.status)
    details = [plural(len(tried(snapshot)), "experiment"), plural(len(snapshot.agents), "agent")]
    if snapshot.device:
        details.append(clean(snapshot.device))
    return el(
        "header",
        el("h1", clean(snapshot.tag), " ", el("span", status, class_=f"state {status}")),
        el("p", " · ".join([*details, times(snapshot)]), class_="about"),
        id="top",
    )  # fmt: skip


def warned(snapshot: Snapshot) -> Html:
    """The warnings, each on a line, and what is no ordinary run's to use; empty where there are none."""
    lines = warnings(snapshot)
    lines += [f"Demonstration only: {clean(snapshot.demonstration)}"] if snapshot.demonstration else []
    lines += [f"Open to every run: {clean('; '.join(snapshot.opened))}"] if snapshot.opened else []
    return el("div", [el("p", line, class_="warning") for line in lines], id="warnings")


def result(snapshot: Snapshot) -> Html:
    """The finding in numbers, the same in a sentence, and four facts beside it."""
    leader, scale = leading(snapshot), Scale.of(snapshot)
    return el(
        "section",
        el("div", _finding(snapshot, leader, scale), class_="finding"),
        el("div", *_cards(snapshot, leader, scale), class_="cards"),
        el("p", inline(headline(snapshot, markdown=True)), class_="headline"),
        id="result",
    )


def _finding(snapshot: Snapshot, leader: Leader | None, scale: Scale) -> Iterator[Html]:
    if leader is None or not leader.better:
        nothing = "no improvement found" if snapshot.ended is not None else "no improvement yet"
        yield el("p", without_baseline(snapshot) if snapshot.baseline is None else nothing, class_="name")
        if snapshot.baseline is not None:
            yield el("p", el("b", scale.value(snapshot.baseline), class_="value"), f" {scale.metric}, the baseline")
        return
    change, sign, half = scale.interval(leader.gain, leader.low, leader.high).partition(" ± ")
    what = "champion" if leader.step.experiment == snapshot.champion else "newest kept state, not confirmed"
    name = short_id(clean(leader.step.experiment), snapshot.tag)
    yield el(
        "p", el("span", what, class_="badge"), " ", el("a", clean(leader.step.title), href=f"#{name}"), class_="name"
    )
    yield el(
        "p",
        el("b", change, class_="value"),
        el("span", f"{sign}{half}", class_="half"),
        el("span", f"{scale.metric} {scale.value(leader.baseline)} → {scale.value(leader.value)}", class_="fromto"),
    )  # fmt: skip


def _cards(snapshot: Snapshot, leader: Leader | None, scale: Scale) -> Iterator[Html]:
    if leader is not None:
        yield _card("hidden split", hidden_gain(hidden_of(snapshot, leader), scale), second_opinion(snapshot))
    held = [view for view in judged(snapshot) if is_held(view)]
    yield _card("held for a person", str(len(held)), "" if held else "nothing waits", *_held(snapshot, held, scale))
    limit = "" if snapshot.spend_limit_usd is None else f" of ${snapshot.spend_limit_usd:g}"
    yield _card("models", f"{dollars(snapshot.spent_usd)}{limit}", f"{machine_hours(snapshot)} of machine time")
    limits = f"limits: {clean(snapshot.limits)}" if snapshot.limits else ""
    if why := why_it_ended(snapshot):
        yield _card("ended", clean(snapshot.status), why)
    elif snapshot.ended is None and snapshot.deadline is not None and snapshot.status != "interrupted":
        yield _card("time", f"{duration(snapshot.deadline - snapshot.now)} left", limits)
    else:
        yield _card("time", times(snapshot), limits)


def _held(snapshot: Snapshot, held: list[ExperimentView], scale: Scale) -> Iterator[Html]:
    for view in held[:3]:
        link = el("a", clean(view.title)[:60], href=f"#{short_id(clean(view.id), snapshot.tag)}")
        yield el("p", link, f" {scale.interval(view.gain, view.low, view.high)}")


def _card(label: str, value: str, text: str, *more: Html) -> Html:
    return el("div", el("h2", label), el("p", el("b", value)), el("p", text) if text else None, *more, class_="card")


def money(snapshot: Snapshot, usd_per_gpu_hour: float | None) -> Html:
    """The cost in a sentence."""
    return el("p", inline(cost(snapshot, usd_per_gpu_hour)))
