"""Every parser of ours: it raises nothing but what it says, and takes linear time.

The text of tweets and JSON have tests of their own: tests/tweets/test_text.py,
tests/base/http/test_parsers.py. HTTP is parsed by nginx, gunicorn and Granian.
"""

import contextlib
import ipaddress
import json
import socket
import threading
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import redis
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import RedisError
from rest_framework.exceptions import ParseError

from accounts.graph.importing import MAX_EXTERNAL_ID
from accounts.management.commands.import_graph import Report, _follows
from accounts.sessions import tokens
from accounts.sessions.tokens import InvalidToken, bearer_in, claims_in, parse_refresh_token
from tests.accounts.sessions.test_tokens import HEADERS, signed
from tests.base.http.test_parsers import parse as parse_json
from tests.growth import BOUND, growth
from timelines import warm
from timelines.serializers import HomeQuery
from twitter.base.data import ids, resp
from twitter.base.http import limits

ANY = st.text(st.characters(max_codepoint=255))  # as a header arrives in WSGI
ODD = st.text(st.sampled_from("0123456789 .,:-+_%[]eE\0\n\u0663\uff11\u00b2")) | st.text()
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- ids -----------------------------------------------------------------------------------------
@FUZZ
@given(ODD)
def test_an_id_is_digits_or_an_error(text: str) -> None:
    with contextlib.suppress(ValidationError):
        number = ids.parse_id(text)
        assert 0 < number <= ids.MAX_ID
        assert text.lstrip("0") == str(number)


@given(st.integers(-(2**70), 2**70))
def test_every_id_comes_back(number: int) -> None:
    if 0 < number <= ids.MAX_ID:
        assert ids.parse_id(str(number)) == number
    else:
        with pytest.raises(ValidationError):
            ids.parse_id(str(number))


# --- tokens --------------------------------------------------------------------------------------
@FUZZ
@given(ANY | ANY.map("Bearer {}".format))
def test_a_header_says_who_sends_it_or_nothing(header: str) -> None:
    assert claims_in(header) is None
    token = bearer_in(header)
    assert token is None or token == token.strip()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | ODD,
    lambda value: (
        st.lists(value, max_size=2) | st.dictionaries(st.text(max_size=3), value, max_size=2)
    ),
    max_leaves=3,
)
CLAIMS = ("iss", "sub", "sid", "gen", "iat", "exp", "nbf", "aud", "jti")
PARTS = ("alg", "kid", "typ", "crit", "b64", "cty", "jwk", "x5u")


@FUZZ
@given(
    st.dictionaries(st.sampled_from(CLAIMS), VALUES),
    st.dictionaries(st.sampled_from(PARTS), VALUES),
)
def test_whatever_is_signed_is_a_token_or_an_error(changes: Any, parts: Any) -> None:
    good = {"iss": "twitter", "sub": "7", "sid": "8", "gen": 3, "iat": 1, "exp": 9_999_999_999}
    header = json.dumps({"alg": "HS256", **HEADERS, **parts})
    token = signed(json.dumps(good | changes).encode(), header=header.encode())
    with contextlib.suppress(InvalidToken):
        claims = tokens.verify_access_token(token)
        assert 0 < claims.account_id <= ids.MAX_ID
        assert 0 < claims.session_id <= ids.MAX_ID
        assert type(claims.generation) is type(claims.expires_at) is int


@FUZZ
@given(ODD | st.builds("{}.{}".format, ODD, st.text(min_size=65, max_size=65)))
def test_what_is_read_as_a_refresh_token_is_one(text: str) -> None:
    token = parse_refresh_token(text)
    assert token is None or str(token) == f"{token.session_id}.{text.partition('.')[2]}"


@given(st.integers(1, ids.MAX_ID))
def test_every_refresh_token_comes_back(session_id: int) -> None:
    made = tokens.RefreshToken(session_id, tokens.new_family(), tokens.new_rotating())
    assert parse_refresh_token(str(made)) == made


# --- addresses -----------------------------------------------------------------------------------
ADDRESSES = st.ip_addresses().map(str) | st.sampled_from(["[::1]:5", "1.2.3.4:5", "[", "::%eth0"])


@FUZZ
@given(st.lists(ADDRESSES | ANY, max_size=5).map(",".join), st.integers(0, 4))
def test_an_address_is_an_address_whatever_is_claimed(claim: str, hops: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits.settings, "TRUSTED_HOPS", hops)
        environ = {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": claim}
        address = limits.client_address(environ)
    ipaddress.ip_network(address)
    assert hops or address == "192.0.2.1"


# --- queries -------------------------------------------------------------------------------------
NAMES = st.sampled_from(["limit", "max_id", "since_id", "LIMIT", "", "limit ", "max_id[]"])
PAIRS = st.lists(st.tuples(NAMES, ODD | st.integers(0, 200).map(str)), max_size=3)


@FUZZ
@given(PAIRS.map(lambda pairs: urlencode(pairs, quote_via=quote, errors="replace")) | ANY)
def test_the_warm_read_takes_a_query_as_django_does_or_leaves_it(text: str) -> None:
    query = warm._query(text)
    if query is not None:
        from django.http import QueryDict

        checked = HomeQuery(data=QueryDict(text.encode("latin-1")).dict())
        assert checked.is_valid(), checked.errors
        assert query == {name: checked.validated_data[name] for name in query}


# --- files ---------------------------------------------------------------------------------------
LINES = st.binary(max_size=40) | st.from_regex(rb"[0-9]{1,20}\t[0-9]{1,20}\r?\n?", fullmatch=True)


@FUZZ
@given(st.lists(LINES, max_size=20))
def test_a_line_of_a_graph_is_a_follow_or_is_counted_as_wrong(lines: list[bytes]) -> None:
    report = Report()
    follows = list(_follows(lines, report))
    assert len(follows) + report.bad + report.themselves == len(lines) == report.lines
    assert len(report.first_bad) == min(report.bad + report.themselves, 10)
    for follower, followed in follows:
        assert follower != followed
        assert 0 <= min(follower, followed) <= max(follower, followed) <= MAX_EXTERNAL_ID


# --- Redis ---------------------------------------------------------------------------------------
REPLIES = st.binary(max_size=60) | st.text("+-:$*0123456789\r\nab", max_size=60).map(str.encode)


@settings(deadline=None, max_examples=60)
@given(REPLIES)
def test_whatever_redis_replies_is_a_reply_or_a_redis_error(reply: bytes) -> None:
    """Over a real socket, which is closed after the reply."""
    ours, theirs = socket.socketpair()

    def answer() -> None:
        theirs.recv(1_000)
        theirs.sendall(reply)
        theirs.close()

    thread = threading.Thread(target=answer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis.Connection, "_connect", lambda _: ours)
        patch.setattr(resp._Connection, "_greet", lambda _: None)
        thread.start()
        connection = resp._Connection((0, "redis://127.0.0.1/0"))
    connection.send(resp.pack("PING"))
    with contextlib.suppress(RedisError):
        assert len(connection.receive(1)) == 1
    connection.close()
    thread.join()


# --- linear time ---------------------------------------------------------------------------------
def read_json(text: str) -> None:
    with contextlib.suppress(ParseError):
        parse_json(text.encode())


def read_json_to_its_end(text: str) -> None:
    read_json(f'["{text}", {{}}]')


def read_token(text: str) -> None:
    claims_in(f"Bearer {text}")


def read_address(text: str) -> None:
    limits._network.cache_clear()
    limits.client_address({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": text})


def read_lines(text: str) -> None:
    list(_follows(text.encode().splitlines(keepends=True), Report()))


PARSERS = {
    read_json: ["[", '{"a":', '"', '\\"', '"\\', "1", "1,", "1e5", " ", "]", "[]", "\\u0041", "é"],
    read_json_to_its_end: ["[", "{[", '\\"', "\\\\", "\\u0041", "a", "é", "漢"],
    read_token: [".", "a", "a.", "eyJ", "=", " ", "\xff", "Bearer "],
    bearer_in: [" ", "Bearer ", "a", "\xa0", "\t"],
    parse_refresh_token: [".", "1", "1.", "a", "é"],
    read_address: [",", "1.2.3.4,", "[", "[::1]:1,", ":", "::", " ", "1", "."],
    warm._query: ["&", "=", "limit=1&", "a=1;", "%", "%41", "+", "max_id=", "é", "&&="],
    read_lines: ["1\t2\n", "\t", "1", "\n", "1\t", "\r\n", "\x0c"],
}


@pytest.mark.parametrize(
    ("parser", "piece"),
    [(parser, piece) for parser, pieces in PARSERS.items() for piece in pieces],
    ids=lambda value: ascii(value) if isinstance(value, str) else value.__name__,
)
def test_time_is_linear_in_the_length(parser: Any, piece: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(limits.settings, "TRUSTED_HOPS", 3)
    assert growth(parser, piece) < BOUND
