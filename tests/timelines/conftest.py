"""People who follow, post, retweet and read, over the API."""

import json

import pytest


@pytest.fixture
def people(make_account):
    return {name: make_account(name) for name in ("ann", "bob", "cat", "dan")}


@pytest.fixture
def follow(people, api):
    def do(follower: str, followed: str, *, undo: bool = False) -> None:
        client = api(people[follower])
        body = {"user_id": str(people[followed])}
        answer = (
            client.delete("/auth/unfollow", body) if undo else client.post("/auth/follow", body)
        )
        assert answer.status_code == 200, answer.content

    return do


@pytest.fixture
def post(people, api):
    def do(author: str, text: str = "hello") -> int:
        answer = api(people[author]).post("/tweet/create", {"text": text})
        assert answer.status_code == 201, answer.content
        return int(answer.json()["data"]["id"])

    return do


@pytest.fixture
def retweet(people, api):
    def do(author: str, tweet_id: int) -> int:
        answer = api(people[author]).post("/tweet/retweet", {"tweet_id": tweet_id})
        assert answer.status_code in (200, 201), answer.content
        return int(answer.json()["data"]["id"])

    return do


@pytest.fixture
def read(people, api):
    def do(reader: str, path: str = "timeline", **query) -> dict:
        answer = api(people[reader]).get(f"/timeline/{path}", query)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content)

    return do


@pytest.fixture
def ids():
    """Return a function that reads the ids off a page."""
    return lambda page: [int(tweet["id"]) for tweet in page["data"]]
