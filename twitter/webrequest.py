"""From bytes to the request that gunicorn's WSGI functions take, or to a refusal.

httptools (llhttp, strict) reads the header fields, gunicorn's `HeaderPolicy` decides which of them
count. What two servers in a row could read differently is refused, never mended, and a refusal
always ends the connection. The numbers are sections of RFC 9112, unless said otherwise.
"""

import contextlib
import io
from typing import Any

import httptools
from gunicorn.http.errors import ExpectationFailed, ParseException
from gunicorn.http.message import RFC9112_TARGET_INVALID, HeaderPolicy
from gunicorn.util import split_request_uri

# Request line and header fields together; nginx takes 32 KiB.
HEAD_BYTES = 64 * 1024
VERSIONS = {"HTTP/1.0": (1, 0), "HTTP/1.1": (1, 1)}


class Refused(Exception):
    """The client must be told so, and its connection must be closed."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def take_head(received: bytearray, *, cfg: Any) -> bytes | None:
    """Cut request line and header fields off the beginning, if they are complete.

    Takes what was received so far, and gunicorn's configuration. Returns the head with the empty
    line that ends it, or None when there is more to come. Raises Refused when nothing that comes
    could make it valid.
    """
    if received.startswith(b"\r\n"):  # 2.2: an empty line before the request line is ignored
        del received[:2]
    if received and received[0] not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\r":
        raise Refused(400, "The request line is not valid.")
    longest = min(cfg.limit_request_line or HEAD_BYTES, HEAD_BYTES)
    if len(received) >= longest + 2 and received.find(b"\r\n", 0, longest + 2) < 0:
        raise Refused(414, f"The request line may have at most {longest} bytes.")
    end = received.find(b"\r\n\r\n") + 4
    if (end if end > 3 else len(received)) > HEAD_BYTES:
        raise Refused(431, f"The header may have at most {HEAD_BYTES} bytes.")
    head = bytes(received[:end] if end > 3 else received)
    # 2.2: lines end with CRLF, and neither CR nor LF stands alone. So the head ends where the
    # parser sees it end, too.
    lines = head.count(b"\r\n")
    if head.count(b"\n") != lines or (end > 3 and head.count(b"\r") != lines):
        raise Refused(400, "Lines must end with CRLF.")
    if end <= 3:
        return None
    del received[:end]
    return head


def trusted_headers(*, cfg: Any, peer: Any) -> tuple[dict[str, str], list[str]]:
    """Return gunicorn's secure_scheme_headers and forwarder_headers, if the peer may send them.

    By forwarded_allow_ips. It takes long enough to be done once for a connection.
    """
    policy: Any = HeaderPolicy()
    policy.cfg, policy.peer_addr = cfg, peer
    trusted: tuple[dict[str, str], list[str]] = policy._peer_trusted_for_forwarded()  # noqa: SLF001
    return trusted


class Request(HeaderPolicy):  # type: ignore[misc]  # gunicorn has no types
    """A request as `gunicorn.http.wsgi.create` and gunicorn's access log want it.

    `length` bytes of body follow the head; they belong into `body`. Raises Refused.
    """

    proxy_protocol_info = None
    _expected_100_continue: bool

    def __init__(
        self, head: bytes, *, cfg: Any, peer: Any, trusted: tuple[dict[str, str], list[str]]
    ) -> None:
        self.cfg = cfg
        self.peer_addr = peer
        self.scheme = "http"
        self.headers: list[tuple[str, str]] = []
        self.trailers: list[tuple[str, str]] = []
        self.body = io.BytesIO()
        try:
            self._read_request_line(head[: head.index(b"\r\n")].decode("latin-1"))
            self._read_fields(_parsed(head), trusted)
            self._read_framing()
        except ExpectationFailed as error:
            raise Refused(417, "Expect may only be 100-continue.") from error
        except (httptools.HttpParserError, ParseException, ValueError) as error:
            raise Refused(400, "The request is not valid HTTP.") from error

    def _read_request_line(self, line: str) -> None:
        """3, and the forms of the target that are for an origin server: 3.2.1, 3.2.2, 3.2.4."""
        self.method, self.uri, version = line.split(" ")
        self.version = VERSIONS.get(version)
        if self.version is None or RFC9112_TARGET_INVALID.search(self.uri):
            raise ValueError(line)
        parts = split_request_uri(self.uri)
        self._authority = parts.netloc if parts.scheme in {"http", "https"} else ""
        if not (self.uri.startswith("/") or self._authority or self.uri == "*"):
            raise ValueError(line)
        self.path, self.query, self.fragment = parts.path, parts.query, parts.fragment

    def _read_fields(
        self, fields: list[tuple[bytes, bytes]], trusted: tuple[dict[str, str], list[str]]
    ) -> None:
        most = self.cfg.limit_request_fields or HEAD_BYTES
        if len(fields) > most:
            raise Refused(431, f"The header may have at most {most} fields.")
        longest = self.cfg.limit_request_field_size or HEAD_BYTES
        scheme_state, seen = [False], set[str]()
        for raw_name, raw_value in fields:
            if len(raw_name) + len(raw_value) + len(": \r\n") > longest:
                raise Refused(431, f"A header field may have at most {longest} bytes.")
            name = raw_name.decode("latin-1").upper()
            value = raw_value.decode("latin-1").strip(" \t")  # 5.1
            if name == "HOST" and self._authority:
                value = self._authority  # 3.2.2: what the target names counts
            # Drops names with underscores, which WSGI would mix up with those that have hyphens;
            # takes the scheme from a proxy; refuses a second Host, and expectations but one.
            kept = self._apply_header_policy(name, value, scheme_state, seen, *trusted)
            if kept is not None:
                self.headers.append(kept)

    def _read_framing(self) -> None:
        """Where the body ends (6), and whether the connection goes on after it (9.3)."""
        values: dict[str, str] = {}
        for name, value in self.headers:
            values[name] = f"{values[name]},{value}" if name in values else value
        if "HOST" not in values and self.version == (1, 1):  # 3.2
            raise ValueError("Host")
        if "TRANSFER-ENCODING" in values:
            # 6.1, 6.3: without an end that all agree on, it is an attempt at smuggling. llhttp has
            # looked already; here it stands for whoever replaces llhttp.
            codings = values["TRANSFER-ENCODING"].lower()
            if "CONTENT-LENGTH" in values or self.version == (1, 0) or codings != "chunked":
                raise ValueError(codings)
            # 6.3: allowed. So there is no chunk to parse, and nothing to smuggle in.
            raise Refused(411, "Send the body with its Content-Length.")
        length = values.get("CONTENT-LENGTH", "0")
        if not (length.isascii() and length.isdigit()):  # as sent twice, "5,5"
            raise ValueError(length)
        self.length = int(length)
        listed = values.get("CONNECTION", "").lower().split(",")
        options = {option.strip(" \t") for option in listed}
        self._closes = "close" in options or (
            self.version == (1, 0) and "keep-alive" not in options
        )

    def should_close(self) -> bool:
        """Return whether the client wants no further request on this connection."""
        return self._closes

    def take_expectation(self) -> bool:
        """Return whether the client waits for a 100 (RFC 9110, 10.1.1); the next time, it won't."""
        expected, self._expected_100_continue = self._expected_100_continue, False
        return bool(expected)


def _parsed(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the header fields; raises httptools.HttpParserError."""
    collected = _Fields()
    with contextlib.suppress(httptools.HttpParserUpgrade):  # RFC 9110, 7.8: it may be ignored
        httptools.HttpRequestParser(collected).feed_data(head)
    if not collected.complete:
        raise ValueError(head)
    return collected.fields


class _Fields:
    """What httptools calls back."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True
