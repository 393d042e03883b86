"""Every kind of answer has the headers that tell browsers and caches what not to do with it."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.client import Answer, Client, User

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
DATA = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
SWAGGER = f"{PAGE}; style-src 'self' 'unsafe-inline'"
UNSTORED = "no-store"
KEPT = "private, no-cache"
NEVER = "max-age=0, no-cache, no-store, must-revalidate, private"

Ask = Callable[[Client, User], Answer]


def get(path: str, **headers: str) -> Ask:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda anybody, ada: anybody.send("GET", path, headers=named)


def post(path: str, body: bytes | Iterator[bytes] = b"{}", **headers: str) -> Ask:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda anybody, ada: anybody.send("POST", path, body=body, headers=named)


def warm(anybody: Client, ada: User) -> Answer:
    ada.home()
    return ada.get("/timeline/timeline")


def again(path: str) -> Ask:
    def ask(anybody: Client, ada: User) -> Answer:
        return ada.get(path, headers={"If-None-Match": "*"}, status=304)

    return ask


def log_in(anybody: Client, ada: User) -> Answer:
    return anybody.post("/auth/token", {"username": ada.username, "password": ada.password})


def docs_again(anybody: Client, ada: User) -> Answer:
    etag = anybody.get("/api/docs/").headers["ETag"]
    return anybody.send("GET", "/api/docs/", headers={"If-None-Match": etag})


# What is asked, and the status of the answer.
DATA_ANSWERS: dict[str, tuple[Ask, int]] = {
    "a profile": (lambda anybody, ada: ada.get("/auth/me"), 200),
    "HEAD": (lambda anybody, ada: ada.send("HEAD", "/auth/me"), 200),
    "tokens": (log_in, 200),
    "health": (get("/auth/healthz"), 200),
    "no token": (get("/auth/me"), 401),
    "an unknown path": (get("/nothing"), 404),
    "OPTIONS": (lambda anybody, ada: ada.send("OPTIONS", "/auth/me"), 204),
    "an unknown path of the API": (get("/auth/nothing"), 404),
    "a wrong method": (lambda anybody, ada: ada.send("PUT", "/auth/me"), 405),
    "no JSON": (post("/auth/token", b"{", Content_Type="application/json"), 400),
    "another media type": (post("/auth/token", Content_Type="text/xml"), 415),
    "a host that is not ours": (get("/auth/me", Host="evil.example"), 400),
    "a long body": (post("/auth/token", b" " * 70_000), 413),
}
KEPT_ANSWERS: dict[str, tuple[Ask, int]] = {
    "a warm read": (warm, 200),
    "a warm read again": (again("/timeline/timeline"), 304),
    "a cold read": (lambda anybody, ada: ada.get("/timeline/update?since_id=1"), 200),
    "a cold read again": (again("/timeline/update?since_id=1"), 304),
}
# The same, and Content-Security-Policy and Cache-Control.
PAGE_ANSWERS: dict[str, tuple[Ask, int, str | None, str]] = {
    "the first address": (get("/"), 302, PAGE, UNSTORED),
    "the schema": (get("/api/schema/"), 200, SWAGGER, "no-cache"),
    "Swagger UI": (get("/api/docs/"), 200, SWAGGER, "no-cache"),
    "Swagger UI, which the browser has": (docs_again, 304, SWAGGER, "no-cache"),
    "Swagger UI's script": (get("/api/docs/start.js"), 200, SWAGGER, "no-cache"),
    "the admin": (get("/admin/"), 302, PAGE, NEVER),
    "the admin's log-in": (get("/admin/login/"), 200, PAGE, NEVER),
    "a forged form": (post("/admin/login/"), 403, PAGE, UNSTORED),
    "a static file": (get("/static/admin/css/base.css"), 200, None, "max-age=60, public"),
}
ANSWERS = {
    **PAGE_ANSWERS,
    **{kind: (ask, status, DATA, UNSTORED) for kind, (ask, status) in DATA_ANSWERS.items()},
    **{kind: (ask, status, DATA, KEPT) for kind, (ask, status) in KEPT_ANSWERS.items()},
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_kind_of_answer_has_them(anybody: Client, ada: User, kind: str) -> None:
    ask, status, policy, caching = ANSWERS[kind]
    answer = ask(anybody, ada)
    assert answer.status == status, answer
    expected = ALWAYS | {"Content-Security-Policy": policy, "Cache-Control": caching}
    assert {name: answer.headers[name] for name in expected} == expected
    for name in expected:
        assert len(answer.headers.get_all(name) or []) <= 1, name
    assert len(answer.headers.get_all("X-Request-Id") or []) == 1
    assert answer.headers["Server"] in (None, "gunicorn")  # no version
    assert answer.headers["Access-Control-Allow-Origin"] is None
