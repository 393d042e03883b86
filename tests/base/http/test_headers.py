"""What stands in the header of answers: how long it gets, CORS, OPTIONS, redirects."""

import re
from urllib.parse import quote

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.urls import URLPattern, get_resolver

from tests.asking import ask, request
from twitter import wsgi
from twitter.base.http import headers
from twitter.base.http.headers import MAX_LOCATION
from twitter.base.observe.observing import observed

# What a proxy takes of an answer's header (nginx: proxy_buffer_size), with plenty to spare.
MAX_HEADER = 4_096
PIPES = "|" * 3_200
LONG = "&".join(f"x{number}={'|' * 100}" for number in range(30))
ORIGIN = "https://app.example"


@pytest.fixture
def reads(make_account):
    """Return an account with a page of tweets, so that pages have links."""
    from tweets.models import Tweet

    ann, bob = make_account("ann"), make_account("bob")
    Tweet.objects.bulk_create(Tweet(author_id=ann, text="Hello.") for _ in range(3))
    from accounts.graph import services

    services.follow(follower_id=bob, followed_id=ann)
    services.follow(follower_id=ann, followed_id=bob)
    make_third = make_account("cat")
    services.follow(follower_id=make_third, followed_id=ann)
    return ann


HOSTILE = {
    "a path of the admin": ("/admin/x" + PIPES, ""),
    "a query of the admin": ("/admin/", PIPES),
    "a list of the admin": ("/admin/accounts/account/", f"q={PIPES}"),
    "a path": ("/" + PIPES, ""),
    "a path of the API": ("/auth/" + PIPES, ""),
    "a name": ("/auth/name/" + PIPES, ""),
    "a static file": ("/static/" + PIPES, ""),
    "home": ("/timeline/timeline", f"limit=1&{LONG}"),
    "home, with a long number": ("/timeline/timeline", f"limit={'0' * 900}1"),
    "news": ("/timeline/update", f"limit=1&since_id=1&{LONG}"),
    "an author": ("/timeline/user/{ann}", f"limit=1&{LONG}"),
    "followers": ("/auth/followers/{ann}", f"limit=1&{LONG}"),
    "the first address": ("/", LONG),
    "docs without a slash": ("/api/docs", LONG),
    "docs": ("/api/docs/", LONG),
    "the schema without a slash": ("/api/schema", LONG),
    "the admin without a slash": ("/admin", LONG),
    "what is just short enough": ("/admin/", "x" * (MAX_LOCATION - 100)),
    "a wrong field": ("/timeline/timeline", f"limit={PIPES}"),
}


def size(answered) -> int:
    status, fields, _ = answered
    return len(status) + sum(len(name) + len(value) + 4 for name, value in fields)


@pytest.mark.django_db
@pytest.mark.parametrize("tls_only", [False, True], ids=["plain", "redirected to TLS"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_no_header_is_long_because_a_request_was(reads, settings, kind, tls_only):
    settings.SECURE_SSL_REDIRECT = tls_only  # which middleware reads when it is made
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    application = observed(WSGIHandler()) if tls_only else wsgi.application
    headers._of_a_read.cache_clear()
    path, query = HOSTILE[kind]
    sent = {
        "PATH_INFO": path.format(ann=reads),
        "HTTP_ORIGIN": f"{ORIGIN}/{PIPES}",
        "HTTP_X_REQUEST_ID": PIPES,
        "HTTP_REFERER": PIPES,
    }
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        environ = request(reads, query, **sent, REQUEST_METHOD=method)
        answered = ask(application, environ)
        assert size(answered) < MAX_HEADER, answered[:2]
        assert not answered[0].startswith("5")
    headers._of_a_read.cache_clear()


@pytest.mark.django_db
def test_who_is_sent_to_log_in_comes_back_unless_the_address_is_long(client):
    there = "/admin/accounts/account/?q=ada"
    location = client.get(there)["Location"]
    assert location == f"/admin/login/?next={quote(there)}"
    assert client.get("/admin/", {"q": PIPES})["Location"] == "/admin/login/"


def test_a_redirect_that_would_be_too_long_is_refused_by_its_kind(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    short = client.get("/tweet/id/1", {"x": "y"})
    assert short["Location"] == "https://testserver/tweet/id/1?x=y"
    answer = client.get("/tweet/id/1", {"x": "y" * MAX_LOCATION})
    assert answer.status_code == 414
    assert answer.json()["type"] == "/problems/too-large"


@pytest.mark.django_db
def test_a_link_has_the_known_parameters_only(api, reads):
    answer = api(reads).get("/timeline/timeline?limit=2&utm=x&max_id=9007199254740991")
    assert re.fullmatch(
        r'</timeline/timeline\?limit=2&max_id=\d+>; rel="next", '
        r'</timeline/update\?limit=2&since_id=\d+>; rel="prev"',
        answer["Link"],
    )


# --- pages ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/", "/api/docs/"),
        ("/api/docs", "/api/docs/"),
        ("/api/schema", "/api/schema/"),
        ("/admin", "/admin/"),
    ],
)
def test_what_people_type_leads_to_a_page(client, path, leads_to):
    answer = client.get(f"{path}?x=y")
    assert (answer.status_code, answer["Location"]) == (302, leads_to)


@pytest.mark.parametrize("path", ["/auth/me/", "/tweet/create/", "/timeline/timeline/", "/auth"])
def test_the_api_has_no_redirects(client, path):
    assert client.get(path).status_code == 404


# --- OPTIONS -------------------------------------------------------------------------------------
def routes():
    """Yield an address of each route that is not the admin's."""
    for prefix in get_resolver().url_patterns:
        inside = getattr(prefix, "url_patterns", [prefix])
        for route in inside:
            if getattr(prefix, "app_name", None) != "admin" and isinstance(route, URLPattern):
                head = "" if route is prefix else prefix.pattern
                yield re.sub("<id:.*?>", "7", re.sub("<str:.*?>", "x", f"/{head}{route.pattern}"))


@pytest.mark.parametrize("path", list(routes()))
def test_options_tell_what_is_allowed_and_ask_nobody(client, path, redis_gone):
    redis_gone()
    answer = client.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    allowed = answer["Allow"].split(", ")
    assert {"OPTIONS"} < set(allowed)
    for method in allowed:
        assert method == "OPTIONS" or client.generic(method, path).status_code != 405
    assert "RateLimit" not in answer


def test_options_of_the_token_endpoint(client):
    assert client.options("/auth/token")["Allow"] == "OPTIONS, POST"
    assert client.options("/auth/nothing").status_code == 404


# --- CORS ----------------------------------------------------------------------------------------
@pytest.fixture
def allowed(settings):
    """Let the pages of ORIGIN use the API."""
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    headers._of_a_read.cache_clear()
    yield
    headers._of_a_read.cache_clear()


def preflight(client, path, origin=ORIGIN, **asked):
    fields = {"Origin": origin, "Access-Control-Request-Method": "POST", **asked}
    return client.options(path, headers=fields)


def test_a_preflight_of_an_allowed_origin_asks_neither_redis_nor_postgres(
    client, allowed, redis_gone
):
    redis_gone()
    answer = preflight(client, "/tweet/create")
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    assert "authorization" in answer["Access-Control-Allow-Headers"]
    assert "idempotency-key" in answer["Access-Control-Allow-Headers"]
    assert "if-none-match" in answer["Access-Control-Allow-Headers"]
    assert "PATCH" in answer["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in answer
    assert "origin" in answer["Vary"].lower()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/auth/me", "/timeline/timeline", "/nothing-such", "/auth/no"])
def test_other_origins_get_nothing(client, allowed, path):
    for origin in ("https://evil.example", "null", f"{ORIGIN}.evil.example", f"{ORIGIN}/"):
        answer = client.get(path, headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer


@pytest.mark.django_db
def test_the_admin_is_never_for_pages_of_others(client, allowed, settings):
    for path in ("/admin/", "/admin/login/", "/api/docs/"):
        for answer in (preflight(client, path), client.get(path, headers={"Origin": ORIGIN})):
            assert "Access-Control-Allow-Origin" not in answer
    settings.ADMIN_HOST = "testserver"
    assert "Access-Control-Allow-Origin" not in preflight(client, "/tweet/create")


@pytest.mark.django_db
def test_errors_can_be_read_by_an_allowed_origin(client, allowed):
    answer = client.get("/auth/me", headers={"Origin": ORIGIN})
    assert answer.status_code == 401
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    exposed = answer["Access-Control-Expose-Headers"]
    for name in ("ETag", "Link", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"):
        assert name in exposed


def test_without_the_setting_there_is_no_cors(client):
    answer = client.get("/auth/healthz", headers={"Origin": ORIGIN})
    assert not {name for name in answer.headers if name.lower().startswith("access-control")}
    assert preflight(client, "/tweet/create").status_code == 204


def test_any_origin_when_so_set(client, settings):
    settings.CORS_ALLOWED_ORIGINS, settings.CORS_ALLOW_ALL_ORIGINS = ["*"], True
    answer = client.get("/auth/healthz", headers={"Origin": "https://any.where.example"})
    assert answer["Access-Control-Allow-Origin"] == "*"
