"""Who may look."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.web.access import Access, is_local, reached_as, stored_token


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("127.0.0.1:8777", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("[::1]:8777", True),
        ("10.0.0.7:80", True),
        ("box.example.org", True),
        ("evil.example.com", False),
        ("127.0.0.1.evil.com", False),
        ("localhost.evil.com", False),
        ("", False),
        ("[::1", False),
        ("user@evil.com", False),
    ],
)
def test_only_our_own_names_are_known(header, known):
    assert Access("", ["Box.example.org"]).knows_host(header) is known


@given(st.text())
def test_no_header_raises_and_no_guess_is_a_token(text):
    access = Access("a" * 32)
    access.knows_host(text)
    assert not access.is_token(text) and not access.admits(text)


def test_the_cookie_is_not_the_token():
    access = Access("a" * 32)
    assert access.is_token("a" * 32) and access.admits(access.cookie)
    assert not access.admits("a" * 32) and not access.is_token(access.cookie)
    assert Access("").admits("") and not Access("").is_token("")


def test_the_token_outlives_the_server_and_is_its_users_alone(tmp_path):
    token = stored_token(tmp_path)
    assert stored_token(tmp_path) == token and len(token) >= 32
    assert (tmp_path / "serve-token").stat().st_mode & 0o077 == 0
    (tmp_path / "serve-token").write_text("cut")
    assert len(stored_token(tmp_path)) >= 32


def test_what_only_this_machine_reaches():
    assert is_local("127.0.0.1") and is_local("::1") and is_local("localhost") and is_local("127.9.9.9")
    assert not is_local("0.0.0.0") and not is_local("::") and not is_local("10.0.0.1") and not is_local("box")


@pytest.mark.parametrize(
    ("host", "names"),
    [("10.0.0.7", ["10.0.0.7"]), ("fd00::7", ["[fd00::7]"]), ("box.example.org", ["box.example.org"])],
)
def test_a_server_at_one_address_is_called_by_it(host, names):
    assert reached_as(host) == names


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_one_that_listens_everywhere_is_called_by_name_and_by_an_address_that_others_reach(host):
    name, *addresses = reached_as(host)
    assert name == socket.gethostname()
    for address in addresses:  # none where there is no network
        found = ipaddress.ip_address(address.strip("[]"))
        assert not found.is_unspecified and found.version == (6 if host == "::" else 4)
