"""Every endpoint with every kind of bad input: a problem that names what is wrong, never a 5xx."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from tests.e2e.client import PASSWORD, Answer, Client, User, new_name
from tests.e2e.conftest import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

JSON = {"Content-Type": "application/json"}
UNKNOWN_ID = 2**53 - 1
DEEP = b"[" * 20_000 + b"]" * 20_000
NUL, SURROGATE = "a\0b", "a\ud800b"
NO_STRINGS: list[Any] = [None, 7, True, 1.5, ["a"], {"a": "b"}]
NO_IDS: list[Any] = [
    *(None, True, 1.5, [1], {"id": 1}, "", "abc", " 1", "1 ", "+1", "0x1", "1e3", "\uff11"),
    *(0, -1, "-1", 2**53, 2**63, str(2**63), str(2**64), "9" * 400, NUL, SURROGATE),
]

SIGN_UP = {"username": "somebody", "password": PASSWORD, "email": "somebody@example.org"}
# method, path and a body in which everything but one thing would be right
BODIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "create": ("POST", "/auth/create", SIGN_UP | {"name": "Some Body", "bio": "Hi."}),
    "token": ("POST", "/auth/token", {"username": "somebody", "password": PASSWORD}),
    "refresh": ("POST", "/auth/token/refresh", {"refresh_token": "1.abc"}),
    "revoke": ("POST", "/auth/token/revoke", {"refresh_token": "1.abc"}),
    "update": ("PATCH", "/auth/update", {"name": "A", "bio": "B", "email": "a@example.org"}),
    "delete": ("DELETE", "/auth/delete/{me}", {"password": "a wrong guess"}),
    "follow": ("POST", "/auth/follow", {"user_id": str(UNKNOWN_ID)}),
    "unfollow": ("DELETE", "/auth/unfollow", {"user_id": str(UNKNOWN_ID)}),
    "tweet": ("POST", "/tweet/create", {"text": "a"}),
    "like": ("POST", "/tweet/like", {"tweet_id": str(UNKNOWN_ID)}),
    "unlike": ("DELETE", "/tweet/like", {"tweet_id": str(UNKNOWN_ID)}),
    "retweet": ("POST", "/tweet/retweet", {"tweet_id": str(UNKNOWN_ID)}),
    "undo": ("DELETE", "/tweet/retweet", {"tweet_id": str(UNKNOWN_ID)}),
    "bookmark": ("POST", "/tweet/bookmark", {"tweet_id": str(UNKNOWN_ID)}),
    "take back": ("DELETE", "/tweet/bookmark", {"tweet_id": str(UNKNOWN_ID)}),
}
OPEN = {"create", "token", "refresh", "revoke"}
BY_ID = ["/auth/id/", "/auth/followers/", "/auth/following/", "/timeline/user/", "/tweet/id/"]
DELETE_BY_ID = ["/auth/delete/", "/tweet/delete/"]
PAGES = {
    "/auth/followers/{me}": ["cursor"],
    "/auth/following/{me}": ["cursor"],
    "/timeline/timeline": ["max_id"],
    "/timeline/user/{me}": ["max_id", "since_id"],
    "/timeline/update": ["since_id"],
    "/tweet/bookmarks": ["cursor"],
}
READS = [*PAGES, "/auth/me", "/auth/id/{me}", "/auth/name/nobody", "/tweet/id/1"]

every_body = pytest.mark.parametrize("name", BODIES)


@pytest.fixture(scope="module")
def eve(join: Callable[[], User]) -> User:
    """Return a user who sends nothing but bad input, and so stays as it is."""
    return join()


def send(client: Client, name: str, body: bytes, headers: dict[str, str] = JSON) -> Answer:
    method, path, _ = BODIES[name]
    target = path.replace("{me}", str(getattr(client, "id", 1)))
    return client.send(method, target, body=body, headers=headers)


def send_json(client: Client, name: str, body: Any) -> Answer:
    return send(client, name, json.dumps(body).encode())


@every_body
@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"{'a': 1}", b"\xff\xfe", b'{"text": NaN}', b'{"text": "\xed\xa0\x80"}', b"\0"),
        *(b"{}{}", b"\xef\xbb\xbf{}", DEEP, b'{"a":' * 9_000 + b"1" + b"}" * 9_000),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_malformed_json(eve: User, name: str, body: bytes) -> None:
    send(eve, name, body).assert_problem(400)


@every_body
@pytest.mark.parametrize("body", [[], ["a"], [{}], "text", 7, 1.5, True, None], ids=repr)
def test_a_body_that_is_no_object(eve: User, name: str, body: Any) -> None:
    send_json(eve, name, body).assert_problem(400)


@every_body
def test_a_huge_body(eve: User, name: str) -> None:
    _, _, body = BODIES[name]
    send_json(eve, name, body | {"more": "x" * 1_000_000}).assert_problem(413)


def test_a_body_without_a_length_is_read(eve: User) -> None:
    chunks = iter([b'{"bio": ', b'"in chunks"}'])
    answer = eve.send("PATCH", "/auth/update", body=chunks, headers=JSON)
    assert (answer.status, answer.data["bio"]) == (200, "in chunks")


@every_body
@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", "x"],
)
def test_another_content_type(eve: User, name: str, kind: str) -> None:
    answer = send(eve, name, json.dumps(BODIES[name][2]).encode(), {"Content-Type": kind})
    is_form = name == "token" and kind == "application/x-www-form-urlencoded"
    answer.assert_problem(400 if is_form else 415)  # a log-in may be a form, which this is not


@every_body
def test_a_missing_field_is_named(eve: User, name: str) -> None:
    _, _, body = BODIES[name]
    required = set() if name == "update" else body.keys() - {"name", "bio"}
    for field in required:
        rest = {key: value for key, value in body.items() if key != field}
        send_json(eve, name, rest).assert_problem(400, field=field)


@every_body
def test_a_field_of_the_wrong_type_or_too_long_is_named(eve: User, name: str) -> None:
    _, _, body = BODIES[name]
    for field in body:
        strings = [*NO_STRINGS, NUL, SURROGATE, "x" * 60_000]
        wrong = NO_IDS if field.endswith("_id") else strings
        for value in wrong:
            send_json(eve, name, body | {field: value}).assert_problem(400, field=field)


LONG_LOCAL = "x" * 250 + "@example.org"
REFUSED = {
    "username": ["", "a" * 16, "a b", "a-b", "\u00e4", "\uff41", "admin", "Admin", " ada", "ada\n"],
    "password": ["", "short1", "password", "1234567890", "x" * 129, "somebody"],
    "email": ["", "a", "a@b", "@example.org", "a b@example.org", LONG_LOCAL],
    "name": ["\u200b", "x" * 51, "a\nb", "a\u0007b", "a\u0085b", "a\u202eb"],
    "bio": ["x" * 161, "\u200b", "a\u202eb"],
}


@pytest.mark.parametrize("field", REFUSED)
def test_what_a_profile_may_not_hold(eve: User, field: str) -> None:
    for value in REFUSED[field]:
        answer = send_json(eve, "create", BODIES["create"][2] | {field: value})
        answer.assert_problem(400, field=field)
        if field != "password":
            send_json(eve, "update", {field: value}).assert_problem(400, field=field)


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "a" * 281, "猫" * 141, "a\u0007b", "\ufffe"])
def test_what_a_tweet_may_not_be(eve: User, text: str) -> None:
    send_json(eve, "tweet", {"text": text}).assert_problem(400, field="text")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e4", "a\tb"])
def test_what_an_idempotency_key_may_not_be(eve: User, key: str) -> None:
    body = json.dumps({"text": "a"}).encode()
    answer = send(eve, "tweet", body, JSON | {"Idempotency-Key": key})
    answer.assert_problem(400, field="Idempotency-Key")


@pytest.mark.parametrize("path", BY_ID + DELETE_BY_ID)
def test_an_id_in_the_path_that_is_none_or_unknown(eve: User, path: str) -> None:
    method = "DELETE" if path in DELETE_BY_ID else "GET"
    no_ids = ["0", "-1", "abc", "1.5", "%00", "%ED%A0%80", "%EF%BC%91", "", "1/", str(2**63)]
    for text in [*no_ids, "9" * 400, str(UNKNOWN_ID)]:
        eve.request(method, path + text, {"password": PASSWORD}, status=404).assert_problem(404)


@pytest.mark.parametrize("name", ["nobody_at_all", "%00", "%ED%A0%80", "x" * 300, "a%2Fb", "a/b"])
def test_a_name_that_nobody_has(eve: User, name: str) -> None:
    eve.get(f"/auth/name/{name}", status=404).assert_problem(404)


@pytest.mark.parametrize("name", ["follow", "unfollow", "like", "unlike", "retweet", "undo"])
def test_an_id_in_the_body_that_is_unknown(eve: User, name: str) -> None:
    send_json(eve, name, BODIES[name][2]).assert_problem(404)


@pytest.mark.parametrize("path", PAGES)
def test_what_asks_for_no_page(eve: User, path: str) -> None:
    target = path.replace("{me}", str(eve.id))
    for cursor in PAGES[path]:
        for value in (
            "",
            "0",
            "-1",
            "abc",
            "1.5",
            "\uff11",
            str(2**53),
            str(2**63),
            "9" * 400,
            "\0",
        ):
            eve.get(target, status=400, **{cursor: value}).assert_problem(400, field=cursor)
    good = {"since_id": 1} if path == "/timeline/update" else {}
    for limit in ("", "0", "-1", "101", "abc", "1.5", str(2**63), "9" * 400, "\0"):
        eve.get(target, status=400, limit=limit, **good).assert_problem(400, field="limit")


@pytest.mark.parametrize(
    "since",
    ["", "now", "2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z", "9" * 400, "\0", "0"],
)
def test_a_time_that_is_none(eve: User, since: str) -> None:
    eve.get("/timeline/update", since=since, status=400).assert_problem(400, field="since")


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_far_away_is_a_time(eve: User, since: str) -> None:
    assert eve.get("/timeline/update", since=since).ids == []


def test_news_since_nothing_or_twice(eve: User) -> None:
    both = {"since_id": 1, "since": "2026-01-01T00:00:00Z"}
    for query in ({}, both):
        eve.get("/timeline/update", status=400, **query).assert_problem(400, field="since_id")


def requests_with_a_token(eve: User) -> list[tuple[str, str]]:
    reads = [("GET", path) for path in READS]
    writes = [BODIES[name][:2] for name in BODIES if name not in OPEN]
    both = [*reads, *writes, ("DELETE", "/tweet/delete/1")]
    return [(method, path.replace("{me}", str(eve.id))) for method, path in both]


def tokens_that_are_none(stack: Stack, eve: User) -> list[str]:
    """Return expired, forged, foreign, broken and overlong tokens."""
    assert eve.token
    keys = stack.environment.get("JWT_SIGNING_KEYS") or "kid:" + "x" * 40
    kid, _, key = keys.split(",")[0].partition(":")
    header = {"kid": kid, "typ": "at+jwt"}
    claims = jwt.decode(eve.token, options={"verify_signature": False})
    head, payload, _ = eve.token.split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode())
    expired = claims | {"exp": int(time.time()) - 1}
    return [
        jwt.encode(expired, key, algorithm="HS256", headers=header),
        jwt.encode(claims, "y" * 40, algorithm="HS256", headers=header),
        jwt.encode(claims, key, algorithm="HS256", headers={"kid": kid}),  # typ: JWT
        jwt.encode(claims | {"gen": 99}, key, algorithm="HS256", headers=header),
        jwt.encode(claims | {"sub": str(2**63)}, key, algorithm="HS256", headers=header),
        f"{unsigned.decode().rstrip('=')}.{payload}.",
        *(f"{head}.{payload}.", eve.token[:-2], eve.refresh_token, "", "abc", "a.b.c", "\u00e4"),
        "x" * 3_000,
    ]


def test_no_token_or_one_that_is_none(stack: Stack, eve: User) -> None:
    nobody = Client(stack.url)
    for method, path in requests_with_a_token(eve):
        answer = nobody.send(method, path)
        answer.assert_problem(401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for token in tokens_that_are_none(stack, eve):
        answer = nobody.send("GET", "/auth/me", headers={"Authorization": f"Bearer {token}"})
        answer.assert_problem(401)
    for other in ("Basic YTpi", "Bearer", "Token abc", eve.token or ""):
        nobody.send("GET", "/auth/me", headers={"Authorization": other}).assert_problem(401)
    eve.get("/auth/me")


def test_what_is_not_yours(eve: User, join: Callable[[], User]) -> None:
    victim = join()
    tweet = victim.tweet("hands off")
    eve.delete(f"/tweet/delete/{tweet}", status=403).assert_problem(403)
    body = {"password": PASSWORD}
    eve.delete(f"/auth/delete/{victim.id}", body, status=403).assert_problem(403)
    names = {"id": str(victim.id), "user_id": str(victim.id), "bio": "mine"}
    eve.patch("/auth/update", names, status=400).assert_problem(400, field="user_id")
    assert victim.get("/auth/me").data["bio"] == ""
    assert victim.home() == [tweet]


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/auth", "/auth/", "/auth/me/", "/tweet/id/", "/timeline/%00", "/%ED%A0%80"],
)
def test_a_path_that_leads_nowhere(eve: User, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        eve.send(method, path).assert_problem(404)


def test_a_method_that_is_not_served(eve: User) -> None:
    served: dict[str, set[str]] = {}
    for method, path in requests_with_a_token(eve) + [BODIES[name][:2] for name in OPEN]:
        served.setdefault(path, set()).add(method)
    for path, methods in served.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods:
            answer = eve.send(method, path)
            answer.assert_problem(405)
            assert methods <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("host", ["evil.example", "", "a b", "[::", "\u00e4"])
def test_a_host_that_is_not_ours(anybody: Client, host: str) -> None:
    answer = anybody.send("GET", "/auth/healthz", headers={"Host": host})
    answer.assert_problem(400)
    assert b"example" not in answer.body


def test_a_username_taken_in_another_case(anybody: Client, eve: User) -> None:
    taken = SIGN_UP | {"username": eve.username.upper(), "email": f"{new_name()}@example.org"}
    anybody.post("/auth/create", taken, status=409).assert_problem(409, field="username")
