"""What the sentences of tests/e2e/features/ mean.

A module that runs them on a service says `scenarios("../features")`. `base_url` is where: the
embedded stack, the service that `make e2e` names, or what a module puts in its place.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_bdd import given, parsers, step, then, when

from tests.e2e.client import Client, User, eventually
from tests.e2e.conftest import Stack
from tests.e2e.stories.people import Moderator, People, news

MOST_GUESSES = 200
DEEDS = {
    "likes": ("POST", "/tweet/like"),
    "no longer likes": ("DELETE", "/tweet/like"),
    "retweets": ("POST", "/tweet/retweet"),
    "no longer retweets": ("DELETE", "/tweet/retweet"),
    "bookmarks": ("POST", "/tweet/bookmark"),
    "no longer bookmarks": ("DELETE", "/tweet/bookmark"),
}
ACTIONS = {"suspends": "suspend", "lifts the suspension of": "lift"}


@pytest.fixture(scope="module")
def base_url(stack: Stack) -> str:
    """Return the address of the service."""
    return stack.url


@pytest.fixture(scope="module")
def cast(base_url: str) -> Iterator[People]:
    """Return the people of all stories of a service; in the end, their accounts are deleted."""
    people = People(base_url)
    yield people
    people.leave()


@pytest.fixture
def people(cast: People) -> Iterator[People]:
    """Return the people of a story, who undo what they did in it."""
    yield cast
    cast.end_story()


@pytest.fixture
def moderator(stack: Stack, base_url: str) -> Moderator:
    """Return a moderator, who is logged in to the admin."""
    if not stack.admin_password:
        pytest.skip("there is no moderator: set ADMIN_PASSWORD (and ADMIN_USERNAME, ADMIN_PATH)")
    return Moderator(
        f"{base_url}/{os.environ.get('ADMIN_PATH', 'admin/')}",
        username=stack.admin_username,
        password=stack.admin_password,
    )


@pytest.fixture
def ids() -> dict[str, int]:
    """Return the ids of a story's tweets, by their texts."""
    return {}


@pytest.fixture
def read_until() -> dict[str, int]:
    """Return which tweet people have read last, by their names."""
    return {}


def sentence(words: str) -> parsers.re:
    """Return the parser of a sentence: {who} and {whom} are names, {n} numbers, {text} in quotes.

    {texts} are one or more quoted texts with commas between, or none.
    """
    parts = {
        "who": r"(?P<who>[A-Z]\w+)",
        "whom": r"(?P<whom>[A-Z]\w+)",
        "n": r"(?P<n>\d+)",
        "text": '"(?P<text>[^"]*)"',
        "texts": r'(?P<texts>"[^"]*"(?:, "[^"]*")*)',
    }
    return parsers.re(re.sub(r"\{(\w+)\}", lambda found: parts[found[1]], words))


def quoted(texts: str) -> list[str]:
    return re.findall('"([^"]*)"', texts)


def shown(page: Any) -> list[str]:
    """Return the texts of a page, those of originals in place of retweets."""
    originals = {tweet["id"]: tweet["text"] for tweet in page.json["includes"]["tweets"]}
    return [
        originals[tweet["referenced_tweets"][0]["id"]]
        if tweet["referenced_tweets"]
        else tweet["text"]
        for tweet in page.data
    ]


# --- accounts ------------------------------------------------------------------------------------


@step(sentence("{who} signs up"))
def sign_up(people: People, who: str) -> None:
    people.sign_up(who)


@when(sentence("{who} logs in"))
def log_in(people: People, who: str) -> None:
    people[who].log_in()


@when(sentence("{who} logs out"))
def log_out(people: People, who: str) -> None:
    people[who].post("/auth/token/revoke", {"refresh_token": people[who].refresh_token})


@then(sentence("{who} is logged in"))
def is_logged_in(people: People, who: str) -> None:
    assert people[who].get("/auth/me").data["username"] == people[who].username


@then(sentence("{who} has to log in"))
def has_to_log_in(people: People, who: str) -> None:
    people[who].get("/auth/me", status=401).assert_problem(401)
    refresh = {"refresh_token": people[who].refresh_token}
    people[who].post("/auth/token/refresh", refresh, status=401)


@then(sentence("{who} is told to be suspended, after the right password only"))
def is_told(people: People, who: str) -> None:
    form = {"username": people[who].username, "password": people[who].password}
    answer = people[who].post("/auth/token", form, status=403)
    assert answer.json["type"] == "/problems/suspended"
    refused(people[who], password="a wrong guess")


@then(sentence("{who} can't log in"))
def cannot_log_in(people: People, who: str) -> None:
    refused(people[who], password=people[who].password)


@then(sentence("nobody else can take {who}'s name"))
def name_is_taken(people: People, who: str) -> None:
    name = people[who].username.upper()
    form = {"username": name, "password": people[who].password, "email": f"{name}@example.com"}
    again = people[who].post("/auth/create", form, status=409)
    again.assert_problem(409, field="username")


@when(sentence("{who} changes the password"))
def change_password(people: People, who: str) -> None:
    person, old = people[who], people[who].password
    person.password = f"{old} and more"
    person.patch("/auth/update", {"password": person.password, "current_password": old})


@then(sentence("the old password of {who} is refused"))
def old_password_is_refused(people: People, who: str) -> None:
    refused(people[who], password=people[who].password.removesuffix(" and more"))


def refused(person: User, *, password: str) -> None:
    form = {"username": person.username, "password": password}
    person.post("/auth/token", form, status=401).assert_problem(401)


@when(sentence("somebody guesses {who}'s password until told to stop"))
def guess(people: People, who: str) -> None:
    guesser = Client(people.base_url)
    for number in range(MOST_GUESSES):
        form = {"username": people[who].username, "password": f"guess {number}"}
        answer = guesser.post("/auth/token", form, status=None)
        if answer.status != 401:
            break
    answer.assert_problem(429)
    assert int(answer.headers["Retry-After"]) > 0


@when(sentence("{who} deletes the account"))
def delete_account(people: People, who: str) -> None:
    people[who].delete(f"/auth/delete/{people[who].id}", {"password": people[who].password})


@when(sentence("a moderator (?P<deed>suspends|lifts the suspension of) {who} for {text}"))
def moderate(moderator: Moderator, people: People, deed: str, who: str, text: str) -> None:
    moderator.act_on_account(people[who].id, action=ACTIONS[deed], reason=text)


# --- following -----------------------------------------------------------------------------------


@step(sentence("{who} follows {whom}"))
def follow(people: People, who: str, whom: str) -> None:
    people[who].follow(people[whom])


@when(sentence("{who} no longer follows {whom}"))
def unfollow(people: People, who: str, whom: str) -> None:
    people[who].delete("/auth/unfollow", user_id=people[whom].id)


@then(sentence("{who} has {n} followers?"), converters={"n": int})
def followers(people: People, who: str, n: int) -> None:
    def counted() -> None:
        assert people[who].metrics()["followers_count"] == n

    eventually(counted)


# --- tweets --------------------------------------------------------------------------------------


@step(sentence("{who} posts {text}"))
def post(people: People, ids: dict[str, int], who: str, text: str) -> None:
    ids[text] = people[who].tweet(text)


@step(sentence("{who} posts {n} tweets"), converters={"n": int})
def post_many(people: People, ids: dict[str, int], who: str, n: int) -> None:
    for number in range(1, n + 1):
        ids[f"number {number}"] = people[who].tweet(f"number {number}")


@when(sentence("{who} posts {n} characters"), converters={"n": int})
def post_long(people: People, who: str, n: int) -> None:
    people[who].tweet("x" * n)


@then(sentence("{who} can't post {n} characters"), converters={"n": int})
def cannot_post(people: People, who: str, n: int) -> None:
    answer = people[who].post("/tweet/create", {"text": "x" * n}, status=400)
    answer.assert_problem(400, field="text")


@step(sentence("{who} (?P<deed>(?:no longer )?(?:likes|retweets|bookmarks)) {text}"))
def do(people: People, ids: dict[str, int], who: str, deed: str, text: str) -> None:
    method, path = DEEDS[deed]
    answer = people[who].request(method, path, {"tweet_id": str(ids[text])}, status=None)
    assert answer.status in {200, 201}, answer


@then(sentence("{who} has bookmarked {text}"))
def has_bookmarked(people: People, ids: dict[str, int], who: str, text: str) -> None:
    kept = people[who].get("/tweet/bookmarks").data
    assert [tweet["id"] for tweet in kept] == [str(ids[text])]


@then(sentence("{who} has no bookmarks"))
def has_no_bookmarks(people: People, who: str) -> None:
    assert people[who].get("/tweet/bookmarks").data == []


@when(sentence("{who} deletes {text}"))
def delete(people: People, ids: dict[str, int], who: str, text: str) -> None:
    people[who].delete(f"/tweet/delete/{ids[text]}")


@then(sentence("{who} may not delete {text}"))
def may_not_delete(people: People, ids: dict[str, int], who: str, text: str) -> None:
    people[who].delete(f"/tweet/delete/{ids[text]}", status=403).assert_problem(403)


@then(sentence("{who} sees {text} with (?P<likes>\\d+) likes? and (?P<retweets>\\d+) retweets?"))
def counts(
    people: People, ids: dict[str, int], who: str, text: str, likes: str, retweets: str
) -> None:
    def counted() -> None:
        metrics = people[who].get(f"/tweet/id/{ids[text]}").data["public_metrics"]
        assert (metrics["like_count"], metrics["retweet_count"]) == (int(likes), int(retweets))

    eventually(counted)


# --- reading -------------------------------------------------------------------------------------


@step(sentence("{who}'s home (?:shows {texts}|is empty)"))
def home_shows(people: People, who: str, texts: str | None) -> None:
    def read() -> None:
        assert shown(people[who].get("/timeline/timeline")) == quoted(texts or "")

    eventually(read)


@then(sentence("{who}'s home shows {text} at once"))
def home_shows_at_once(people: People, who: str, text: str) -> None:
    assert shown(people[who].get("/timeline/timeline")) == [text]


@then(sentence("{who}'s home has {n} tweets"), converters={"n": int})
def home_has(people: People, who: str, n: int) -> None:
    def read() -> None:
        assert len(people[who].home(limit=100)) == n

    eventually(read)


@then(sentence("{who} pages back from the last of them to the first, {n} at a time"))
def page_back(people: People, ids: dict[str, int], who: str, n: str) -> None:
    pages = people[who].pages(f"/timeline/timeline?limit={n}")
    assert [tweet_id for page in pages for tweet_id in page.ids] == list(ids.values())[::-1]


@then(sentence("{who} sees {texts} on {whom}'s page"))
def page_shows(people: People, who: str, texts: str, whom: str) -> None:
    assert shown(people[who].get(f"/timeline/user/{people[whom].id}")) == quoted(texts)


@then(sentence("{who} can't find {text}"))
def cannot_find_tweet(people: People, ids: dict[str, int], who: str, text: str) -> None:
    people[who].get(f"/tweet/id/{ids[text]}", status=404).assert_problem(404)


@then(sentence("{who} can't find {whom}"))
def cannot_find_person(people: People, who: str, whom: str) -> None:
    people[who].get(f"/auth/name/{people[whom].username}", status=404).assert_problem(404)
    people[who].get(f"/timeline/user/{people[whom].id}", status=404).assert_problem(404)


@given(sentence("{who} has read {text}"))
def has_read(
    people: People, ids: dict[str, int], read_until: dict[str, int], who: str, text: str
) -> None:
    def read() -> None:
        assert people[who].home(limit=1) == [ids[text]]

    eventually(read)
    read_until[who] = ids[text]


@then(sentence("{who} catches up with {texts}"))
def catch_up(
    people: People, ids: dict[str, int], read_until: dict[str, int], who: str, texts: str
) -> None:
    def read() -> None:
        new, _ = news(people[who], since_id=read_until[who])
        assert new == [ids[text] for text in quoted(texts)]

    eventually(read)


@then(sentence("{who} learns that {text} is gone"))
def learns(
    people: People, ids: dict[str, int], read_until: dict[str, int], who: str, text: str
) -> None:
    _, gone = news(people[who], since_id=read_until[who])
    assert ids[text] in gone
