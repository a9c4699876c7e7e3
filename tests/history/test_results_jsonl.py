"""autoresearch.jsonl: which metric a file says that it optimises, whatever else stands in it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from swarm.history.import_results import goals_in, metrics_in, read_results

CONFIG = {"type": "config", "name": "cost", "metricName": "total_bytes", "bestDirection": "lower"}


def line(number: int, value: float) -> dict[str, object]:
    told = {"prompts_bytes": 9982, "tools_list_bytes": 8854}
    return {
        "run": number,
        "commit": f"c{number}",
        "metric": value,
        "metrics": told,
        "status": "keep",
        "description": "x",
    }


def file(*lines: object) -> bytes:
    return "\n".join(json.dumps(one) for one in lines).encode()


def test_the_metric_of_its_configuration_is_the_one_that_counts() -> None:
    data = file(CONFIG, line(1, 54498), line(2, 54000), line(3, 53000))
    assert goals_in(data) == ("total_bytes",) and len(metrics_in(data)) == 3
    rows, aside = read_results(data, "total_bytes")
    assert [row.value for row in rows] == [54498, 54000, 53000] and not aside


def test_what_was_configured_and_never_measured_is_no_goal() -> None:
    other = CONFIG | {"metricName": "startup_us"}
    assert goals_in(file(CONFIG, other, line(1, 3.0))) == ("startup_us",)
    assert goals_in(file(CONFIG, line(1, 2.0), other, line(2, 3.0))) == ("total_bytes", "startup_us")


def test_without_a_configuration_nobody_says_it() -> None:
    assert goals_in(file(line(1, 2.0), line(2, 3.0))) == ()
    assert goals_in(b"commit\tval_bpb\tstatus\tdescription\na\t1.0\tkeep\tx\n") == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
LINE = st.dictionaries(
    st.sampled_from(["type", "config", "metricName", "metric", "metrics", "status", "bestDirection", "x"]),
    JSON | st.sampled_from(["config", "keep", "total_bytes", "lower"]),
    max_size=5,
)


@given(st.lists(LINE.map(json.dumps) | st.text(max_size=20), max_size=8))
def test_whatever_stands_there_its_goals_are_names_and_nothing_is_raised(lines: list[str]) -> None:
    data = "\n".join(["{}", *lines]).encode("utf-8", "replace")
    for goal in goals_in(data):
        assert goal and isinstance(goal, str)
        read_results(data, goal)
