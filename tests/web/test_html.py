"""Whatever an agent writes, it is text on the page: a browser's reading finds no element or attribute of its own."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarm.lab.demo import demo_swarm
from swarm.snapshot.records import Event, KnownView
from swarm.web.details import Detail
from swarm.web.html import Html, el, inline, join
from swarm.web.page import page
from swarm.wording.markdown import code, escape

FOREIGN = st.text(max_size=60) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</style><img src=x onerror=alert(1)>",
        '" onmouseover="alert(1)" x=\'',
        "--><svg/onload=alert(1)>",
        "</title></head><body onload=alert(1)>",
        "<!--",
        "&lt;script&gt;",
        "`</code>`<b>",
        "\x1b]8;;http://evil\x07link\x1b]8;;\x07",
        "\ud800 \u202e evil",
    ]
)


class Read(HTMLParser):
    """The elements and attributes that a page has, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def foreign_snapshot(text: str):
    """A swarm in which everything that others write is this text."""
    snapshot = demo_swarm(2, hours=1.0, ended=True)
    views = tuple(
        replace(
            view,
            title=text,
            category=text,
            rationale=text,
            reason=text,
            quarantine=text if place == 3 else "",
            novelty=text,
            known=KnownView(text, text, 0.1, True) if place else None,
        )
        for place, view in enumerate(snapshot.experiments)
    )
    snapshot = replace(
        snapshot,
        experiments=views,
        trunk=tuple(replace(step, title=text) for step in snapshot.trunk),
        agents=tuple(replace(agent, title=text, note=text, device=text, standin=text) for agent in snapshot.agents),
        runs=tuple(replace(run, description=text, failure=run.failure and text) for run in snapshot.runs),
        events=(*snapshot.events, Event(0.0, text, snapshot.status, text or "x", None)),
        notes=((0.0, text),),
        warnings=(text,),
        metric=text or "m",
        researcher=text,
        device=text,
        policy=text,
        limits=text,
        opened=(text,),
        demonstration=text,
    )
    patch = f"diff --git a/{text} b/{text}\n+++ b/{text}\n@@ {text}\n+{text}\n-{text}\n {text}"
    details = {view.id: Detail(patch, ((1.0, 2.0), (2.0, 1.0)), (), text) for view in views}
    return snapshot, details


@given(FOREIGN)
def test_no_text_of_others_becomes_markup(text):
    plain, hostile = (Read(page(*foreign_snapshot(each), 2.5)) for each in ("plain", text))
    known = set(plain.elements) | {("p", ("class",)), ("p", ())}
    assert set(hostile.elements) <= known
    assert all(link.startswith(("#", "data:image/svg+xml,%3Csvg")) for link in hostile.links)


@given(FOREIGN, FOREIGN)
def test_an_element_holds_what_it_was_given_as_text(text, other):
    found = Read(el("p", text, el("b", other), title=text))
    assert found.elements == [("p", ("title",)), ("b", ())]
    assert Read(join([text, other])).elements == []


@given(FOREIGN)
def test_what_markdown_escapes_is_text_here(text):
    found = Read(inline(f"look at {escape(text)} and {code(text)}"))
    assert [name for name, _ in found.elements] == ["code"]


def test_markup_of_ours_is_left_as_it_is():
    assert el("p", Html("<b>x</b>"), "<i>") == "<p><b>x</b>&lt;i&gt;</p>"
    assert el("input", type="radio", checked=True, id=None) == '<input type="radio" checked>'
    assert inline("run `a < b`, not 2\\*\\*18") == "run <code>a &lt; b</code>, not 2**18"


def test_every_field_of_an_experiment_was_thought_of():
    """A new text field of the snapshot's records is added to `foreign_snapshot`, and to this list."""
    texts = {
        name
        for name, hint in type(demo_swarm(1).experiments[0]).__annotations__.items()
        if hint in ("str", "str | None")
    }
    assert texts <= {
        "id", "agent", "title", "category", "state", "status", "rung", "rationale", "commit", "parent", "reason",
        "failure", "quarantine", "restores", "novelty",
    }  # fmt: skip
