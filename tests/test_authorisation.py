"""Every endpoint, asked by everybody: docs/authorisation.md says what they get."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from accounts.models import Account
from accounts.sessions import services
from tests.accounts.factories import PASSWORD, AccountFactory
from tweets.models import Tweet

TABLE = Path(__file__).parents[1] / "docs" / "authorisation.md"
ROLES = ("no token", "other user", "owner", "suspended", "deleted", "moderator")


def _rows() -> dict[tuple[str, str], dict[str, int]]:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    heading, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert heading[2:] == list(ROLES)
    return {
        (method, path): dict(zip(ROLES, map(int, statuses), strict=True))
        for method, path, *statuses in rows
    }


RULES = _rows()


@dataclass
class World:
    """Who there is, and what belongs to the owner; `actor` is who asks, None without a token."""

    owner: Account
    third: Account
    tweet_id: int
    actor: Account | None
    refresh_token: str

    @property
    def paths(self) -> dict[str, Any]:
        return {
            "user_id": self.owner.pk,
            "author_id": self.owner.pk,
            "name": self.owner.username,
            "tweet_id": self.tweet_id,
        }

    def change_owner(self, **changes: Any) -> None:
        Account.objects.filter(id=self.owner.pk).update(**changes)

    def change_tweet(self, state: Tweet.State) -> None:
        removed = {"state": state, "removed_at": timezone.now()}
        Tweet.objects.filter(id=self.tweet_id).update(**removed)


# What is sent along, where something has to be.
BODIES = {
    ("POST", "/auth/create"): lambda world: {
        "username": "newcomer",
        "email": "newcomer@example.org",
        "password": PASSWORD,
    },
    ("POST", "/auth/token"): lambda world: {
        "username": world.actor.username if world.actor else "nobody",
        "password": PASSWORD,
    },
    ("POST", "/auth/token/refresh"): lambda world: {"refresh_token": world.refresh_token},
    ("POST", "/auth/token/revoke"): lambda world: {"refresh_token": world.refresh_token},
    ("PATCH", "/auth/update"): lambda world: {"name": "Another Name"},
    ("DELETE", "/auth/delete/{user_id}"): lambda world: {"password": PASSWORD},
    ("POST", "/auth/follow"): lambda world: {"user_id": str(world.third.pk)},
    ("DELETE", "/auth/unfollow"): lambda world: {"user_id": str(world.third.pk)},
    ("POST", "/tweet/create"): lambda world: {"text": "Hello."},
    ("POST", "/tweet/like"): lambda world: {"tweet_id": str(world.tweet_id)},
    ("DELETE", "/tweet/like"): lambda world: {"tweet_id": str(world.tweet_id)},
    ("POST", "/tweet/retweet"): lambda world: {"tweet_id": str(world.tweet_id)},
    ("DELETE", "/tweet/retweet"): lambda world: {"tweet_id": str(world.tweet_id)},
    ("POST", "/tweet/bookmark"): lambda world: {"tweet_id": str(world.tweet_id)},
    ("DELETE", "/tweet/bookmark"): lambda world: {"tweet_id": str(world.tweet_id)},
}
QUERIES = {"/timeline/update": "?since_id=1"}


@pytest.fixture
def world(db, request):
    role = request.param
    owner, third = AccountFactory(), AccountFactory()
    tweet = Tweet.objects.create(author_id=owner.pk, text="Mine.")
    actor = {"no token": None, "owner": owner}.get(role, AccountFactory())
    if role == "moderator":
        Account.objects.filter(id=actor.pk).update(is_staff=True, is_superuser=True)
    token = "nonsense"
    if actor:
        pair = services.log_in(login=actor.username, password=PASSWORD, address="192.0.2.1")
        token = pair.refresh_token
    if role in ("suspended", "deleted"):
        Account.objects.filter(id=actor.pk).update(**{f"{role}_at": timezone.now()})
    return World(owner=owner, third=third, tweet_id=tweet.pk, actor=actor, refresh_token=token)


@pytest.fixture
def ask(api, world):
    """Return a function that sends the actor's request."""

    def send(method: str, url: str, body: dict[str, str] | None) -> Any:
        client = api(world.actor.pk if world.actor else None)
        data = "" if body is None else json.dumps(body)
        answer = client.generic(method, url, data=data, content_type="application/json")
        if answer.streaming:
            answer.getvalue()  # which lets others have their turn
        return answer

    return send


@pytest.mark.parametrize(
    ("method", "path", "world", "status"),
    [
        pytest.param(method, path, role, status, id=f"{method} {path} {role}")
        for (method, path), statuses in RULES.items()
        for role, status in statuses.items()
    ],
    indirect=["world"],
)
def test_everybody_gets_what_the_table_says(method, path, world, status, ask):
    body = BODIES.get((method, path))
    url = path.format(**world.paths) + QUERIES.get(path, "")
    answer = ask(method, url, body and body(world))
    assert answer.status_code == status, answer.content
    if status >= 400:
        assert answer["Content-Type"] == "application/problem+json"


def test_every_endpoint_has_a_rule():
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == RULES.keys()


SEEN_OF_USERS = [
    ("GET", "/auth/id/{user_id}", None),
    ("GET", "/auth/name/{name}", None),
    ("GET", "/auth/followers/{user_id}", None),
    ("GET", "/auth/following/{user_id}", None),
    ("GET", "/timeline/user/{author_id}", None),
    ("POST", "/auth/follow", {"user_id": "{user_id}"}),
]
SEEN_OF_TWEETS = [
    ("GET", "/tweet/id/{tweet_id}", None),
    ("DELETE", "/tweet/delete/{tweet_id}", None),
    ("POST", "/tweet/like", {"tweet_id": "{tweet_id}"}),
    ("POST", "/tweet/retweet", {"tweet_id": "{tweet_id}"}),
    ("POST", "/tweet/bookmark", {"tweet_id": "{tweet_id}"}),
]
WAYS_TO_GO = {
    "suspended": lambda world: world.change_owner(suspended_at=timezone.now()),
    "deleted": lambda world: world.change_owner(deleted_at=timezone.now()),
    "tweet hidden": lambda world: world.change_tweet(Tweet.State.HIDDEN),
    "tweet deleted": lambda world: world.change_tweet(Tweet.State.DELETED),
}


@pytest.mark.parametrize("world", ["other user"], indirect=True)
@pytest.mark.parametrize(
    ("gone", "method", "path", "body"),
    [
        pytest.param(gone, *seen, id=f"{gone}: {seen[0]} {seen[1]}")
        for gone in WAYS_TO_GO
        for seen in (*([] if "tweet" in gone else SEEN_OF_USERS), *SEEN_OF_TWEETS)
    ],
)
def test_what_may_not_be_seen_answers_like_what_is_not_there(world, ask, gone, method, path, body):
    WAYS_TO_GO[gone](world)

    def answer_for(names):
        filled = body and {key: value.format(**names) for key, value in body.items()}
        answer = ask(method, path.format(**names), filled)
        kept = {key: answer[key] for key in answer.headers if not key.startswith("RateLimit")}
        return answer.status_code, kept, answer.content

    never = {"user_id": 7, "author_id": 7, "name": "neverbeen", "tweet_id": 7}
    assert answer_for(world.paths) == answer_for(never)
    assert answer_for(never)[0] == 404
