"""Which bytes are a request, and which are refused: sections of RFC 9112."""

import contextlib

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from twitter.webrequest import HEAD_BYTES, Refused, Request, take_head, trusted_headers

CFG = Config()
PEER = ("192.0.2.1", 4711)


def read(data: bytes) -> Request | None:
    """Return the request that the bytes begin with, None when there is more to come."""
    received = bytearray(data)
    head = take_head(received, cfg=CFG)
    if head is None:
        return None
    return Request(head, cfg=CFG, peer=PEER, trusted=trusted_headers(cfg=CFG, peer=PEER))


def refusal(data: bytes) -> int:
    with pytest.raises(Refused) as refused:
        read(data)
    return refused.value.status


def with_fields(*fields: bytes, line: bytes = b"POST / HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: a", *fields]) + b"\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        # 6.3: more than one length, or one that servers read differently
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: +5"],
        [b"Content-Length: -5"],
        [b"Content-Length: 0x5"],
        [b"Content-Length: 5 5"],
        [b"Content-Length: \xb2"],
        [b"Content-Length:"],
        [b"Content-Length: " + b"9" * 30],
        [b"Content-Length: " + b"0" * 5000 + b"5"],
        # 6.1, 6.3: Transfer-Encoding beside Content-Length, and codings that hide chunks
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked, chunked"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding:"],
        # 2.2: bare CR and LF
        [b"A: b\nTransfer-Encoding: chunked"],
        [b"A: b\rTransfer-Encoding: chunked"],
        [b"A: b\n\nGET /evil HTTP/1.1"],
        # 5.1, 5.2: white space about names, folded lines
        [b"Content-Length : 5"],
        [b" A: b"],
        [b"A: b", b" folded"],
        [b"A: b", b"\tfolded"],
        # 5, and RFC 9110, 5.5: names and values
        [b"A"],
        [b": b"],
        [b"A(: b"],
        [b"A\xff: b"],
        [b"A: \0"],
        [b"A: \x7f"],
        [b"Host: b"],
        [b"Content-Type: a", b"Content-Type: b"],
    ],
)
def test_ambiguous_fields_are_refused(fields: list[bytes]) -> None:
    assert refusal(with_fields(*fields)) == 400


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET /",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"GET / http/1.1",
        b"GET / RTSP/1.0",
        b"PRI * HTTP/2.0",
        b"get / HTTP/1.1",
        b"NOSUCH / HTTP/1.1",
        b"GET x HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET /\0 HTTP/1.1",
        b"GET ftp://a/ HTTP/1.1",
        b"GET http:///x HTTP/1.1",
        b"GET http://[/ HTTP/1.1",
        b"CONNECT a:443 HTTP/1.1",
    ],
)
def test_request_lines_that_are_refused(line: bytes) -> None:
    assert refusal(with_fields(line=line)) == 400


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/a?b?c", "/a", "b?c"),
        (b"//a/b", "//a/b", ""),
        (b"/%ff%zz", "/%ff%zz", ""),
        (b"http://a/b?c", "/b", "c"),
        (b"*", "*", ""),
    ],
)
def test_request_targets(target: bytes, path: str, query: str) -> None:
    request = read(with_fields(line=b"OPTIONS " + target + b" HTTP/1.1"))
    assert request is not None
    assert (request.path, request.query) == (path, query)


def test_the_host_that_the_target_names_counts() -> None:
    request = read(with_fields(line=b"GET http://b:1/c HTTP/1.1"))
    assert request is not None
    assert request.headers == [("HOST", "b:1")]


def test_chunks_are_asked_to_come_with_a_length() -> None:
    assert refusal(with_fields(b"Transfer-Encoding: Chunked")) == 411
    assert refusal(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400


def test_host_is_required_but_for_http_1_0() -> None:
    assert refusal(b"GET / HTTP/1.1\r\n\r\n") == 400
    assert read(b"GET / HTTP/1.0\r\n\r\n") is not None


def test_names_with_underscores_are_dropped() -> None:
    request = read(with_fields(b"X_Forwarded_For: 6.6.6.6", b"Content_Length: 5", b"X: \t y "))
    assert request is not None
    assert request.headers == [("HOST", "a"), ("X", "y")]
    assert request.length == 0


def test_only_one_expectation_is_known() -> None:
    assert refusal(with_fields(b"Expect: something")) == 417
    request = read(with_fields(b"Expect: 100-Continue"))
    assert request is not None
    assert (request.take_expectation(), request.take_expectation()) == (True, False)
    old = read(with_fields(b"Expect: 100-continue", line=b"POST / HTTP/1.0"))
    assert old is not None
    assert not old.take_expectation()


def test_an_upgrade_is_ignored() -> None:
    request = read(with_fields(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 3"))
    assert request is not None
    assert (request.length, request.should_close()) == (3, False)


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "endless"])
def test_limits(ended: bool) -> None:
    end = b"\r\n\r\n" if ended else b""
    line = b"GET /" + b"a" * (CFG.limit_request_line - len("GET / HTTP/1.1")) + b" HTTP/1.1"
    assert len(line) == CFG.limit_request_line
    assert read(with_fields(line=line)) is not None
    assert refusal(line.replace(b"/a", b"/aa") + b"\r\nHost: a" + end) == 414
    assert refusal(b"G" * (CFG.limit_request_line + 2) + end) == 414
    assert refusal(b"GET / HTTP/1.1\r\nA: " + b"a" * HEAD_BYTES + end) == 431


def test_number_and_size_of_fields() -> None:
    fields = [b"A: b"] * (CFG.limit_request_fields - 1)
    assert read(with_fields(*fields)) is not None
    assert refusal(with_fields(*fields, b"A: b")) == 431
    value = b"a" * (CFG.limit_request_field_size - len("A: \r\n"))
    assert read(with_fields(b"A: " + value)) is not None
    assert refusal(with_fields(b"A: a" + value)) == 431


@given(cut=st.integers(0, 60))
def test_what_may_still_become_a_request_is_waited_for(cut: int) -> None:
    whole = b"\r\nPOST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
    request = read(whole[:cut])
    assert (request is None) == (cut < len(whole))


@given(data=st.binary(max_size=200) | st.text("GET /:\r\nabHTTP1.0", max_size=200).map(str.encode))
def test_whatever_bytes_come_raise_nothing_but_a_refusal(data: bytes) -> None:
    with contextlib.suppress(Refused):
        read(data)
