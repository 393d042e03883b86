"""What a request may hold at most: bytes, depth, parameters, and in which encoding."""

import json
import zlib
from io import BytesIO

import pytest
from django.urls import path
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from tests.asking import ask, request
from twitter import wsgi
from twitter.base.http.parsers import MAX_DEPTH, BoundedJSONParser


class Echo(APIView):
    authentication_classes = permission_classes = ()

    def post(self, request):
        return Response({"query": request.query_params.dict(), "body": request.data})


urlpatterns = [path("echo", Echo.as_view())]
handler400 = "twitter.base.http.errors.bad_request"


@pytest.fixture
def send(settings):
    settings.ROOT_URLCONF = __name__

    def do(body=b"{}", *, query="", kind="application/json"):
        environ = request(1, query, REQUEST_METHOD="POST", PATH_INFO="/echo")
        environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        status, headers, answer = ask(wsgi.application, {**environ, "CONTENT_TYPE": kind})
        return int(status.split()[0]), dict(headers)["Content-Type"], json.loads(answer)

    return do


def parse(body: bytes):
    request = APIRequestFactory().post("/", body, content_type="application/json")
    return BoundedJSONParser().parse(request, parser_context={"request": request})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('a"\\[]{}é\n')),
    lambda value: st.lists(value) | st.dictionaries(st.text(st.sampled_from('"\\[{')), value),
)


def depth_of(value) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@settings(deadline=None)
@given(JSON, st.integers(0, MAX_DEPTH + 5), st.booleans())
def test_json_is_read_down_to_the_greatest_depth_and_no_deeper(value, levels, ascii_only):
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    if depth_of(value) <= MAX_DEPTH:
        assert parse(body) == value
    else:
        with pytest.raises(ParseError, match=f"deeper than {MAX_DEPTH} levels"):
            parse(body)


@pytest.mark.parametrize("body", [b"1\xc2", b"[]\xe2\x82", b'"a" \xf0\x9f\x8e', b"\xff{}"])
def test_what_is_no_utf_8_is_refused_also_at_the_end(body):
    with pytest.raises(ParseError, match="'utf-8' codec can't decode"):
        parse(body)


@settings(deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(st.sampled_from('[]{}",:\\1tu '), max_size=200).map(str.encode)
)
def test_whatever_bytes_come_raise_nothing_but_an_error_of_parsing(body):
    try:
        value = parse(body)
    except ParseError:
        return
    assert value == json.loads(body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_a_body_that_opens_for_ever_is_refused_before_anything_recurses(opening, monkeypatch):
    monkeypatch.setattr(json.JSONDecoder, "decode", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(ParseError, match="nested deeper"):
        parse(opening * 9_000)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/auth/token", "/admin/login/", "/nothing"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_has_at_most_so_many_bytes(settings, path, chunked):
    """However it is sent, and whatever it is for; nothing is read of one that says it is longer."""
    settings.MAX_BODY_BYTES = 100

    def status(length):
        body = BytesIO(b" " * length)
        environ = {"wsgi.input": body, "REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/json"}
        framing = {"HTTP_TRANSFER_ENCODING": "chunked"} if chunked else {}
        framing |= {"CONTENT_LENGTH": "" if chunked else str(length)}
        answer = ask(wsgi.application, request(1, PATH_INFO=path, **environ | framing))
        return int(answer[0][:3]), body.tell()

    assert status(100)[0] != 413
    assert status(101) == (413, 101 if chunked else 0)
    assert status(10_000) == (413, 101 if chunked else 0)


NO_TEXT = ["hex", "base64", "zip", "bz2", "rot13", "undefined", "uu", "quopri"]
OTHER = ["utf-16", "utf-7", "punycode", "idna", "latin-1", "unicode_escape", "nonsense", "\0", ""]


@pytest.mark.parametrize("charset", NO_TEXT + OTHER)
def test_everything_is_utf_8_whatever_it_calls_itself(send, charset):
    kind = f"application/json; charset={charset}"
    answer = send('{"a": "é"}'.encode(), query="b=%C3%A9", kind=kind)
    assert answer == (200, "application/json", {"query": {"b": "é"}, "body": {"a": "é"}})


@pytest.mark.parametrize(
    "parameter", ["charset*=nonsense''x", "charset*=a'b", "a*=hex''%ff", ";;=;"]
)
def test_a_content_type_that_cannot_be_read_is_no_error_of_ours(send, parameter):
    assert send(kind=f"application/json; {parameter}")[0] in (200, 415)


def test_nothing_is_unpacked(send):
    packed = zlib.compress(b'"' + b"x" * 10_000_000 + b'"')
    assert send(packed, kind="application/json; charset=zip")[0] == 400


def test_a_query_has_at_most_a_thousand_parameters(send, caplog):
    assert send(query="&".join("a" * 1_000))[0] == 200
    assert send(query="&".join("a" * 1_001))[:2] == (400, "application/problem+json")
    assert not caplog.records, "a client's mistake is no error of ours"
