"""Prior art: what ships is well-formed, foreign files never raise, and an idea is found that is like a record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from swarm.errors import UsageError
from swarm.project.prior import SHIPPED, keep_imported, like, prior_art, read_prior, stored, weigh
from swarm.records import Idea, Prior
from swarm.researchers.sweep.playbook import RULES

RECORD = {"what": "halve the batch", "source": "a paper", "gain": 0.01, "turn": {"TOTAL_BATCH_SIZE": "down"}}
NAMES = st.sampled_from(["what", "source", "gain", "turn", "terms", "category", "metric"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=9,
)


def lines(*records: object) -> bytes:
    return "\n".join(map(json.dumps, records)).encode()


def record(**fields: object) -> Prior:
    (only,) = read_prior(lines({"what": "w", "source": "s"} | fields)).records
    return only


def test_what_ships_is_well_formed() -> None:
    for file in SHIPPED.glob("*.jsonl"):
        read = read_prior(file.read_bytes())
        assert not read.aside
        assert {known for one in read.records for known, _ in one.turn} <= {*RULES}
        assert all(one.terms or one.turn for one in read.records), "a record that no idea can be like"
    shipped = prior_art(Path("/nowhere"), "val_bpb")
    assert len(shipped) >= 60 and not prior_art(Path("/nowhere"), "accuracy")
    assert {one.device for one in shipped} == {"cuda", "cpu"}


@given(st.lists(JSON | st.text(max_size=40), max_size=5))
def test_nothing_in_a_file_raises(values: list[object]) -> None:
    text = "\n".join(value if isinstance(value, str) else json.dumps(value) for value in values)
    for one in read_prior(text.encode()).records:
        assert one.what and one.source
        assert weigh(Idea(one.what), [one])[0] in ("new", "known", "known-negative")


@given(st.binary(max_size=60))
def test_no_bytes_raise(content: bytes) -> None:
    read_prior(content)


@pytest.mark.parametrize(
    ("title", "word"),
    [
        ("TOTAL_BATCH_SIZE 2**19 -> 2**18", "known"),
        ("train.py:total_batch_size 524288 -> 262144", "known"),
        ("TOTAL_BATCH_SIZE 2**18 -> 2**19", "new"),
        ("WARMUP_RATIO 0.0 -> 0.1", "known-negative"),
        ("WARMUP_RATIO 0.1 -> 0.0", "new"),
        ("softcap 15 -> 20", "known-negative"),
        ("ADAM_BETAS[1] 0.95 -> 0.995", "known"),
        ("Multi-query attention", "known-negative"),
        ("embedding of hashed token pairs", "known"),
        ("parallel attention and MLP", "known-negative"),
        ("a kernel of our own", "new"),
        ("an enmtpy loop", "new"),  # mtp within a word is no word
        ("TOTAL_BATCH_SIZE 9**9999999 -> 1", "new"),
    ],
)
def test_an_idea_is_labelled_by_what_it_turns_or_says(title: str, word: str) -> None:
    assert weigh(Idea(title), prior_art(Path("/nowhere"), "val_bpb"))[0] == word


def test_all_terms_must_be_there_and_a_gain_anywhere_makes_it_known() -> None:
    lost, won = record(gain=-1, terms=["mlp|feed", "relu"]), record(gain=None, terms=["relu"])
    assert like(Idea("ReLU in the feed-forward"), [lost]) == (lost,)
    assert not like(Idea("a wider MLP"), [lost])
    assert weigh(Idea("relu mlp"), [lost])[0] == "known-negative"
    assert weigh(Idea("relu mlp"), [lost, won])[0] == "known"
    assert weigh(Idea("relu mlp"), [])[0] == ""


def test_what_was_measured_says_more_than_what_was_estimated() -> None:
    assert not record().estimated and not record(effect="measured").estimated
    guess, seen, lost = (
        record(terms=["relu"], gain=0.5, effect="estimated"),
        record(terms=["relu"], gain=0.01),
        record(terms=["relu"], gain=-3),
    )
    assert weigh(Idea("relu"), [guess, seen, lost]) == ("known", seen)
    assert weigh(Idea("relu"), [lost, guess]) == ("known", guess)
    assert weigh(Idea("relu"), [lost]) == ("known-negative", lost)
    assert weigh(Idea("gelu"), [lost]) == ("new", None)
    wrong = read_prior(lines({"what": "w", "source": "s", "effect": "guessed"}))
    assert wrong.aside == ("line 1: `effect` must be measured or estimated",)


def test_what_ships_says_of_every_effect_how_it_is_known() -> None:
    """A gain of a source that measures another thing (time to a loss, a whole recipe) is an estimate."""
    shipped = [json.loads(line) for file in SHIPPED.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert all(one["effect"] in ("measured", "estimated") for one in shipped)
    elsewhere = [one for one in shipped if "modded-nanogpt" in one["source"] or "Hyra" in one["source"]]
    assert elsewhere and all(one["effect"] == "estimated" for one in elsewhere)
    assert all(one["effect"] == "estimated" for one in shipped if one["where"] == "not measured")


def test_a_projects_own_files_and_imported_ones_are_read_by_metric(tmp_path: Path) -> None:
    (tmp_path / "prior_art").mkdir()
    (tmp_path / "prior_art" / "own.jsonl").write_bytes(lines({**RECORD, "metric": "accuracy"}, {**RECORD, "what": "x"}))
    read = keep_imported(tmp_path, "/elsewhere/notes.jsonl", lines({**RECORD, "what": "y"}, {"what": "z"}, 7))
    assert [one.what for one in read.records] == ["y"]
    assert read.aside == ("line 2: `what` and `source` must be given", "line 3: it is no JSON object")
    assert [one.what for one in prior_art(tmp_path, "accuracy")] == ["halve the batch", "x", "y"]
    assert [one.what for one in prior_art(tmp_path, "loss")] == ["x", "y"]
    with pytest.raises(UsageError, match=r"empty.jsonl holds no record of prior art \(line 1: it is no JSON object\)"):
        keep_imported(tmp_path, "empty.jsonl", b"[]")


def test_a_swarm_keeps_what_it_was_founded_with() -> None:
    found = read_prior(lines(RECORD)).records
    settings = json.loads(json.dumps({"prior": [structs.asdict(one) for one in found]}))
    assert stored(settings) == found and found[0].turn == (("total_batch_size", "down"),)
    assert stored({}) == ()
