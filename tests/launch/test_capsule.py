"""A capsule that comes as a tar of somebody else: cut, damaged or made up, it is a capsule or it is refused."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from swarm.errors import UsageError
from swarm.launch.capsule import SUMMARY, UNPACKED, opened
from swarm.named_file import read_named

KINDS = {"tar": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
         "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE)}  # fmt: skip


def tar_of(**files: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"it/{name.replace('__', '.')}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


NOISE = bytes((number * number * 7919 >> 5) & 255 for number in range(4000))  # so that nothing of it is compressed away
WHOLE = tar_of(capsule__json=json.dumps({"format": 1}).encode(), noise=NOISE)
PACKED = {kind: pack(WHOLE) for kind, pack in KINDS.items()}


def read(place: Path, content: bytes) -> bytes | None:
    """What stands in the summary; None where the file is refused, which is all that may be raised."""
    place.write_bytes(content)
    with contextlib.suppress(UsageError), opened(place) as folder:
        return read_named(folder / SUMMARY)
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_opened_and_cut_short_is_refused(tmp_path: Path, kind: str) -> None:
    assert read(tmp_path / "it", PACKED[kind]) == b'{"format": 1}'
    for share in (0.2, 0.3, 0.5, *([] if kind == "tar" else [0.9])):  # a tar ends in many zeros
        (tmp_path / "it").write_bytes(PACKED[kind][: int(share * len(PACKED[kind]))])
        with pytest.raises(UsageError, match="is no capsule: a folder or a tar"), opened(tmp_path / "it"):
            pass


@given(st.sampled_from(list(KINDS)), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_cut_or_damaged_is_opened_or_refused(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    content = bytearray(PACKED[kind][: data.draw(st.integers(0, len(PACKED[kind])))])
    for _ in range(data.draw(st.integers(0, 4)) if content else 0):
        content[data.draw(st.integers(0, min(len(content), 1600) - 1))] = data.draw(st.integers(0, 255))
    read(tmp_path / "it", bytes(content))


@given(st.integers(0, 511), st.binary(min_size=1, max_size=12), st.sampled_from(list(tarfile.SUPPORTED_TYPES)))
@example(124, b"\xff" * 12, b"0")  # a size of -1
@example(124, b"\xff" * 11 + b"\x00", b"0")  # of -256: the next header would be this one, for ever
@example(124, b"\xff" * 10 + b"\xfc\x00", b"L")
@example(124, b"\x80" + b"\xff" * 11, b"0")
@example(136, b"\x80" + b"\xff" * 11, b"0")  # a time after the end of the world
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_header_raises_or_leads_round_in_circles(tmp_path: Path, at: int, value: bytes, kind: bytes) -> None:
    content = bytearray(WHOLE)
    for start in (0, 1024):
        content[start + 156 : start + 157] = kind
        content[start + at : start + min(at + len(value), 512)] = value[: 512 - at]
        content[start + 148 : start + 156] = b" " * 8
        content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
    read(tmp_path / "it", bytes(content))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_few_bytes_that_stand_for_many_are_not_unpacked(tmp_path: Path, kind: str) -> None:
    (tmp_path / "it").write_bytes(KINDS[kind](b"\0" * (UNPACKED + 1)))
    assert (tmp_path / "it").stat().st_size < UNPACKED / 100
    with pytest.raises(UsageError, match="larger than a capsule may be"), opened(tmp_path / "it"):
        pass


def test_more_than_a_capsule_holds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(gzip.compress(tar_of(**{f"n{number}": b"" for number in range(1001)})))
    with pytest.raises(UsageError, match="larger than a capsule may be"), opened(tmp_path / "it"):
        pass
