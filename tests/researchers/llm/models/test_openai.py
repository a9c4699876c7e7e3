"""The researcher behind Chat Completions over real HTTP: the real SDK and the real loop against this process."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from swarm.errors import UsageError
from swarm.records import Briefing, Edit, Idea
from swarm.researchers.auto import refuse_unknown
from swarm.researchers.llm.models.openai import OpenAI, known_price
from swarm.researchers.llm.money import OwnSpending, Usage
from swarm.researchers.protocol import Away, Exhausted
from swarm.researchers.registry import create, secrets
from tests.researchers.chat_server import ChatServer, Fails, Reply, Script, calls, says, uses

CANARY = "sk-canary-4711"
CODE = "lr = 0.1\ndepth = 3\n"
PATH = "trainer/train.py"
IDEA = {"title": "lr 0.1 -> 0.2", "rationale": "it learns too slowly", "category": "Learning Rate"}
SAID = "Let me think.\n```idea\ntitle: lr 0.1 -> 0.2\nwhy: it learns too slowly\ncategory: Learning Rate\n```"
EDITED = f"```edit {PATH}\n<<<<<<< SEARCH\nlr = 0.1\n=======\nlr = 0.2\n>>>>>>> REPLACE\n```"

T = TypeVar("T")
RUNNER: asyncio.Runner

GOOD = (
    uses("submit_idea", IDEA),
    uses("edit_file", path=PATH, old="lr = 0.1", new="lr = 0.2"),
    uses("submit_edit"),
)


@pytest.fixture(autouse=True)
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    global RUNNER
    with asyncio.Runner() as RUNNER:
        yield


def run(step: Coroutine[Any, Any, T]) -> T:
    return RUNNER.run(step)


@pytest.fixture
def serve() -> Iterator[Callable[[Script], ChatServer]]:
    servers: list[ChatServer] = []

    def start(script: Script) -> ChatServer:
        servers.append(ChatServer(script).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def chat(server: ChatServer, **options: str) -> OpenAI:
    given = {"api_key": CANARY, "url": server.url, "model": "parrot", "price": "4,20", "retries": "1"} | options
    researcher = create("openai", "gpu0", 0, given)
    assert isinstance(researcher, OpenAI)
    return researcher


async def experiment(researcher: OpenAI, briefing: Briefing, folder: Path) -> tuple[Idea, Edit]:
    idea = await researcher.propose(briefing)
    return idea, await researcher.edit(idea, briefing, folder)


def spent(researcher: OpenAI) -> float:
    return 20 - run(researcher.model.spending.left())


def test_an_idea_becomes_an_edit_in_one_conversation(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path
) -> None:
    looks = calls(("read_file", {"path": PATH}), ("search_findings", {"query": "rate"}), text="Let me look.")
    server = serve([looks, uses("submit_idea", '{"title": oops'), *GOOD])
    researcher = chat(server, price="4,20")
    idea, edit = run(experiment(researcher, brief(text=CODE, program="Get it down."), draft))
    assert idea == Idea(IDEA["title"], IDEA["rationale"], "learning rate")
    assert edit == Edit({PATH: b"lr = 0.2\ndepth = 3\n"})
    first = server.bodies[0]
    assert first.keys() == {"model", "messages", "tools", "max_tokens", "stream", "stream_options"}
    assert "Get it down." in first["messages"][0]["content"] and CODE in first["messages"][1]["content"]
    told = server.bodies[1]["messages"][-2:]
    assert [message["role"] for message in told] == ["tool", "tool"] and "lr = 0.1" in told[0]["content"]
    assert server.bodies[2]["messages"][-1]["content"] == "Error: submit_idea takes an object of named values"
    spending = researcher.model.spending
    assert isinstance(spending, OwnSpending)
    assert spending.used == Usage(input=50, output=500, cache_read=5000)
    assert spent(researcher) == pytest.approx((5050 * 4 + 500 * 20) / 1e6)


def test_a_model_without_tools_is_asked_in_plain_text_and_people_are_told(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path
) -> None:
    texts = iter([says("<think>```idea\ntitle: no\n```</think>" + SAID), says("hm"), says(EDITED)])

    def no_tools(body: dict[str, Any]) -> Reply:
        return Fails(400, "parrot does not support tools") if "tools" in body else next(texts)

    server, board = serve(no_tools), Board()
    researcher = chat(server)
    researcher.connect("gpu0", board)
    idea, edit = run(experiment(researcher, brief(text=CODE), draft))
    assert idea == Idea(IDEA["title"], IDEA["rationale"], "learning rate")
    assert edit == Edit({PATH: b"lr = 0.2\ndepth = 3\n"})
    assert ["tools" in body for body in server.bodies] == [True, False, False, False]
    assert "```edit path" in server.bodies[1]["messages"][0]["content"]
    mended = server.bodies[-1]["messages"]
    assert [message["role"] for message in mended] == ["system", *["user", "assistant"] * 2, "user"]
    assert "there is no block of idea" in mended[-1]["content"] and "[idea-1] Submitted." in mended[3]["content"]
    (warning,) = board.warnings
    assert "asked in plain text" in warning and "does not support tools" in warning


def test_a_model_that_never_calls_a_tool_is_asked_in_plain_text(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path
) -> None:
    server = serve([*[says("I would raise the rate.")] * 3, says(SAID), says(EDITED)])
    researcher = chat(server)
    assert run(experiment(researcher, brief(text=CODE), draft))[1].files
    assert ["tools" in body for body in server.bodies] == [True] * 3 + [False] * 2


def test_a_model_that_has_called_tools_keeps_them(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path
) -> None:
    server = serve([GOOD[0], *[says("hm")] * 5, *GOOD[1:], Fails(400)])
    researcher = chat(server)
    run(experiment(researcher, brief(text=CODE), draft))
    with pytest.raises(Away, match="refuses the request"):
        run(researcher.propose(brief(text=CODE)))
    assert all("tools" in body for body in server.bodies)


@pytest.mark.parametrize("step", ["idea", "edit"])
def test_an_answer_in_plain_text_may_be_mended_once(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path, step: str
) -> None:
    unclosed, cut = says("```idea\ntitle: x"), says("```edit", finish="length")
    script = [unclosed, cut] if step == "idea" else [says("?"), says(SAID), unclosed, cut]
    server = serve(script)
    researcher = chat(server, protocol="text")
    with pytest.raises(Away, match="answers cannot be read: it was cut off"):
        run(experiment(researcher, brief(text=CODE), draft))
    assert len(server.requests) == len(script)
    assert "does not end" in server.bodies[-1]["messages"][-1]["content"]


def test_an_edit_in_plain_text_is_made_as_a_whole_or_not_at_all(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path
) -> None:
    half = EDITED.replace("\n```", "\n<<<<<<< SEARCH\nnowhere\n=======\nx\n>>>>>>> REPLACE\n```")
    server = serve([says(SAID), says(half), *[says("```read prepare.py\n```")] * 11])
    researcher = chat(server, protocol="text", turns="2", fixed="prepare.py")
    idea, edit = run(experiment(researcher, brief(text=CODE), draft))
    assert idea.title and edit == Edit({})
    assert "`old` does not occur" in server.bodies[2]["messages"][-1]["content"]
    assert "BUDGET = 300" in server.bodies[3]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([Fails(401, "bad key " + CANARY)], r"refuses the key; is OPENAI_API_KEY right\? \(.*bad key \*\*\*"),
        ([Fails(403)], "may not use this model"),
        ([Fails(429)] * 2, "rate limit"),
        ([Fails(429, headers={"retry-after": "3600"})], "asks to wait 3600 s"),
        ([Fails(500)] * 2, "status 500"),
        ([Fails(503)] * 2, "status 503"),
        ([says("I was thinking about it", error=429)], "rate limit"),
        ([says("I was thinking about it", error="rate_limit_exceeded")], "rate limit"),
        ([says("I was thinking about it", error="server_error")], "status 500"),
        ([says("x", raw=b"<html>welcome</html>")] * 3, "does not speak Chat Completions"),
        ([says("x", raw=b'{"choices": [7]}')] * 3, "does not speak Chat Completions"),
        ([says("", more={"refusal": "I will not"}, finish="stop")] * 3, "declines to go on"),
        ([says("a", finish="content_filter")] * 3, "declines to go on"),
        ([says("I think", finish="length")] * 4, "no idea came of 4 turns"),
    ],
)
def test_every_failure_lets_others_think_and_is_told(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], script: list[Reply], reason: str
) -> None:
    researcher = chat(serve(script), turns="4", protocol="tools")
    with pytest.raises(Exhausted, match=reason) as told:
        run(researcher.propose(brief(text=CODE)))
    assert CANARY not in str(told.value)


@pytest.mark.parametrize(
    ("script", "low", "high"),
    [
        ([Fails(503), Fails(503)], 0.0, 0.0),
        ([says("I was thi", cut=True), Fails(403)], 0.004, 0.04),  # the question, as far as it can have cost
        ([says("x" * 40_000, error=529)], 0.15, 0.3),  # and half of the words, which came
        ([says("I was thi", cut=True)] * 3, 0.15, 0.3),  # the second was to come whole: it may have, and was lost
    ],
)
def test_a_failure_costs_what_came_or_the_worst_case(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], script: list[Reply], low: float, high: float
) -> None:
    researcher = chat(serve(script), protocol="tools")
    with pytest.raises(Exhausted):
        run(researcher.propose(brief(text=CODE)))
    assert low <= spent(researcher) <= high


def test_a_service_that_does_not_count_costs_its_worst_case(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path
) -> None:
    server = serve([says("hm", usage=None), *(calls(*reply.calls, usage=None) for reply in GOOD)])
    researcher = chat(server)
    run(experiment(researcher, brief(text=CODE), draft))
    assert spent(researcher) > 4 * 2000 * 4 / 1e6


def test_no_call_begins_that_the_money_might_not_cover(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing]
) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 10_000}
    server = serve(lambda body: says("Let me think.", usage=usage))  # $0.20 each
    researcher = chat(server, max_usd="1.1", protocol="tools")
    with pytest.raises(Exhausted, match="money limit is reached"):
        run(researcher.propose(brief(text=CODE)))
    assert len(server.requests) == 5


def test_after_two_cut_streams_answers_come_whole(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing]
) -> None:
    def cuts_streams(body: dict[str, Any]) -> Reply:
        return says("I was thinking", cut=True) if body.get("stream") else says("hm")

    server = serve(cuts_streams)
    with pytest.raises(Exhausted, match="no idea came of 4 turns"):
        run(chat(server, turns="4", protocol="tools").propose(brief(text=CODE)))
    assert [bool(body.get("stream")) for body in server.bodies] == [True, False, True, False, False, False]


def test_a_service_that_is_gone_costs_nothing(serve: Callable[..., ChatServer], brief: Callable[..., Briefing]) -> None:
    server = serve([])
    server.close()
    researcher = chat(server)
    with pytest.raises(Away, match="cannot be reached"):
        run(researcher.propose(brief(text=CODE)))
    assert spent(researcher) == 0


def test_a_service_of_this_machine_needs_neither_key_nor_price(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path
) -> None:
    server = serve(GOOD)
    researcher = chat(server, api_key="", price="")
    assert run(experiment(researcher, brief(text=CODE), draft))[1].files
    assert spent(researcher) == 0 and CANARY not in str(server.requests[0].headers)


def test_thoughts_go_back_with_the_call_they_led_to(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path
) -> None:
    server = serve([calls(("submit_idea", IDEA), more={"reasoning_content": "the rate is low \ud800"}), *GOOD[1:]])
    run(experiment(chat(server), brief(text=CODE), draft))
    assert server.bodies[1]["messages"][2]["reasoning_content"] == "the rate is low ?"


def test_the_key_is_nowhere(
    serve: Callable[..., ChatServer],
    brief: Callable[..., Briefing],
    draft: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    server = serve([says(f"The key is {CANARY}, I was told."), *GOOD, Fails(401, f"invalid key {CANARY}")])
    researcher = chat(server, api_key="", folder=str(tmp_path / "agent"), protocol="tools")
    made = run(experiment(researcher, brief(text=CODE), draft))
    with pytest.raises(Exhausted) as told:
        run(researcher.propose(brief(text=CODE)))
    kept = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    said = [repr(researcher.model.service), repr(told.value), caplog.text, repr(made), *kept]
    assert not [text for text in said if CANARY in text]
    assert any("The key is ***" in text for text in kept)
    assert CANARY in server.requests[0].headers["authorization"]  # the service did get it


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "--researcher openai needs a model: --model NAME"),
        ({"model": "m", "api_key": ""}, "needs a key: set OPENAI_API_KEY"),
        ({"model": "m"}, r"the price of 'm' at api.openai.com is not known: give --usd-per-mtok IN,OUT"),
        ({"model": "gpt-5", "url": "https://openrouter.ai/api/v1"}, "the price of 'gpt-5' at openrouter.ai is not"),
        ({"model": "m", "price": "2"}, "--usd-per-mtok '2': give two numbers"),
        ({"model": "m", "price": "nan,1"}, "--usd-per-mtok 'nan,1'"),
        ({"model": "m", "url": "localhost:11434"}, "give a URL, such as http://localhost:11434/v1"),
        ({"model": "m", "url": "http://[::1"}, "give a URL"),
        ({"model": "m", "url": "http://me:secret@there/v1"}, "leave name and password out of it"),
        ({"model": "gpt-5", "protocol": "morse"}, "must be one of auto, tools, text"),
    ],
)
def test_options_that_make_no_sense_are_told_in_one_line(options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as told:
        create("openai", "gpu0", 0, {"api_key": "k"} | options)
    assert "\n" not in str(told.value) and "secret" not in str(told.value)


def test_prices_are_those_of_openai_alone() -> None:
    assert known_price("gpt-5-2025-08-07", "https://api.openai.com/v1").output == 10.0
    for local in ("http://localhost:1/v1", "http://127.0.0.1:1", "http://[::1]:8000/v1"):
        assert known_price("anything", local).of(Usage(10**6, 10**6)) == 0
    sol = known_price("gpt-6-sol", "https://api.openai.com/v1")
    assert sol.of(Usage(100_000, 1000)) == pytest.approx(0.21)
    assert sol.of(Usage(300_000, 1000)) == pytest.approx(1.215), "a long prompt costs more, as a whole"
    for unknown in ("gpt-5-max", "gpt-5-20250807"):
        with pytest.raises(UsageError):
            known_price(unknown, "https://api.openai.com/v1")


def test_its_secrets_are_handed_over_and_its_options_known() -> None:
    environment = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://localhost:1/v1", "OTHER": "x"}
    assert secrets("openai", environment) == {"api_key": "k", "address": "http://localhost:1/v1"}
    refuse_unknown(["url", "price", "protocol", "output", "model"], {"openai"})
    given = {"url": "http://127.0.0.1:9/v1", "address": "https://elsewhere.example/v1", "model": "m"}
    made = create("openai", "gpu0", 0, given)
    assert isinstance(made, OpenAI) and re.search("127.0.0.1:9", str(made.model.service.__dict__["_client"].base_url))


class Board:
    """Where money is no object, and warnings are heard."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    async def reserve(self, agent: str, model: str, usd: float, tokens: int) -> int | str:
        return 1

    async def settle(self, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None: ...

    async def money_left(self) -> float:
        return 1e9

    async def dossier(self, experiment: str) -> None:
        return None

    async def history(self, before: str) -> tuple[()]:
        return ()

    async def warn(self, agent: str, text: str) -> None:
        self.warnings.append(text)


def test_a_whole_answer_is_read_like_a_stream(
    serve: Callable[..., ChatServer], brief: Callable[..., Briefing], draft: Path
) -> None:
    good = iter(GOOD)

    def whole_only(body: dict[str, Any]) -> Reply:
        return says("hm", cut=True) if body.get("stream") else next(good)

    server = serve(whole_only)
    assert run(experiment(chat(server), brief(text=CODE), draft))[1].files
    assert json.dumps(server.bodies).count("stream_options") == 2
