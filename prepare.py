"""Corpora, tokenizer, packed tokens, loader and the metric: the fixed ground every experiment stands on.

    python prepare.py                          # the corpus for this machine: climbmix with a GPU, else stdlib
    python prepare.py --corpus tinystories     # or climbmix, stdlib, or the path of a folder or file of text
    python prepare.py --corpus synthetic       # no text at all: ClimbMix's shape, to measure speed without a network
    python prepare.py --check --json           # what is prepared here, as one JSON object; exit code 2 if nothing

Agents never edit this file. What it makes lies in `~/.cache/autoresearch` (or `AUTORESEARCH_CACHE`):

    downloads/<corpus>/*.parquet    as the publisher serves them
    corpora/<key>/manifest.json     what the corpus is, with the sha256 of every other file; <key> is its hash
    corpora/<key>/tokenizer.json    the BPE merges
    corpora/<key>/{train,val,test}.{bin,idx}    tokens (uint16), and where each document starts (int64)
    corpora/<key>/{val,test}.sources.json       the files of this machine that held-out text was read from
    index.json                      which corpus is active, and which key each earlier request led to

A corpus folder appears by one rename when it is complete, so a killed run leaves nothing that looks prepared. The
file imports neither torch nor pyarrow until something needs them: `--check` answers in a tenth of a second.
"""

from __future__ import annotations

import argparse
import bisect
import fcntl
import hashlib
import json
import math
import os
import queue
import shutil
import sys
import sysconfig
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tiktoken
    import torch

TIME_BUDGET: float  # seconds of counted training; read from the environment by __getattr__ below
DEFAULT_TIME_BUDGET = 300.0

FORMAT = 1  # raise it when the meaning of the stored files, or of the metric, changes
SPLITS = ("train", "val", "test")
BOS = "<|bos|>"  # starts every document; the only special token, always the last id of the vocabulary
SOURCES = ".sources.json"  # after the name of a split: the list of the files that its text came from
MAX_CONTEXT = 2048  # tokens a model may look back on while it is measured
EVAL_TOKENS = {
    "climbmix": 40 * 524_288,
    "synthetic": 40 * 524_288,
    "tinystories": 1_048_576,
}  # target tokens the metric scores
DEFAULT_EVAL_TOKENS = 65_536
EVAL_LOGITS = {"cpu": 2**22, "mps": 2**25, "cuda": 2**28}  # a measuring batch; 2**28 in fp32 are 1 GiB

# Words keep their leading space and numbers fall into pairs of digits, as in tiktoken's cl100k. A line break takes
# the indentation after it along, because in source code the two mean one thing.
PATTERN = r"""'(?:[sdmt]|ll|ve|re)\b| ?\p{L}+| ?\p{N}{1,2}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+[ \t]*|\s+(?!\S)|\s+"""
TOKENIZER_BYTES = 200_000_000  # text the merges are learned from; more of it changes almost none of them


class PrepareError(Exception):
    """Something a person can mend; the message is one line and says how."""


def time_budget() -> float:
    """Seconds of counted training a run gets: `TIME_BUDGET` of the environment, else 300."""
    text = os.environ.get("TIME_BUDGET", "")
    try:
        seconds = float(text or DEFAULT_TIME_BUDGET)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise PrepareError(f"TIME_BUDGET={text!r} is not a positive number of seconds: set e.g. TIME_BUDGET=300")
    return seconds


def __getattr__(name: str) -> float:
    """Read `TIME_BUDGET` when it is asked for, so that importing this file does no work and cannot fail."""
    if name == "TIME_BUDGET":
        return time_budget()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# ---------------------------------------------------------------------------------------------------------------
# Sources: where documents come from, and how they are split
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A corpus before tokenization.

    `documents[split]` can be iterated more than once and yields texts in a fixed order. `fingerprint` changes whenever
    the files behind the documents may have changed: it is how a second run knows, without reading, that it is done.
    Text that lies on this machine already is read from `files` below `root`; where those are a `library`, other
    versions of it may be installed beside it.
    """

    name: str
    vocab_size: int
    licence: str
    fingerprint: str
    documents: Callable[[], dict[str, Iterable[str]]]
    root: Path = Path()
    files: tuple[Path, ...] = ()
    library: bool = False


@dataclass(frozen=True)
class ParquetText:
    """The `text` column of parquet files, from row `first` to row `last` of each, read a row group at a time."""

    paths: tuple[Path, ...]
    first: int = 0
    last: int | None = None

    def __iter__(self) -> Iterator[str]:
        import pyarrow.parquet as pq

        for path in self.paths:
            row = 0
            with pq.ParquetFile(path) as file:
                if "text" not in file.schema_arrow.names:
                    raise PrepareError(f"{path} has no column 'text': rename its text column to that")
                for batch in file.iter_batches(batch_size=4096, columns=["text"]):
                    low, high = max(self.first - row, 0), None if self.last is None else max(self.last - row, 0)
                    yield from (text for text in batch.column(0).to_pylist()[low:high] if text)
                    row += batch.num_rows


STDLIB_DROPPED = {"test", "tests", "idlelib", "lib2to3", "encodings", "turtledemo", "pydoc_data", "site-packages"}

# What val and test are drawn from: mail and news, windows, web gateways, sound files, installers. No training imports
# these (tests/trust/test_library.py looks), so a sandbox can close their files, and nobody reads there what it is
# measured on. Some left Python with 3.12 and 3.13, the REPL came: what is there is taken.
STDLIB_HELD_OUT = frozenset((
    "_pyrepl", "aifc", "asynchat", "asyncore", "cgitb", "ensurepip", "ftplib", "imaplib", "mailbox", "modulefinder",
    "msilib", "nntplib", "poplib", "pyclbr", "smtpd", "smtplib", "sunau", "telnetlib", "tkinter", "turtle", "venv",
    "wsgiref", "xdrlib", "xmlrpc", "zipapp",
))  # fmt: skip


def stdlib_source(vocab_size: int | None = None) -> Source:
    """The sources of the running Python's own standard library, read in place: no download, no key.

    Tests, data modules and the retired 2to3 are left out: they repeat themselves, or hold tables instead of code. Val
    and test hold whole modules, of `STDLIB_HELD_OUT` only.
    """
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted(
        path for path in root.rglob("*.py") if not STDLIB_DROPPED.intersection(path.relative_to(root).parts[:-1])
    )
    if len(paths) < 100:
        raise PrepareError(f"this Python has no library sources in {root}: use --corpus with a folder of text")
    unused = tuple(path for path in paths if path.relative_to(root).parts[0].removesuffix(".py") in STDLIB_HELD_OUT)

    def documents() -> dict[str, Iterable[str]]:
        others = [_read_text(path) for path in paths if path not in unused]
        return split_documents([_read_text(path) for path in unused], others)

    return Source(
        name="stdlib",
        vocab_size=vocab_size or 2048,
        licence="Python Software Foundation License 2, read in place",
        fingerprint=_fingerprint(paths, "whole modules"),
        documents=documents,
        root=root,
        files=unused,
        library=True,
    )


TEXT_SUFFIXES = {".txt", ".md", ".py", ".rst"}


def folder_source(path: Path, vocab_size: int | None = None) -> Source:
    """Text of your own: a folder (searched through) or one file of .txt, .md, .rst, .py, .jsonl or .parquet."""
    path = path.expanduser().resolve()
    if not path.exists():
        raise PrepareError(f"there is no {path}: --corpus takes stdlib, climbmix, tinystories or an existing path")
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    paths = [p for p in found if p.suffix in TEXT_SUFFIXES | {".jsonl", ".parquet"}]
    if not paths:
        raise PrepareError(f"{path} holds no .txt, .md, .rst, .py, .jsonl or .parquet file")
    return Source(
        name=path.stem,
        vocab_size=vocab_size or 8192,
        licence="yours",
        fingerprint=_fingerprint(paths),
        documents=lambda: split_documents([text for p in paths for text in _texts_of(p)]),
        root=path if path.is_dir() else path.parent,
        files=tuple(paths),
    )


CLIMBMIX_URL = "https://huggingface.co/datasets/karpathy/climbmix-400b-shuffle/resolve/main"
CLIMBMIX_LAST = 6542  # upstream autoresearch pins the last shard as its val split; the one before is our test split


def climbmix_source(vocab_size: int | None = None, shards: int | None = None, base_url: str = CLIMBMIX_URL) -> Source:
    """NVIDIA's ClimbMix web text as shuffled by Karpathy; a five-minute run on an H100 reads 8 to 11 shards."""
    shards = 16 if shards is None else shards
    if not 1 <= shards <= CLIMBMIX_LAST - 1:
        raise PrepareError(f"--shards {shards}: climbmix has 1 to {CLIMBMIX_LAST - 1} train shards")
    names = [f"shard_{index:05d}.parquet" for index in (*range(shards), CLIMBMIX_LAST, CLIMBMIX_LAST - 1)]

    def documents() -> dict[str, Iterable[str]]:
        *train, val, test = download_all(base_url, names, cache_folder() / "downloads" / "climbmix")
        return {"train": ParquetText(tuple(train)), "val": ParquetText((val,)), "test": ParquetText((test,))}

    return Source(
        name="climbmix",
        vocab_size=vocab_size or 8192,
        licence="CC BY-NC 4.0 (NVIDIA Nemotron-ClimbMix), for research and development only",
        fingerprint=f"{base_url} {shards}",
        documents=documents,
    )


TINYSTORIES_URL = "https://huggingface.co/datasets/karpathy/tinystories-gpt4-clean/resolve/main"


def tinystories_source(vocab_size: int | None = None, base_url: str = TINYSTORIES_URL) -> Source:
    """Short stories written by GPT-4: little entropy, so that a small model on a Mac or small GPU learns to speak.

    The rows are shuffled by the publisher, who suggests these splits.
    """

    def documents() -> dict[str, Iterable[str]]:
        names = ["tinystories_gpt4_clean.parquet"]
        paths = tuple(download_all(base_url, names, cache_folder() / "downloads" / "tinystories"))
        return {
            "train": ParquetText(paths, 20_000),
            "val": ParquetText(paths, 10_000, 20_000),
            "test": ParquetText(paths, 0, 10_000),
        }

    return Source(
        name="tinystories",
        vocab_size=vocab_size or 8192,
        licence="CDLA-Sharing-1.0 (Eldan and Li, cleaned by Karpathy)",
        fingerprint=base_url,
        documents=documents,
    )


SYNTHETIC_TOKENS = {"train": 60_000_000, "val": 22_000_000, "test": 22_000_000}


def write_synthetic(vocab_size: int | None = None, tokens: dict[str, int] = SYNTHETIC_TOKENS) -> Corpus:
    """Make the corpus `synthetic` and activate it: random tokens in ClimbMix's vocabulary, with as many to score.

    Frequencies fall as in text, so that what collides there collides here, and documents are as long; there is nothing
    to learn but frequencies. A training's speed on it is that on ClimbMix, its loss says nothing.
    """
    vocab_size = vocab_size or 8192
    if vocab_size < 512:
        raise PrepareError(f"--vocab {vocab_size}: synthetic needs 512 tokens at least")
    names = [bytes([byte]).hex() for byte in range(256)]
    names += [number.to_bytes(4, "big").hex() for number in range(vocab_size - 257)]
    cache, dice = cache_folder(), np.random.default_rng(0)
    (cache / "corpora").mkdir(parents=True, exist_ok=True)
    share = 1 / np.arange(10, vocab_size + 9)
    with _locked(cache / "prepare.lock"):
        folder = Path(tempfile.mkdtemp(prefix=".making-", dir=cache / "corpora"))
        (folder / "tokenizer.json").write_text(json.dumps({"pattern": PATTERN, "bos": BOS, "tokens": names}))
        for split, count in tokens.items():
            dice.choice(vocab_size - 1, count, p=share / share.sum()).astype(np.uint16).tofile(folder / f"{split}.bin")
            lengths = np.clip(dice.lognormal(6.0, 1.0, count // 8 + 1), 8, 20_000).astype(np.int64)
            ends = np.cumsum(lengths)
            offsets = np.concatenate([[0], ends[ends < count], [count]]).astype(np.int64)
            offsets.tofile(folder / f"{split}.idx")
        paths = sorted(folder.iterdir())
        files = {path.name: {"bytes": path.stat().st_size, "sha256": _file_hash(path)} for path in paths}
        hashes = json.dumps([files[f"{split}.bin"]["sha256"] for split in SPLITS])
        manifest = {
            "format": FORMAT, "corpus": "synthetic", "licence": "none: random numbers",
            "corpus_hash": hashlib.sha256(hashes.encode()).hexdigest(),
            "tokenizer_hash": files["tokenizer.json"]["sha256"], "vocab_size": vocab_size, "tokens": tokens,
            "bytes": {split: 4 * count for split, count in tokens.items()}, "files": files,
        }  # fmt: skip
        key, index = _key_of(manifest), _read_index()
        _write_atomically(folder / "manifest.json", json.dumps(manifest, indent=1).encode())
        if (cache / "corpora" / key).exists():
            shutil.rmtree(cache / "corpora" / key)
        folder.replace(cache / "corpora" / key)
        index = index | {"active": key, "names": index["names"] | {"synthetic": key}}
        _write_atomically(cache / "index.json", json.dumps(index, indent=1).encode())
    return load_corpus(key)


DOWNLOADED = ("climbmix", "tinystories", "synthetic")  # corpora of which nothing lies on this machine but in the cache


def find_source(corpus: str, vocab_size: int | None, shards: int | None) -> Source:
    """The source a `--corpus` argument names."""
    if corpus == "climbmix":
        return climbmix_source(vocab_size, shards)
    if shards is not None:
        raise PrepareError(f"--shards only goes with --corpus climbmix, not with {corpus}")
    if corpus == "stdlib":
        return stdlib_source(vocab_size)
    if corpus == "tinystories":
        return tinystories_source(vocab_size)
    return folder_source(Path(corpus), vocab_size)


def _texts_of(path: Path) -> Iterator[str]:
    if path.suffix == ".parquet":
        yield from ParquetText((path,))
    elif path.suffix == ".jsonl":
        for number, line in enumerate(_read_text(path).splitlines(), 1):
            try:
                yield json.loads(line)["text"]
            except (ValueError, KeyError, TypeError):
                raise PrepareError(f'{path} line {number} is not an object like {{"text": "..."}}') from None
    else:
        yield _read_text(path)


def _read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def _fingerprint(paths: list[Path], *more: str) -> str:
    stats = [*more, *((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths)]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()


# ---- splitting: near-duplicates stay together, or the val split would be a memory test

HELD_OUT = 0.05  # share of the text in val, and again in test
PIECE = 8192  # characters of the pieces that a corpus of few documents is cut into
SKETCH = 64  # line hashes that stand for a document
ALIKE = 0.35  # estimated overlap of their lines from which two documents count as near-duplicates
COMMON = 20  # a line in more documents than this (a licence, an import) says nothing about likeness


def split_documents(texts: list[str], others: Iterable[str] = ()) -> dict[str, Iterable[str]]:
    """Split texts into train, val and test, about 90/5/5 by length, keeping near-duplicates in one split.

    The assignment depends on the texts alone, not on their order or names. Few long texts are cut at line ends first.
    `others` are trained on in any case, and so are texts much like one of them: of all, val and test are still 5% each,
    or where there are too few texts half of them each.
    """
    texts = [text for text in texts if text.strip()]
    others = [text for text in others if text.strip()]
    share = min(HELD_OUT * sum(map(len, (*texts, *others))), sum(map(len, texts)) / 2)
    if texts and max(map(len, texts)) > share / 2:
        texts = [piece for text in texts for piece in _pieces(text)]
    free, texts = len(texts), [*texts, *others]
    groups = sorted(near_duplicates(texts), key=lambda group: min(_digest(texts[index]) for index in group))
    wanted = {"val": share, "test": share}
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    for group in groups:
        members = [texts[index] for index in group]
        size = sum(map(len, members)) if max(group) < free else math.inf
        split = next((split for split, room in wanted.items() if room > 0 and size < 1.5 * room), "train")
        splits[split] += members
        if split in wanted:
            wanted[split] -= size
    if not all(splits.values()):
        total = sum(map(len, texts))
        raise PrepareError(f"{total} characters of text are too few to split: give a corpus of at least 1 MB")
    return dict(splits)


def near_duplicates(texts: list[str]) -> list[list[int]]:
    """Indices of `texts` in groups: two texts that share much of their lines, directly or by a chain, share a group.

    Each text is sketched by its smallest line hashes (Broder's bottom-k sketch), which estimates the overlap of
    two documents without comparing them; only documents with a sketched line in common are compared at all.
    """
    sketches = [_sketch(text) for text in texts]
    holders: dict[int, list[int]] = defaultdict(list)
    for index, sketch in enumerate(sketches):
        for line_hash in sketch:
            holders[line_hash].append(index)
    leader = list(range(len(texts)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    pairs = {(a, b) for found in holders.values() if len(found) <= COMMON for a in found for b in found if a < b}
    for a, b in sorted(pairs):
        smallest = sorted(sketches[a] | sketches[b])[:SKETCH]
        shared = sum(line_hash in sketches[a] and line_hash in sketches[b] for line_hash in smallest)
        if shared >= ALIKE * len(smallest):
            leader[find(b)] = find(a)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(texts)):
        groups[find(index)].append(index)
    return list(groups.values())


def _sketch(text: str) -> frozenset[int]:
    lines = {b" ".join(line.split()) for line in text.lower().encode().splitlines()}
    return frozenset(sorted({zlib.crc32(line) for line in lines if line})[:SKETCH])


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE) + 1 or len(text)
        end = min(end, start + 2 * PIECE)  # a text without line ends is cut all the same
        yield text[start:end]
        start = end


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


# ---------------------------------------------------------------------------------------------------------------
# Downloads
# ---------------------------------------------------------------------------------------------------------------

ATTEMPTS = 5
TIMEOUT = 30  # seconds a connection may stay silent


def download_all(base_url: str, names: list[str], folder: Path) -> list[Path]:
    """Download files, four at a time and with a progress bar, into `folder`; those already there are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    missing = [path for path in paths if not path.exists()]
    if not missing:
        return paths
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    pool = ThreadPoolExecutor(4)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {path: progress.add_task(path.name, total=None, start=False) for path in missing}

        def fetch(path: Path) -> None:
            progress.start_task(tasks[path])
            download(
                f"{base_url}/{path.name}",
                path,
                lambda done, total: progress.update(tasks[path], completed=done, total=total),
            )

        try:
            for future in [pool.submit(fetch, path) for path in missing]:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # after an error, do not start on the other files
    return paths


def download(
    url: str,
    path: Path,
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
    pause: float = 1.0,
) -> None:
    """Download `url` to `path`, which appears only when complete.

    A cut connection is resumed where it broke, up to `ATTEMPTS` times without any progress, after `pause`, 2 `pause`,
    ... seconds; so is the partial file of an earlier, killed run.

    Raises:
        PrepareError: the server refuses, or the attempts are used up; the partial file stays for the next run.
    """
    partial = path.with_name(path.name + ".part")
    failures = 0
    while True:
        start = partial.stat().st_size if partial.exists() else 0
        try:
            _download_rest(url, partial, on_progress)
            break
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the partial file is longer than what the server has now
                partial.unlink()
            elif error.code < 500 and error.code not in (408, 429):
                raise PrepareError(f"{url} answers {error.code} {error.reason}: check the address") from None
            reason = f"{error.code} {error.reason}"
        except OSError as error:  # includes URLError, timeouts and cut connections
            reason = str(error)
        moved = partial.exists() and partial.stat().st_size > start
        failures = 1 if moved else failures + 1
        if failures >= ATTEMPTS:
            raise PrepareError(f"{url}: {reason}; run the same command again to resume")
        time.sleep(pause * 2 ** (failures - 1))
    partial.replace(path)


def _download_rest(url: str, partial: Path, on_progress: Callable[[int, int | None], None]) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        if answer.status != 206:  # the server knows no ranges: from the start
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with partial.open("ab" if have else "wb") as file:
            while block := answer.read(1 << 18):
                file.write(block)
                have += len(block)
                on_progress(have, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")


# ---------------------------------------------------------------------------------------------------------------
# Tokenizer
# ---------------------------------------------------------------------------------------------------------------


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> bytes:
    """Learn a byte-pair encoding of `vocab_size` tokens, BOS included. Returns the content of tokenizer.json."""
    if not 257 <= vocab_size <= 65_536:
        raise PrepareError(f"--vocab {vocab_size}: a vocabulary has 257 to 65536 tokens")
    import rustbpe

    trainer = rustbpe.Tokenizer()  # pyright: ignore[reportAttributeAccessIssue] (a native module)
    trainer.train_from_iterator(_first(texts, TOKENIZER_BYTES), vocab_size - 1, pattern=PATTERN)
    merges = [token.hex() for token, _ in sorted(trainer.get_mergeable_ranks(), key=lambda item: item[1])]
    if len(merges) < vocab_size - 1:
        raise PrepareError(f"the corpus has only {len(merges) + 1} tokens: add text, or --vocab {len(merges) + 1}")
    return json.dumps({"pattern": PATTERN, "bos": BOS, "tokens": merges}, separators=(",", ":")).encode()


def load_tokenizer(folder: Path) -> tiktoken.Encoding:
    """The tokenizer of a prepared corpus; its last token is BOS."""
    import tiktoken

    stored = json.loads((folder / "tokenizer.json").read_bytes())
    ranks = {bytes.fromhex(token): rank for rank, token in enumerate(stored["tokens"])}
    return tiktoken.Encoding(
        name=folder.name,
        pat_str=stored["pattern"],
        mergeable_ranks=ranks,
        special_tokens={stored["bos"]: len(ranks)},
    )


def token_bytes(folder: Path) -> np.ndarray:
    """Bytes of text behind each token, int64 [vocab_size]; BOS stands for no text and counts 0."""
    stored = json.loads((folder / "tokenizer.json").read_bytes())
    return np.array([len(token) // 2 for token in stored["tokens"]] + [0], dtype=np.int64)


def _first(texts: Iterable[str], characters: int) -> Iterator[str]:
    for text in texts:
        if characters <= 0:
            return
        yield text
        characters -= len(text)


# ---------------------------------------------------------------------------------------------------------------
# The prepared corpus
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus. Two corpora with one `key` are the same bytes, on whatever machine they were made."""

    key: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return self.manifest["corpus"]

    @property
    def vocab_size(self) -> int:
        return self.manifest["vocab_size"]

    @property
    def bos(self) -> int:
        """The id of the BOS token."""
        return self.vocab_size - 1

    def tokens(self, split: str) -> np.ndarray:
        """All tokens of a split, uint16, mapped from disk."""
        return np.memmap(self.folder / f"{split}.bin", dtype=np.uint16, mode="r")

    def offsets(self, split: str) -> np.ndarray:
        """Where documents start, int64 [documents + 1]: i is tokens[offsets[i]:offsets[i + 1]], without BOS."""
        return np.fromfile(self.folder / f"{split}.idx", dtype=np.int64)

    def summary(self) -> dict[str, Any]:
        """What `--check --json` prints. `sources` counts the files of this machine that held-out text was read from: 0
        where it was downloaded, None where nobody wrote them down."""
        counts = {f"{split}_tokens": self.manifest["tokens"][split] for split in SPLITS}
        names = ("corpus", "corpus_hash", "tokenizer_hash", "vocab_size")
        found = {**{name: self.manifest[name] for name in names}, **counts, "sources": self.sources()}
        return {**found, "path": str(self.folder), "key": self.key}

    def sources(self) -> int | None:
        """How many files of this machine held-out text was read from; None where that is not known."""
        if self.name in DOWNLOADED:
            return 0
        lists = [self.folder / f"{split}{SOURCES}" for split in SPLITS[1:]]
        if not all(path.exists() for path in lists):
            return None
        return len({file["path"] for path in lists for file in json.loads(path.read_bytes())["files"]})

    def verify(self, *names: str) -> None:
        """Compare files with their hashes in the manifest, and the manifest with the key.

        Raises:
            PrepareError: something was changed or damaged.
        """
        if _key_of(self.manifest) != self.key:
            raise PrepareError(f"{self.folder}/manifest.json was changed: run python prepare.py --force")
        for name in names:
            if _file_hash(self.folder / name) != self.manifest["files"][name]["sha256"]:
                raise PrepareError(f"{self.folder / name} was changed: run python prepare.py --force")


def cache_folder() -> Path:
    """Where everything prepared lies: `AUTORESEARCH_CACHE`, else `~/.cache/autoresearch`."""
    return Path(os.environ.get("AUTORESEARCH_CACHE") or "~/.cache/autoresearch").expanduser()


def load_corpus(name: str | None = None) -> Corpus:
    """The prepared corpus called `name` (a corpus name or the start of a key).

    Without a name, that of `AUTORESEARCH_CORPUS`, else the one prepared last on this machine. Sizes are checked here,
    hashes by `Corpus.verify`.

    Raises:
        PrepareError: there is none, or it is incomplete.
    """
    name = name or os.environ.get("AUTORESEARCH_CORPUS") or None
    index = _read_index()
    if name is None:
        key = index["active"]
    else:
        keys = [path.name for path in (cache_folder() / "corpora").glob("[0-9a-f]*")]
        matching = [key for key in keys if len(name) >= 6 and key.startswith(name)]
        key = index["names"].get(Path(name).stem) or (matching[0] if len(matching) == 1 else None)
    remedy = f"python prepare.py{f' --corpus {name}' if name else ''}"
    if key is None:
        raise PrepareError(f"no corpus {name or ''} is prepared in {cache_folder()}: run {remedy}".replace("  ", " "))
    folder = cache_folder() / "corpora" / key
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        sizes = {file: (folder / file).stat().st_size for file in manifest["files"]}
    except FileNotFoundError as error:
        raise PrepareError(f"{error.filename} is missing: run {remedy} --force") from None
    wrong = [file for file, size in sizes.items() if size != manifest["files"][file]["bytes"]]
    if wrong:
        raise PrepareError(f"{folder / wrong[0]} has the wrong size: run {remedy} --force")
    return Corpus(key, folder, manifest)


def prepare(source: Source, force: bool = False) -> Corpus:
    """Make `source` the active corpus, doing only what is not done yet. Safe to run concurrently, or to kill.

    Raises:
        PrepareError: the source cannot be read, downloaded or split.
    """
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    request = hashlib.sha256(
        json.dumps([FORMAT, source.name, source.vocab_size, source.fingerprint, PATTERN]).encode()
    ).hexdigest()
    with _locked(cache / "prepare.lock"):
        index = _read_index()
        key = index["requests"].get(request)
        wanted = ["manifest.json", *(f"val{SOURCES}" for _ in source.files[:1])]
        if force or key is None or not all((cache / "corpora" / key / name).exists() for name in wanted):
            key = _build(source, cache / "corpora")
        index = {
            "active": key,
            "names": index["names"] | {source.name: key},
            "requests": index["requests"] | {request: key},
        }
        _write_atomically(cache / "index.json", json.dumps(index, indent=1).encode())
    return load_corpus(key)


def _build(source: Source, corpora: Path) -> str:
    """Tokenize all splits into a new corpus folder, and return its key. The caller holds the lock."""
    corpora.mkdir(exist_ok=True)
    for leftover in corpora.glob(".making-*"):  # of a killed run: nobody else is here while we hold the lock
        shutil.rmtree(leftover)
    documents = source.documents()
    _say(f"learning {source.vocab_size} tokens")
    folder = Path(tempfile.mkdtemp(prefix=".making-", dir=corpora))
    (folder / "tokenizer.json").write_bytes(train_tokenizer(documents["train"], source.vocab_size))
    tokenizer = load_tokenizer(folder)
    content = hashlib.sha256()
    tokens, text_bytes = {}, {}
    for split in SPLITS:
        _say(f"tokenizing {split}")
        tokens[split], text_bytes[split] = _write_split(folder / split, documents[split], tokenizer, content)
    sizes = {"tokens": tokens, "bytes": text_bytes}
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _file_hash(path)} for path in sorted(folder.iterdir())}
    manifest = {
        "format": FORMAT,
        "corpus": source.name,
        "licence": source.licence,
        "corpus_hash": content.hexdigest(),
        "tokenizer_hash": files["tokenizer.json"]["sha256"],
        "vocab_size": source.vocab_size,
        **sizes,
        "files": files,
    }
    key = _key_of(manifest)
    for split in SPLITS[1:] if source.files else ():  # no part of the key: on another machine they lie elsewhere
        _write_atomically(folder / f"{split}{SOURCES}", json.dumps(_origins(source, documents[split])).encode())
    _write_atomically(folder / "manifest.json", json.dumps(manifest, indent=1).encode())
    if (corpora / key).exists():  # made before, or damaged and now made anew under --force
        shutil.rmtree(corpora / key)
    folder.replace(corpora / key)
    return key


def _write_split(stem: Path, texts: Iterable[str], tokenizer: tiktoken.Encoding, content: Any) -> tuple[int, int]:
    """Tokenize texts into `stem`.bin and .idx, feeding the hash `content`. Returns the counts of tokens and bytes."""
    offsets, size = [0], 0
    with stem.with_suffix(".bin").open("wb") as file:
        for batch in _batched(texts, 1024):
            for text, ids in zip(batch, tokenizer.encode_ordinary_batch(batch), strict=True):
                encoded = text.encode()
                content.update(f"{stem.name} {len(encoded)}\n".encode() + encoded)
                size += len(encoded)
                file.write(np.array(ids, dtype=np.uint16).tobytes())
                offsets.append(offsets[-1] + len(ids))
        _sync(file)
    with stem.with_suffix(".idx").open("wb") as file:
        file.write(np.array(offsets, dtype=np.int64).tobytes())
        _sync(file)
    return offsets[-1], size


def _origins(source: Source, texts: Iterable[str]) -> dict[str, Any]:
    """The files that any of `texts` was read from: what a sandbox must close. Copies are known by hash or lines."""
    held = set(map(_digest, texts))
    files = []
    for path in source.files:
        found = [text for text in _texts_of(path) if any(_digest(part) in held for part in (text, *_pieces(text)))]
        if found:
            lines = sorted(frozenset().union(*map(_sketch, found))) if source.library else []
            known = {"bytes": path.stat().st_size, "sha256": _file_hash(path), "lines": lines}
            files.append({"path": str(path.relative_to(source.root)), **known})
    return {"root": str(source.root), "library": source.library, "files": files}


def _batched(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    batch = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # stdout is for the answer


def _key_of(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_index() -> dict[str, Any]:
    try:
        return json.loads((cache_folder() / "index.json").read_bytes())
    except FileNotFoundError:
        return {"active": None, "names": {}, "requests": {}}


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is either the old or the new one, whatever happens in between."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        file.write(content)
        _sync(file)
    partial.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another prepare.py on this machine")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


# ---------------------------------------------------------------------------------------------------------------
# Loader
# ---------------------------------------------------------------------------------------------------------------

POOL = 1024  # pieces the packer chooses from


class Packer:
    """Packs pieces of documents into rows of `width` tokens, each piece led by BOS, as tightly as it can.

    Longer documents are cut into pieces of `width - 1` tokens. A row takes the longest piece that still fits, found by
    bisection; when none fits, the shortest is cropped to the gap and its rest is given up (counted in `cropped`), so
    that every row begins with BOS and is full. Pieces come in an order drawn from `seed`, anew in each epoch.
    """

    tokens_packed = 0  # by all packers of this process

    def __init__(self, tokens: np.ndarray, offsets: np.ndarray, width: int, bos: int, seed: int) -> None:
        self.tokens, self.width, self.bos, self.seed = tokens, width, bos, seed
        self.starts, self.lengths = cut_pieces(offsets, width - 1)
        if not len(self.starts):
            raise PrepareError("the train split is empty: run python prepare.py --force")
        self.epoch = 0  # whole passes over the pieces so far
        self.cropped = 0  # tokens given up so far
        self._order = self._shuffle()
        self._next = 0
        self._pool: list[tuple[int, int]] = []  # (length, piece), sorted

    def fill(self, rows: np.ndarray) -> None:
        """Fill an integer array [rows, width] with packed tokens."""
        Packer.tokens_packed += rows.size
        for row in rows:
            self._fill_row(row)

    def _fill_row(self, row: np.ndarray) -> None:
        at = 0
        while at < self.width:
            while len(self._pool) < min(POOL, len(self.starts)):
                self._take_piece()
            room = self.width - at - 1  # BOS takes one
            if room == 0:
                row[at] = self.bos
                return
            best = bisect.bisect_right(self._pool, (room, len(self.starts))) - 1
            length, piece = self._pool.pop(max(best, 0))
            kept = min(length, room)
            self.cropped += length - kept
            start = self.starts[piece]
            row[at] = self.bos
            row[at + 1 : at + 1 + kept] = self.tokens[start : start + kept]
            at += 1 + kept

    def _take_piece(self) -> None:
        if self._next == len(self._order):
            self.epoch += 1
            self._order, self._next = self._shuffle(), 0
        piece = int(self._order[self._next])
        self._next += 1
        bisect.insort(self._pool, (int(self.lengths[piece]), piece))

    def _shuffle(self) -> np.ndarray:
        return np.random.default_rng((self.seed, self.epoch)).permutation(len(self.starts))


def cut_pieces(offsets: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut documents into pieces of at most `longest` tokens. Returns their starts and lengths, int64 [pieces]."""
    sizes = np.diff(offsets)
    counts = -(-sizes // longest)
    document = np.repeat(np.arange(len(sizes)), counts)
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = offsets[:-1][document] + nth * longest
    return starts, np.minimum(longest, offsets[1:][document] - starts)


class TrainLoader:
    """Endless batches of the train split: `next(loader)` is (inputs, targets, epoch), both int64 [batch, seq_len].

    The batches depend only on the corpus, the shape and the seed. For a CUDA device a thread packs ahead into pinned
    memory, so that the copy overlaps with computing; elsewhere packing happens in the call, where the budget sees it.

    What all loaders of a process handed out is counted here, in fixed code, so that no training has to be believed it.
    """

    tokens_handed_out = batches_handed_out = 0
    vocab_size = 1

    def __init__(self, corpus: Corpus, batch: int, seq_len: int, device: torch.device, seed: int) -> None:
        self.device = device
        self.shape = (batch, seq_len + 1)
        TrainLoader.vocab_size = corpus.vocab_size
        self._packer = Packer(corpus.tokens("train"), corpus.offsets("train"), seq_len + 1, corpus.bos, seed)
        self._ahead: queue.Queue[tuple[torch.Tensor, int]] | None = None
        if device.type == "cuda":
            self._ahead = queue.Queue(maxsize=2)
            threading.Thread(target=self._pack_ahead, args=(self._ahead,), daemon=True).start()

    def __iter__(self) -> TrainLoader:
        return self

    def __next__(self) -> tuple[torch.Tensor, torch.Tensor, int]:
        rows, epoch = self._ahead.get() if self._ahead else self._pack()
        TrainLoader.batches_handed_out += 1
        TrainLoader.tokens_handed_out += rows[:, 1:].numel()
        rows = rows.to(self.device, non_blocking=True)
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous(), epoch

    def _pack(self) -> tuple[torch.Tensor, int]:
        import torch

        rows = torch.empty(self.shape, dtype=torch.int64, pin_memory=self.device.type == "cuda")
        self._packer.fill(rows.numpy())
        return rows, self._packer.epoch

    def _pack_ahead(self, ahead: queue.Queue[tuple[torch.Tensor, int]]) -> None:
        while True:
            ahead.put(self._pack())


# ---------------------------------------------------------------------------------------------------------------
# Metric
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluation:
    """What the metric found. `bpb` is bits per byte of text, `loss` nats per token; BOS counts in neither."""

    bpb: float
    loss: float
    tokens: int
    bytes: int
    seconds: float
    split: str


def evaluate_bpb(
    model: Callable[[torch.Tensor], torch.Tensor],
    device: torch.device,
    split: str = "val",
    batch: int | None = None,
    context: int = MAX_CONTEXT,
    corpus: Corpus | None = None,
    max_tokens: int | None = None,
    rows: np.ndarray | None = None,
) -> Evaluation:
    """Measure how well `model` predicts held-out text.

    The model sees inputs only and answers with logits; the bits are computed here. Every candidate is scored on
    exactly the same target tokens, whatever its batch size or context: a fixed number of tokens, taken in blocks spread
    evenly over the split. Bits per byte do not depend on the tokenizer, and so stay comparable where it differs.

    Args:
        model: maps int64 [B, T] on `device` to logits [B, T, vocab_size]; B and T are the same in all calls.
        batch: rows per call; by default as many as suit the device (`EVAL_LOGITS`).
        context: tokens the model reads at once, at most `MAX_CONTEXT`; pass the length it was trained on.
        corpus: by default the active one.
        max_tokens: score fewer tokens, for tests; such a figure compares with nothing.
        rows: what `eval_rows` gives for these arguments, by whoever has it already.

    Raises:
        PrepareError: the corpus is not prepared, or `context` is out of range.
        ValueError: the logits have the wrong shape.
    """
    import torch
    from torch.nn import functional as F

    if not 1 <= context <= MAX_CONTEXT:
        raise PrepareError(f"a context of {context} tokens cannot be measured: use 1 to {MAX_CONTEXT}")
    started = time.perf_counter()
    corpus = corpus or load_corpus()
    rows = eval_rows(corpus, split, context, max_tokens) if rows is None else rows
    batch = batch or max(1, min(len(rows), EVAL_LOGITS[device.type] // (context * corpus.vocab_size)))
    sizes = torch.from_numpy(token_bytes(corpus.folder)).to(device)
    losses, counts = [], []  # sums of each row; read once at the end, so that a GPU never waits
    for first in range(0, len(rows), batch):
        block = torch.full((batch, context + 1), corpus.bos)  # rows of nothing fill up the last batch
        part = torch.from_numpy(rows[first : first + batch].astype(np.int64))
        block[: len(part)] = part
        block = block.to(device)
        with torch.no_grad():
            logits = model(block[:, :-1].contiguous())
        if logits.shape != (batch, context, corpus.vocab_size):
            raise ValueError(f"logits {list(logits.shape)} instead of {[batch, context, corpus.vocab_size]}")
        for row_logits, targets in zip(logits, block[:, 1:], strict=True):  # one row in fp32 at a time
            row_sizes = sizes[targets]
            row_nats = F.cross_entropy(row_logits.float(), targets, reduction="none")
            losses.append(torch.where(row_sizes > 0, row_nats, 0.0).sum())
            counts.append(torch.stack([(row_sizes > 0).sum(), row_sizes.sum()]))
    nats = float(torch.stack(losses).cpu().double().sum())
    tokens, size = torch.stack(counts).sum(dim=0).tolist()
    bpb = nats / (math.log(2) * size)
    return Evaluation(bpb, nats / tokens, tokens, size, time.perf_counter() - started, split)


def eval_rows(corpus: Corpus, split: str, context: int, max_tokens: int | None = None) -> np.ndarray:
    """The tokens that are scored, packed for a model that reads `context` tokens: uint16 [rows, context + 1].

    A row holds whole pieces, each led by BOS, and ends in more BOS where no piece fitted.
    """
    tokens, offsets = corpus.tokens(split), corpus.offsets(split)
    starts, lengths = cut_pieces(offsets, MAX_CONTEXT)
    wanted = min(max_tokens or EVAL_TOKENS.get(corpus.name, DEFAULT_EVAL_TOKENS), int(lengths.sum()))
    spread = _evenly(len(starts), lengths, wanted)
    pieces = []
    for block in spread:
        start, length = int(starts[block]), min(int(lengths[block]), wanted)
        wanted -= length
        pieces += [tokens[at : min(at + context, start + length)] for at in range(start, start + length, context)]
    return _pack_whole(pieces, context + 1, corpus.bos)


def _evenly(count: int, lengths: np.ndarray, wanted: int) -> np.ndarray:
    """Indices of blocks spread evenly over `count`, as few as hold `wanted` tokens."""
    stride = max(1, int(lengths.sum()) // max(wanted, 1))
    order = np.concatenate([np.arange(first, count, stride) for first in range(stride)])
    enough = int(np.searchsorted(np.cumsum(lengths[order]), wanted)) + 1
    return order[:enough]


def _pack_whole(pieces: list[np.ndarray], width: int, bos: int) -> np.ndarray:
    """Pack pieces into rows without cropping, the longest first, each into the fullest row that has room."""
    rows: list[list[np.ndarray]] = []
    rooms: list[tuple[int, int]] = []  # (free tokens, row), sorted
    for piece in sorted(pieces, key=len, reverse=True):
        need = len(piece) + 1
        best = bisect.bisect_left(rooms, (need, -1))
        if best == len(rooms):
            rooms.append((width, len(rows)))
            rows.append([])
            best = len(rooms) - 1
        room, row = rooms.pop(best)
        rows[row].append(piece)
        bisect.insort(rooms, (room - need, row))
    packed = np.full((len(rows), width), bos, dtype=np.uint16)
    for out, members in zip(packed, rows, strict=True):
        at = 0
        for piece in members:
            out[at + 1 : at + 1 + len(piece)] = piece
            at += 1 + len(piece)
    return packed


# ---------------------------------------------------------------------------------------------------------------
# Command line
# ---------------------------------------------------------------------------------------------------------------


def default_corpus() -> str:
    """climbmix where the trainer would use an NVIDIA GPU, else stdlib."""
    device = os.environ.get("SWARM_DEVICE")
    if device is None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    return "climbmix" if device == "cuda" else "stdlib"


def describe(corpus: Corpus) -> str:
    """One line about a prepared corpus."""
    counts = ", ".join(f"{corpus.manifest['tokens'][split]:,} {split}" for split in SPLITS)
    return f"{corpus.name}: {counts} tokens of {corpus.vocab_size} kinds, key {corpus.key}, in {corpus.folder}"


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line asks; see the module's docstring."""
    if arguments.check:
        corpus = load_corpus(arguments.corpus)
    elif arguments.corpus == "synthetic":
        corpus = write_synthetic(arguments.vocab)
    else:
        source = find_source(arguments.corpus or default_corpus(), arguments.vocab, arguments.shards)
        _say(f"corpus {source.name}, licence: {source.licence}")
        started = time.perf_counter()
        corpus = prepare(source, arguments.force)
        _say(f"ready after {time.perf_counter() - started:.1f} s")
    print(json.dumps(corpus.summary()) if arguments.json else describe(corpus))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="prepare.py", description="Prepare a corpus: text, tokenizer, packed tokens, three splits."
    )
    parser.add_argument(
        "--corpus", metavar="NAME", help="stdlib, climbmix, tinystories, synthetic, or a folder or file of text"
    )
    parser.add_argument("--vocab", type=int, metavar="N", help="tokens in the vocabulary (2048 for stdlib, else 8192)")
    parser.add_argument("--shards", type=int, metavar="N", help="climbmix files to train on, of about 90 MB (16)")
    parser.add_argument("--check", action="store_true", help="only say what is prepared; exit code 2 if nothing is")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a line")
    parser.add_argument("--force", action="store_true", help="make everything anew")
    try:
        run(parser.parse_args(argv))
    except PrepareError as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
