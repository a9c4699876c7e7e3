"""A base tree is read once: folders before what is in them, nothing outside, nothing behind a link."""

from __future__ import annotations

import io
import tarfile

import pytest

from swarm.execution.base_tree import ForbiddenEdit, base_tree


def archive(*members: tarfile.TarInfo, content: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return buffer.getvalue()


def named(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


def test_folders_come_before_what_is_in_them() -> None:
    tree = base_tree(archive(named("b/c/d.py"), named("a-b.py"), named("a/x.sh", mode=0o755), content=b"text"))
    assert [*tree] == ["a", "a-b.py", "a/x.sh", "b", "b/c", "b/c/d.py"]
    assert tree["b/c"].is_folder and not tree["b/c/d.py"].is_folder and tree["b/c/d.py"].content == b"text"
    assert tree["a/x.sh"].runs and not tree["a-b.py"].runs


def test_links_lead_where_they_say() -> None:
    tree = base_tree(archive(named("alias", tarfile.SYMTYPE, linkname="../elsewhere")))
    assert tree["alias"].target == "../elsewhere" and tree["alias"].content is None


@pytest.mark.parametrize("name", ["../out.py", "/etc/passwd", "a/../../out.py", ".."])
def test_nothing_lies_outside(name: str) -> None:
    with pytest.raises(ForbiddenEdit, match="outside the workspace"):
        base_tree(archive(named(name)))


def test_nothing_lies_behind_a_link_or_a_file() -> None:
    for kind in (tarfile.SYMTYPE, tarfile.REGTYPE):
        with pytest.raises(ForbiddenEdit, match="is no folder"):
            base_tree(archive(named("data", kind, linkname="/etc"), named("data/passwd")))


def test_what_is_no_archive_is_told() -> None:
    with pytest.raises(tarfile.TarError):
        base_tree(b"no archive")
