"""One line per event, none twice, none lost."""

from __future__ import annotations

import re

from msgspec.structs import replace

from swarm.snapshot.records import Event
from swarm.views.event_lines import event_line, new_events, print_events


def test_a_verdict_reads_as_the_metric_with_its_change(make_swarm, make_experiment, make_event):
    kept = make_experiment(3, status="keep", value=0.9932, gain=0.0011, title="raise embedding lr", agent="gpu3")
    snapshot = replace(make_swarm(1, now=1.0), experiments=(kept,))
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d gpu3 keep 0\.9932 \(-0\.0011\) raise embedding lr", event_line(make_event(kept), snapshot)
    )
    higher = replace(snapshot, direction="higher")
    assert "keep 0.9932 (+0.0011)" in event_line(make_event(kept), higher)
    assert "near miss 0.9932" in event_line(make_event(kept, "near miss"), snapshot)


def test_crashes_and_plain_events(make_swarm, make_experiment, make_event):
    crash = make_experiment(4, status="crash", value=None, gain=None, failure="oom")
    snapshot = replace(make_swarm(1, now=1.0), experiments=(crash,))
    assert event_line(make_event(crash, "crash"), snapshot).endswith("gpu0 crash oom: idea 4")
    note = Event(0.0, "", "told", "try\x1b[2J\nsmaller [bold]batches")
    assert event_line(note, snapshot).endswith("swarm told try smaller [bold]batches")
    unknown = make_experiment(5, value=None, gain=None)
    assert "discard - (-) idea 5" in event_line(
        make_event(unknown, "discard"), replace(snapshot, experiments=(unknown,))
    )


def test_follow_gives_each_event_once_even_from_a_sliding_window(make_swarm):
    events = tuple(Event(float(k // 2), "gpu0", "warning", str(k)) for k in range(10))
    first, second, third = (replace(make_swarm(1, now=1.0), events=events[a:b]) for a, b in ((0, 4), (2, 7), (5, 10)))
    assert list(new_events(None, first)) == list(events[:4])
    assert list(new_events(first, second)) == list(events[4:7])
    assert list(new_events(second, third)) == list(events[7:])
    assert list(new_events(third, third)) == []


def test_what_happens_while_the_swarm_ends_is_still_written(make_swarm):
    """`done` turns true between two looks: the last look comes after it."""
    quiet, full = make_swarm(1, now=1.0), make_swarm(1, now=2.0)
    written: list[str] = []
    finished = iter([True])
    print_events(iter([full]).__next__, written.append, finished.__next__)
    assert len(written) == len(full.events) > len(quiet.events)


def test_what_happened_before_a_resumption_is_set_apart(make_swarm, make_event, make_experiment) -> None:
    event = replace(make_event(make_experiment(1)), kind="resumed", text="", agent="swarm")
    assert event_line(event, make_swarm(1, now=1.0)).endswith("swarm resumed; what stands above is from before")
