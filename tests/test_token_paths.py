"""Access tokens on both ways in: the warm read before Django, and Django."""

import json

import pytest

from accounts.models import Account
from accounts.sessions import services, tokens
from tests.accounts.factories import AccountFactory
from tests.accounts.sessions.test_authentication import ENDS, log_in
from tests.accounts.sessions.test_tokens import BAD
from tests.asking import ask, request
from timelines import warm
from twitter import wsgi

pytestmark = pytest.mark.usefixtures("commits")

PATHS = ("/timeline/timeline", "/auth/me")


def send(path, token):
    """Return status and body, as gunicorn would get them."""
    environ = request(1, HTTP_AUTHORIZATION=f"Bearer {token}", PATH_INFO=path)
    status, _, body = ask(wsgi.application, environ)
    return int(status.split()[0]), json.loads(body)


def statuses(token):
    return [send(path, token)[0] for path in PATHS]


@pytest.fixture
def ada(without_limits):
    """Return an account whose log-in, an access token and a refresh token, reads warm."""
    account = AccountFactory()
    _, pair = log_in(account)
    for _ in range(2):  # what is cached is cached now
        assert statuses(pair.access_token) == [200, 200]
    environ = request(account.id, HTTP_AUTHORIZATION=f"Bearer {pair.access_token}")
    assert warm.answer(environ) is not None, "the warm way is not taken"
    return account, pair


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("redis", ["warm", "flushed"])
def test_a_token_that_ended_is_refused_by_the_next_request(ada, end, redis, valkey):
    account, pair = ada
    end(account, pair)
    if redis == "flushed":
        valkey.flushdb()
    for _ in range(3):
        assert statuses(pair.access_token) == [401, 401]


def test_tokens_that_are_none_are_refused(ada):
    for name, token in BAD.items():
        if token.isascii() and "\n" not in token:  # as a header can be
            assert statuses(token) == [401, 401], name


def test_keys_are_rotated_without_anybody_being_logged_out(ada, settings):
    """docs/keys.md, step by step; another setting stands for the restart."""
    account, pair = ada
    [(kid, secret)] = list(settings.JWT_SIGNING_KEYS.items())[:1]
    old, new = {kid: secret}, {"new": "n" * 40}

    def restart_with(keys):
        settings.JWT_SIGNING_KEYS = keys

    def issued():
        generation = Account.objects.get(id=account.id).token_generation
        return tokens.issue_access_token(account_id=account.id, session_id=1, generation=generation)

    first = issued()
    restart_with(old | new)
    second = issued()
    assert tokens.jwt.get_unverified_header(second)["kid"] == kid, "the first one signs"
    restart_with(new | old)
    third = issued()
    assert tokens.jwt.get_unverified_header(third)["kid"] == "new"
    for token in (first, second, third, pair.access_token):
        assert statuses(token) == [200, 200]
    restart_with(new)
    assert statuses(third) == [200, 200]
    for token in (first, second, pair.access_token):
        assert statuses(token) == [401, 401]
    # Refresh tokens are not signed: who has one goes on.
    assert statuses(services.refresh(pair.refresh_token).access_token) == [200, 200]
