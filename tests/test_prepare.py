"""prepare.py: sources and splits, downloads, the prepared corpus, the packer, the metric, the command line.

python -m pytest tests/test_prepare.py
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # prepare.py is not installed: it runs from a checkout's root

import prepare  # noqa: E402

CPU = torch.device("cpu")


def prose(seed: int, lines: int) -> str:
    rng = random.Random(seed)
    words = ["".join(random.Random(n).choices("aeioulnrstkm", k=3 + n % 4)) for n in range(400)]
    return "".join(" ".join(rng.choices(words, k=8)) + ".\n" for _ in range(lines))


def write_folder(folder: Path, documents: int = 150) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(documents):
        (folder / f"{number:03}.txt").write_text(prose(number, 40))
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AUTORESEARCH_CORPUS", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> prepare.Corpus:
    folder = write_folder(tmp_path_factory.mktemp("text") / "prose")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTORESEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return prepare.prepare(prepare.folder_source(folder, 512))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "prepare.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=1000
    )


# ---- splits


def test_near_duplicates_share_a_group_and_others_do_not() -> None:
    original = prose(1, 100)
    lines = original.splitlines()
    edited = "\n".join(["# a new header", *lines[:60], "one line changed", *lines[63:]])
    reformatted = original.replace(" ", "   ").upper()
    groups = prepare.near_duplicates([original, prose(2, 100), edited, prose(3, 100), reformatted])
    assert sorted(map(sorted, groups)) == [[0, 2, 4], [1], [3]]


def test_a_shared_licence_does_not_make_duplicates() -> None:
    licence = prose(99, 15)
    texts = [licence + prose(number, 80) for number in range(30)]
    assert len(prepare.near_duplicates(texts)) == 30


def test_splits_are_90_5_5_whole_and_independent_of_order() -> None:
    texts = [prose(number, 30 + number % 50) for number in range(200)]
    texts += [text + "the end\n" for text in texts[:20]]  # near-duplicates
    splits = prepare.split_documents(texts)
    assert sorted(text for split in splits.values() for text in split) == sorted(texts)
    total = sum(map(len, texts))
    for split in ("val", "test"):
        assert 0.03 < sum(map(len, splits[split])) / total < 0.09
    where = {text: split for split, members in splits.items() for text in members}
    assert all(where[text] == where[text + "the end\n"] for text in texts[:20])
    shuffled = prepare.split_documents(random.Random(0).sample(texts, len(texts)))
    assert {split: sorted(members) for split, members in shuffled.items()} == {
        split: sorted(members) for split, members in splits.items()
    }


def test_one_long_text_is_cut_and_split() -> None:
    text = prose(5, 20_000)
    splits = prepare.split_documents([text])
    assert all(splits.values())
    assert sum(len(piece) for members in splits.values() for piece in members) == len(text)


def test_folders_may_hold_text_jsonl_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("markdown")
    (tmp_path / "b.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    pq.write_table(pa.table({"text": ["row 0", "row 1"]}), tmp_path / "c.parquet")
    (tmp_path / "ignored.png").write_bytes(b"\x89PNG")
    found = [text for path in sorted(tmp_path.iterdir())[:3] for text in prepare._texts_of(path)]
    assert found == ["markdown", "one", "two", "row 0", "row 1"]


def test_parquet_rows_can_be_sliced_across_row_groups(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [str(n) for n in range(10_000)]}), tmp_path / "x.parquet", row_group_size=3000)
    rows = [int(text) for text in prepare.ParquetText((tmp_path / "x.parquet",), 2500, 7777)]
    assert rows == list(range(2500, 7777))


def test_what_may_not_be_held_out_is_trained_on_with_all_that_is_like_it() -> None:
    free, others = [prose(number, 60) for number in range(60)], [prose(number, 60) for number in range(100, 300)]
    others += [text + "the end\n" for text in free[:20]]  # near-duplicates
    splits = {split: list(texts) for split, texts in prepare.split_documents(free, others).items()}
    held = {*splits["val"], *splits["test"]}
    assert held and held <= set(free[20:]) and {*others, *free[:20]} <= set(splits["train"])
    assert sorted(text for texts in splits.values() for text in texts) == sorted([*free, *others])
    few = {split: list(texts) for split, texts in prepare.split_documents(free[20:26], others).items()}
    assert len(few["val"]) + len(few["test"]) <= 6 and few["val"] and few["test"], "half of what there is each"


def test_the_library_gives_whole_modules_of_which_none_is_trained_on() -> None:
    source = prepare.stdlib_source()
    splits = {split: list(texts) for split, texts in source.documents().items()}
    sizes = {split: sum(map(len, texts)) for split, texts in splits.items()}
    total = sum(sizes.values())
    assert 0.03 < sizes["val"] / total < 0.08 and 0.03 < sizes["test"] / total < 0.08
    held = {"".join(text) for split in ("val", "test") for text in splits[split]}
    whole = {path.read_bytes().decode(errors="replace"): path for path in source.files}
    assert held <= whole.keys(), "no pieces of a module"
    assert not held & set(splits["train"])
    again = {split: list(texts) for split, texts in prepare.stdlib_source().documents().items()}
    assert again == splits


def test_where_held_out_text_was_read_is_written_down_beside_it(cache: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "prose")
    (folder / "two.jsonl").write_text("".join(json.dumps({"text": prose(900 + n, 40)}) + "\n" for n in range(20)))
    corpus = prepare.prepare(prepare.folder_source(folder, 512))
    splits = {split: set(texts) for split, texts in prepare.folder_source(folder, 512).documents().items()}
    for split in ("val", "test"):
        stored = json.loads((corpus.folder / f"{split}.sources.json").read_text())
        wanted = {
            path.name for path in folder.iterdir() if any(text in splits[split] for text in prepare._texts_of(path))
        }
        assert stored["root"] == str(folder) and not stored["library"]
        assert wanted and {file["path"] for file in stored["files"]} == wanted
    assert corpus.summary()["sources"] == corpus.sources() and (corpus.sources() or 0) > 4
    (corpus.folder / "val.sources.json").unlink()  # as an earlier version of this file left it
    assert corpus.summary()["sources"] is None
    assert prepare.prepare(prepare.folder_source(folder, 512)).sources() == prepare.load_corpus().sources() is not None
    assert prepare.load_corpus().key == corpus.key, "the same text is the same corpus, wherever it lay"


# ---- downloads, from a real server on loopback that misbehaves as told


class Server:
    """Serves `files`; cuts each of the first `cuts` answers after `cut_after` bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cuts, self.cut_after, self.ranges = 0, 1000, True
        self.requests: list[str | None] = []  # the Range header of each
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                server.requests.append(wanted)
                content = server.files.get(self.path.lstrip("/"))
                if content is None:
                    self.send_error(404)
                    return
                start = int(re.findall(r"\d+", wanted)[0]) if wanted and server.ranges else 0
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if wanted and server.ranges else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                body = content[start:]
                if server.cuts > 0:
                    server.cuts -= 1
                    body = body[: server.cut_after]
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


CONTENT = random.Random(0).randbytes(50_000)


def test_a_cut_download_resumes_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.files["x"], server.cuts = CONTENT, 3
    seen: list[tuple[int, int | None]] = []
    prepare.download(f"{server.url}/x", tmp_path / "x", lambda done, total: seen.append((done, total)), pause=0.01)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1000-", "bytes=2000-", "bytes=3000-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.files["x"], server.cuts, server.ranges = CONTENT, 1, False
    prepare.download(f"{server.url}/x", tmp_path / "x", pause=0.01)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_partial_file_of_a_killed_run_is_used(server: Server, tmp_path: Path) -> None:
    server.files["x"] = CONTENT
    (tmp_path / "x.part").write_bytes(CONTENT[:40_000])
    prepare.download(f"{server.url}/x", tmp_path / "x", pause=0.01)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert server.requests == ["bytes=40000-"]


def test_a_partial_file_longer_than_the_file_is_dropped(server: Server, tmp_path: Path) -> None:
    server.files["x"] = CONTENT
    (tmp_path / "x.part").write_bytes(CONTENT * 2)
    prepare.download(f"{server.url}/x", tmp_path / "x", pause=0.01)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_refusal_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    with pytest.raises(prepare.PrepareError, match="answers 404"):
        prepare.download(f"{server.url}/missing", tmp_path / "x", pause=0.01)
    assert len(server.requests) == 1
    assert not (tmp_path / "x").exists()


def test_a_dead_connection_is_given_up_and_the_partial_file_kept(server: Server, tmp_path: Path) -> None:
    server.files["x"], server.cuts, server.cut_after = CONTENT, 99, 0
    (tmp_path / "x.part").write_bytes(CONTENT[:10])
    with pytest.raises(prepare.PrepareError, match="run the same command again"):
        prepare.download(f"{server.url}/x", tmp_path / "x", pause=0.001)
    assert len(server.requests) == prepare.ATTEMPTS
    assert (tmp_path / "x.part").read_bytes() == CONTENT[:10]


def test_climbmix_is_downloaded_prepared_and_not_downloaded_again(server: Server, cache: Path) -> None:
    for number, name in enumerate(["00000", "00001", "06542", "06541"]):
        pq.write_table(pa.table({"text": [prose(1000 * number + n, 12) for n in range(80)]}), cache.parent / "shard")
        server.files[f"shard_{name}.parquet"] = (cache.parent / "shard").read_bytes()
    server.cuts = 2
    source = prepare.climbmix_source(512, shards=2, base_url=server.url)
    corpus = prepare.prepare(source)
    text = prepare.load_tokenizer(corpus.folder).decode(corpus.tokens("val").tolist())
    assert text == "".join(prose(2000 + n, 12) for n in range(80))
    assert len(corpus.offsets("train")) == 161
    asked = len(server.requests)
    prepare.prepare(source, force=True)
    assert len(server.requests) == asked


# ---- the prepared corpus


def test_tokens_are_the_text_and_documents_are_kept_apart(corpus: prepare.Corpus) -> None:
    tokenizer = prepare.load_tokenizer(corpus.folder)
    whole = {prose(number, 40) for number in range(150)}
    found = set()
    for split in prepare.SPLITS:
        tokens, offsets = corpus.tokens(split), corpus.offsets(split)
        assert tokens.dtype == np.uint16
        assert tokens.max() < corpus.bos
        found |= {tokenizer.decode(tokens[a:b].tolist()) for a, b in itertools.pairwise(offsets)}
        assert int(prepare.token_bytes(corpus.folder)[tokens].sum()) == corpus.manifest["bytes"][split]
    assert found == whole


def test_the_same_text_gives_the_same_key_anywhere(tmp_path: Path, cache: Path, corpus: prepare.Corpus) -> None:
    again = prepare.prepare(prepare.folder_source(write_folder(tmp_path / "prose"), 512))
    assert again.key == corpus.key
    assert again.folder != corpus.folder
    (tmp_path / "prose" / "007.txt").write_text(prose(7, 41))
    changed = prepare.prepare(prepare.folder_source(tmp_path / "prose", 512))
    assert changed.key != corpus.key
    assert prepare.load_corpus() == changed
    assert prepare.load_corpus("prose") == changed
    assert prepare.load_corpus(corpus.key) == again


def test_the_environment_chooses_the_corpus(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare.prepare(prepare.folder_source(write_folder(tmp_path / "first", 120), 400))
    second = prepare.prepare(prepare.folder_source(write_folder(tmp_path / "second", 150), 400))
    assert prepare.load_corpus() == second
    for name in ("first", first.key):
        monkeypatch.setenv("AUTORESEARCH_CORPUS", name)
        assert prepare.load_corpus() == first


def test_damage_is_found(tmp_path: Path, cache: Path) -> None:
    source = prepare.folder_source(write_folder(tmp_path / "text"), 400)
    corpus = prepare.prepare(source)
    corpus.verify("val.bin", "tokenizer.json")
    path = corpus.folder / "val.bin"
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    with pytest.raises(prepare.PrepareError, match=r"val\.bin was changed"):
        corpus.verify("val.bin")
    path.write_bytes(content[:-2])
    with pytest.raises(prepare.PrepareError, match="wrong size"):
        prepare.load_corpus()
    prepare.prepare(source, force=True).verify("val.bin")
    manifest = json.loads((corpus.folder / "manifest.json").read_text())
    (corpus.folder / "manifest.json").write_text(json.dumps(manifest | {"vocab_size": 401}))
    with pytest.raises(prepare.PrepareError, match="manifest"):
        prepare.load_corpus().verify()


SLOW_PREPARE = """
import sys, time, prepare
from dataclasses import replace
from pathlib import Path

class Slow(list):
    def __iter__(self):
        for text in super().__iter__():
            print("reading", flush=True)
            time.sleep(0.05)
            yield text
source = prepare.folder_source(Path(sys.argv[1]), 400)
documents = source.documents
prepare.prepare(replace(source, documents=lambda: documents() | {"test": Slow(documents()["test"])}))
"""


def test_a_killed_run_leaves_nothing_that_looks_prepared(tmp_path: Path, cache: Path) -> None:
    folder = write_folder(tmp_path / "text")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_PREPARE, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert list((cache / "corpora").iterdir()), "the run was killed too early to test anything"
    with pytest.raises(prepare.PrepareError, match=re.escape("run python prepare.py")):
        prepare.load_corpus()
    corpus = prepare.prepare(prepare.folder_source(folder, 400))
    assert [path.name for path in (cache / "corpora").iterdir()] == [corpus.key]


def test_concurrent_runs_wait_for_each_other(tmp_path: Path, cache: Path) -> None:
    folder = write_folder(tmp_path / "text")
    arguments = [sys.executable, "prepare.py", "--corpus", str(folder), "--vocab", "400", "--json"]
    processes = [subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [json.loads(process.communicate(timeout=1000)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len({answer["key"] for answer in answers}) == 1


# ---- the command line


def test_the_standard_library_is_prepared_once_and_checked_fast(
    cache: Path, library_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = command("--check")
    assert missing.returncode == 2
    assert "run python prepare.py" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1

    monkeypatch.setenv("AUTORESEARCH_CACHE", str(library_cache))
    summary = json.loads((library_cache / "made.json").read_text())
    assert summary["corpus"] == "stdlib"
    assert summary["vocab_size"] == 2048
    assert summary["train_tokens"] > 10 * summary["val_tokens"] > 650_000
    assert summary["test_tokens"] > 65_536

    before = Path(summary["path"]).stat().st_mtime_ns
    again = command("--corpus", "stdlib", "--json")
    assert json.loads(again.stdout) == summary
    assert Path(summary["path"]).stat().st_mtime_ns == before, "it was made again"

    checked = command("--check", "--json")
    assert json.loads(checked.stdout) == summary
    script = "import sys, prepare; prepare.main(['--check']); assert not {'torch', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--corpus", "/no/such/folder"], "--corpus takes stdlib, climbmix, tinystories or an existing path"),
        (["--corpus", "stdlib", "--shards", "3"], "--shards only goes with --corpus climbmix"),
        (["--corpus", "climbmix", "--shards", "0"], "--shards 0: climbmix has 1 to 6541"),
        (["--corpus", "stdlib", "--vocab", "100"], "--vocab 100: a vocabulary has 257 to 65536"),
        (["--corpus", "{empty}"], "holds no .txt, .md"),
        (["--corpus", "{small}"], "too few to split"),
        (["--corpus", "{broken}"], "b.jsonl line 2 is not an object"),
    ],
)
def test_bad_input_ends_in_one_line(
    arguments: list[str], words: str, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("empty", "small", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "small" / "a.txt").write_text("hello")
    (tmp_path / "broken" / "b.jsonl").write_text('{"text": "fine"}\nnot json\n')
    filled = [part.format(**{name: tmp_path / name for name in ("empty", "small", "broken")}) for part in arguments]
    assert prepare.main(filled) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert words in error


def test_the_default_corpus_fits_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for device, corpus in (("cpu", "stdlib"), ("mps", "stdlib"), ("cuda", "climbmix")):
        monkeypatch.setenv("SWARM_DEVICE", device)
        assert prepare.default_corpus() == corpus


def test_the_time_budget_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIME_BUDGET", raising=False)
    assert prepare.TIME_BUDGET == 300.0
    monkeypatch.setenv("TIME_BUDGET", "12.5")
    assert prepare.TIME_BUDGET == 12.5
    for bad in ("soon", "0", "-1", "inf", "nan"):
        monkeypatch.setenv("TIME_BUDGET", bad)
        with pytest.raises(prepare.PrepareError, match="TIME_BUDGET"):
            prepare.time_budget()


# ---- the packer


@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=40).filter(any),
    width=st.integers(2, 40),
    rows=st.integers(1, 60),
    seed=st.integers(0, 5),
)
def test_packing_loses_and_repeats_nothing_but_what_it_declares(
    sizes: list[int], width: int, rows: int, seed: int
) -> None:
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    total, bos = int(offsets[-1]), 65_535
    packer = prepare.Packer(np.arange(total, dtype=np.uint16), offsets, width, bos, seed)
    out = np.zeros((rows, width), dtype=np.int64)
    packer.fill(out)
    assert (out[:, 0] == bos).all()
    starts = set(packer.starts.tolist())
    for row in out:
        for run in np.split(row, np.flatnonzero(row == bos))[1:]:
            if len(run) > 1:
                assert run[1] in starts
                assert (np.diff(run[1:]) == 1).all()
    emitted = np.bincount(out[out != bos], minlength=total)
    waiting = sum(length for length, _ in packer._pool)
    unread = int(packer.lengths[packer._order[packer._next :]].sum())
    assert emitted.sum() + packer.cropped + waiting + unread == total * (packer.epoch + 1)
    assert emitted.max() <= packer.epoch + 1


@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=30), longest=st.integers(1, 100))
def test_pieces_cover_every_document_once(sizes: list[int], longest: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    starts, lengths = prepare.cut_pieces(offsets, longest)
    covered = [at for start, length in zip(starts, lengths, strict=True) for at in range(start, start + length)]
    assert covered == list(range(offsets[-1]))
    assert all(1 <= length <= longest for length in lengths)
    document_of = np.repeat(np.arange(len(sizes)), sizes)
    assert all(document_of[a] == document_of[a + n - 1] for a, n in zip(starts, lengths, strict=True))


def test_little_is_cropped_where_documents_are_short(corpus: prepare.Corpus) -> None:
    packer = prepare.Packer(corpus.tokens("train"), corpus.offsets("train"), 257, corpus.bos, 0)
    rows = np.zeros((200, 257), dtype=np.int64)
    packer.fill(rows)
    assert packer.cropped < 0.1 * rows.size


def test_batches_depend_on_the_seed_alone(corpus: prepare.Corpus) -> None:
    def batches(seed: int) -> torch.Tensor:
        loader = prepare.TrainLoader(corpus, 4, 32, CPU, seed)
        return torch.stack([next(loader)[0] for _ in range(5)])

    loader = prepare.TrainLoader(corpus, 4, 32, CPU, 1)
    inputs, targets, epoch = next(loader)
    assert inputs.dtype == targets.dtype == torch.int64
    assert inputs.shape == targets.shape == (4, 32)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert epoch == 0
    assert torch.equal(batches(1), batches(1))
    assert not torch.equal(batches(1), batches(2))


def test_the_loader_never_ends_and_counts_epochs(corpus: prepare.Corpus) -> None:
    loader = prepare.TrainLoader(corpus, 64, 256, CPU, 0)
    epochs = [next(loader)[2] for _ in range(30)]
    assert epochs == sorted(epochs)
    assert epochs[-1] >= 2


# ---- the metric


def unigram(corpus: prepare.Corpus) -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(corpus.vocab_size, generator=generator)
    return lambda idx: logits.expand(*idx.shape, -1), logits.log_softmax(0)


def test_the_metric_is_bits_of_the_text_over_its_bytes(corpus: prepare.Corpus) -> None:
    model, log_probabilities = unigram(corpus)
    tokens = torch.from_numpy(corpus.tokens("val").astype(np.int64))
    nats = -log_probabilities[tokens].sum().item()
    found = prepare.evaluate_bpb(model, CPU, corpus=corpus)
    assert found.tokens == len(tokens) == corpus.manifest["tokens"]["val"]
    assert found.bytes == corpus.manifest["bytes"]["val"]
    assert found.bpb == pytest.approx(nats / math.log(2) / found.bytes, rel=1e-5)
    assert found.loss == pytest.approx(nats / len(tokens), rel=1e-5)


@pytest.mark.parametrize("context", [1, 7, 64, 2048])
@pytest.mark.parametrize("batch", [1, 5, None])
def test_every_candidate_is_scored_on_the_same_tokens(context: int, batch: int | None, corpus: prepare.Corpus) -> None:
    model, _ = unigram(corpus)
    limit = 500 if context == 1 else 3000
    wanted = prepare.evaluate_bpb(model, CPU, context=100, batch=2, corpus=corpus, max_tokens=limit)
    found = prepare.evaluate_bpb(model, CPU, context=context, batch=batch, corpus=corpus, max_tokens=limit)
    assert (found.tokens, found.bytes) == (wanted.tokens, wanted.bytes)
    assert found.tokens == limit
    assert found.bpb == pytest.approx(wanted.bpb, rel=1e-5)


def test_targets_are_the_tokens_that_follow(corpus: prepare.Corpus) -> None:
    """An oracle that says what comes next loses nothing; one that says what is there now loses all."""
    rows = torch.from_numpy(prepare.eval_rows(corpus, "val", 128, 1500).astype(np.int64))
    answers = {tuple(row[:-1].tolist()): row for row in rows}

    def oracle(shift: int) -> Callable[[torch.Tensor], torch.Tensor]:
        def model(idx: torch.Tensor) -> torch.Tensor:
            found = torch.stack([answers.get(tuple(row.tolist()), row.new_zeros(129)) for row in idx])
            return 50.0 * torch.nn.functional.one_hot(found[:, shift : shift + 128], corpus.vocab_size).float()

        return model

    following, present = (prepare.evaluate_bpb(oracle(n), CPU, "val", 4, 128, corpus, 1500) for n in (1, 0))
    assert following.loss < 1e-6
    assert present.loss > 40


def test_val_and_test_differ(corpus: prepare.Corpus) -> None:
    model, _ = unigram(corpus)
    val, test = (prepare.evaluate_bpb(model, CPU, split, corpus=corpus) for split in ("val", "test"))
    assert val.bpb != test.bpb


def test_scored_tokens_are_spread_over_the_split(corpus: prepare.Corpus) -> None:
    tokens, offsets = corpus.tokens("train"), corpus.offsets("train")
    fake = replace(corpus, manifest=corpus.manifest)
    rows = prepare.eval_rows(fake, "train", 256, max_tokens=len(tokens) // 4)
    text = set(map(tuple, np.lib.stride_tricks.sliding_window_view(rows[:, 1:], 8, axis=1)[:, 0].tolist()))
    hit = [i for i, a in enumerate(offsets[:-1]) if tuple(tokens[a : a + 8].tolist()) in text]
    assert min(hit) < 0.1 * len(offsets)
    assert max(hit) > 0.9 * len(offsets)


def test_wrong_logits_and_contexts_are_refused(corpus: prepare.Corpus) -> None:
    with pytest.raises(ValueError, match="logits"):
        prepare.evaluate_bpb(lambda idx: torch.zeros(*idx.shape, 7), CPU, corpus=corpus)
    with pytest.raises(prepare.PrepareError, match="context of 4096"):
        prepare.evaluate_bpb(lambda idx: idx, CPU, corpus=corpus, context=4096)


def test_importing_prepare_does_no_work() -> None:
    script = "import sys, time; t = time.process_time(); import prepare; print(time.process_time() - t, *sys.modules)"
    environment = os.environ | {"TIME_BUDGET": "nonsense", "AUTORESEARCH_CACHE": "/nowhere"}
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert not {"torch", "pyarrow", "tiktoken", "rich"} & set(result.stdout.split())
    assert float(result.stdout.split()[0]) < 20.0


# ---- synthetic


def test_a_synthetic_corpus_needs_no_network_and_has_the_shape_of_text(cache: Path) -> None:
    made = prepare.write_synthetic(600, {"train": 20_000, "val": 5_000, "test": 5_000})
    made.verify("train.bin", "val.bin", "test.idx", "tokenizer.json")
    assert (made.name, made.vocab_size, made.sources()) == ("synthetic", 600, 0)
    assert prepare.load_corpus().key == prepare.load_corpus("synthetic").key == made.key
    tokens, offsets = made.tokens("train"), made.offsets("train")
    assert len(tokens) == offsets[-1] == 20_000 and offsets[0] == 0 and (np.diff(offsets) > 0).all()
    counts = np.bincount(tokens, minlength=600)
    assert counts[:20].sum() > 5 * counts[400:420].sum() > 0 and tokens.max() < made.bos
    assert prepare.write_synthetic(600, {"train": 20_000, "val": 5_000, "test": 5_000}).key == made.key
    inputs, targets, _ = next(prepare.TrainLoader(made, 2, 64, torch.device("cpu"), 1))
    assert inputs.shape == targets.shape == (2, 64)
    assert len(prepare.token_bytes(made.folder)) == 600


def test_a_vocabulary_that_is_too_small_for_it_ends_in_one_line(cache: Path) -> None:
    with pytest.raises(prepare.PrepareError, match="needs 512 tokens at least"):
        prepare.write_synthetic(100)
