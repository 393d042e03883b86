"""What must be true when all is quiet again."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import DatabaseError, connection

from tests.bench.stack import WAITING
from tests.chaos.people import World
from tests.chaos.stack import Stack

QUIET_SECONDS = 240.0


def wait_until_quiet() -> float:
    """Wait until nothing is left to do; return the seconds. Raises TimeoutError."""
    begun = time.monotonic()
    while waiting := _rows(WAITING)[0][0]:
        if time.monotonic() - begun > QUIET_SECONDS:
            raise TimeoutError(f"{waiting} deliveries and changes still wait: {_waiting()}")
        time.sleep(0.2)
    return time.monotonic() - begun


def _waiting() -> list[tuple[Any, ...]]:
    """Return what waits, for a person to look at: deliveries, and whose counts changed."""
    return [
        *_rows(
            "SELECT task, sends, attempts, now() - created_at, due_at - now(), last_error"
            " FROM outbox_delivery WHERE failed_at IS NULL ORDER BY id LIMIT 20"
        ),
        *_rows("SELECT 'tweet', tweet_id FROM tweets_tweetmetricsdelta LIMIT 20"),
        *_rows("SELECT 'account', account_id FROM accounts_accountcounterdelta LIMIT 20"),
    ]


def check(stack: Stack, world: World) -> list[str]:
    """Compare the service with the record; return what is wrong."""
    wrong = [*world.failures]
    wrong += _compare("tweets", _tweets(), dict(world.texts.items() - _gone(world).items()))
    wrong += _compare(
        "likes", set(_rows("SELECT account_id, tweet_id FROM tweets_like")), _likes(world)
    )
    wrong += _compare(
        "retweets",
        set(_rows("SELECT author_id, original_id FROM tweets_tweet WHERE original_id > 0")),
        _retweets(world),
    )
    wrong += _compare(
        "follows",
        set(_rows("SELECT follower_id, followed_id FROM accounts_follow")),
        {(one.id, other) for one in world.accounts for other in one.follows},
    )
    wrong += _counters(world)
    if letters := _rows("SELECT task, last_error FROM outbox_delivery WHERE failed_at IS NOT NULL"):
        wrong.append(f"dead letters: {letters[:5]}")
    wrong += _homes(world)
    verified = stack.manage("verify_timelines", "--all")
    if verified.returncode:
        wrong.append(f"verify_timelines --all: {verified.stdout[-500:]}{verified.stderr[-500:]}")
    return wrong


def _gone(world: World) -> dict[int, str]:
    return {number: world.texts[number] for number in world.deleted}


def _tweets() -> dict[int, str]:
    return dict(_rows("SELECT id, text FROM tweets_tweet WHERE original_id IS NULL AND state = 0"))


def _likes(world: World) -> set[tuple[int, int]]:
    return {(one.id, tweet) for one in world.accounts for tweet in one.likes - world.deleted}


def _retweets(world: World) -> set[tuple[int, int]]:
    return {
        (one.id, tweet) for one in world.accounts for tweet in one.retweets.keys() - world.deleted
    }


def _counters(world: World) -> list[str]:
    likes = Counter(tweet for _, tweet in _likes(world))
    retweets = Counter(tweet for _, tweet in _retweets(world))
    counted = {
        tweet: (like_count, retweet_count)
        for tweet, like_count, retweet_count in _rows(
            "SELECT tweet_id, like_count, retweet_count FROM tweets_tweetmetrics"
        )
    }
    wrong = _compare(
        "counts of tweets",
        {tweet: counted.get(tweet, (0, 0)) for tweet in world.tweets},
        {tweet: (likes[tweet], retweets[tweet]) for tweet in world.tweets},
    )
    posted = Counter(world.tweets.values())
    posted += Counter(author for author, _ in _retweets(world))
    follows = [(one.id, other) for one in world.accounts for other in one.follows]
    following, followers = (Counter(pair[side] for pair in follows) for side in (0, 1))
    held = {
        row[0]: row[1:]
        for row in _rows(
            "SELECT account_id, followers_count, following_count, tweet_count"
            " FROM accounts_accountcounters"
        )
    }
    ids = [one.id for one in world.accounts]
    return wrong + _compare(
        "counts of users",
        {number: held.get(number, (0, 0, 0)) for number in ids},
        {number: (followers[number], following[number], posted[number]) for number in ids},
    )


def _homes(world: World) -> list[str]:
    """Page through homes over the API, and look for what is missing or too much."""
    wrong = []
    for one in world.accounts:
        shown: list[int] = []
        page = one.ask("GET", "/timeline/timeline", limit=100)
        while page.status == 200:
            shown += [int(tweet["id"]) for tweet in page.body["data"]]
            if "next_cursor" not in page.body["meta"]:
                break
            cursor = page.body["meta"]["next_cursor"]
            page = one.ask("GET", "/timeline/timeline", limit=100, max_id=cursor)
        one.hang_up()
        authors = {one.id, *one.follows}
        own = {number for number, author in world.tweets.items() if author in authors}
        retweets = {
            number
            for other in world.accounts
            if other.id in authors
            for original, number in other.retweets.items()
            if original not in world.deleted
        }
        if page.status != 200 or not own <= set(shown) <= own | retweets:
            missing, surplus = own - set(shown), set(shown) - own - retweets
            wrong.append(f"home of {one.name}: {page.status}, missing {missing}, surplus {surplus}")
        if shown != sorted(set(shown), reverse=True):
            wrong.append(f"home of {one.name} repeats or is out of order")
    return wrong


def _compare(what: str, found: object, expected: object) -> list[str]:
    if found == expected:
        return []
    if isinstance(found, dict) and isinstance(expected, dict):
        found, expected = set(found.items()), set(expected.items())
    lost, surplus = _some(expected - found), _some(found - expected)  # type: ignore[operator]
    return [f"{what}: acknowledged and not there {lost}; there and not acknowledged {surplus}"]


def _some(items: Iterable[object]) -> list[object]:
    return list(items)[:5]


def _rows(statement: str) -> list[tuple[Any, ...]]:
    for attempt in range(50):
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return [tuple(row) for row in cursor.fetchall()]
        except DatabaseError:
            if attempt == 49:
                raise
            connection.close()
            time.sleep(0.2)
    return []
