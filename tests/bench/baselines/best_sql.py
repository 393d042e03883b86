"""The best that one SQL statement can do: a LATERAL look at each followee's newest tweets.

Prepared, planned once, no middleware, the token's check remembered, the answer written by orjson.
Entities of texts, which the service sends too, are left out.
"""

from functools import lru_cache
from typing import Any

import orjson
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from accounts.sessions.tokens import verify_access_token
from tests.bench.baselines.bare import healthz, json_answer
from twitter.base.data.ids import time_of

PAGE = """
    SELECT tweet.id, tweet.text, tweet.author_id, tweet.original_id,
        coalesce(metrics.like_count, 0), coalesce(metrics.retweet_count, 0),
        author.username, author.name, author.bio,
        counters.followers_count, counters.following_count, counters.tweet_count,
        original.text, original.author_id,
        coalesce(original_metrics.like_count, 0), coalesce(original_metrics.retweet_count, 0),
        original_author.username, original_author.name, original_author.bio,
        original_counters.followers_count, original_counters.following_count,
        original_counters.tweet_count,
        EXISTS (SELECT FROM tweets_like WHERE account_id = %(reader)s
            AND tweet_id = coalesce(tweet.original_id, tweet.id))
    FROM (
        SELECT newest.* FROM (
            SELECT followed_id AS id FROM accounts_follow WHERE follower_id = %(reader)s
            UNION ALL SELECT %(reader)s) AS followee
        CROSS JOIN LATERAL (
            SELECT id, author_id, text, original_id FROM tweets_tweet
            WHERE author_id = followee.id AND state = 0
            ORDER BY id DESC LIMIT 20) AS newest
        ORDER BY newest.id DESC LIMIT 20) AS tweet
    JOIN accounts_account AS author ON author.id = tweet.author_id
        AND author.suspended_at IS NULL AND author.deleted_at IS NULL
    LEFT JOIN accounts_accountcounters AS counters ON counters.account_id = author.id
    LEFT JOIN tweets_tweetmetrics AS metrics ON metrics.tweet_id = tweet.id
    LEFT JOIN tweets_tweet AS original ON original.id = tweet.original_id
    LEFT JOIN accounts_account AS original_author ON original_author.id = original.author_id
    LEFT JOIN accounts_accountcounters AS original_counters
        ON original_counters.account_id = original_author.id
    LEFT JOIN tweets_tweetmetrics AS original_metrics ON original_metrics.tweet_id = original.id
    ORDER BY tweet.id DESC"""


@lru_cache(maxsize=10_000)
def reader_of(authorization: str) -> int:
    """Return whose token it is; checked once."""
    return verify_access_token(authorization.removeprefix("Bearer ")).account_id


def home(request: HttpRequest) -> HttpResponse:
    """Return the newest 20 tweets of those whom the reader follows."""
    reader = reader_of(request.META["HTTP_AUTHORIZATION"])
    with connection.cursor() as cursor:
        cursor.execute(PAGE, {"reader": reader})
        rows = cursor.fetchall()
    return json_answer(orjson.dumps(_envelope(rows)))


def _envelope(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    data, users, originals, liked = [], {}, {}, []
    for row in rows:
        data.append(_tweet(row[0], row[1], row[2], row[3], row[4:6]))
        users[row[2]] = _user(row[2], row[6:12])
        if row[3]:
            originals[row[3]] = _tweet(row[3], row[12], row[13], None, row[14:16])
            users[row[13]] = _user(row[13], row[16:22])
        if row[22]:
            liked.append(str(row[3] or row[0]))
    return {
        "data": data,
        "includes": {"users": list(users.values()), "tweets": list(originals.values())},
        "viewer": {"liked": liked},
        "meta": {"result_count": len(data)},
    }


def _tweet(
    number: int, text: str, author_id: int, original_id: int | None, counts: tuple[int, ...]
) -> dict[str, Any]:
    return {
        "id": str(number),
        "text": text,
        "author_id": str(author_id),
        "created_at": time_of(number),
        "conversation_id": str(original_id or number),
        "referenced_tweets": [{"type": "retweeted", "id": str(original_id)}] if original_id else [],
        "public_metrics": {"like_count": counts[0], "retweet_count": counts[1]},
    }


def _user(number: int, columns: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "id": str(number),
        "username": columns[0],
        "name": columns[1],
        "bio": columns[2],
        "created_at": time_of(number),
        "public_metrics": {
            "followers_count": columns[3],
            "following_count": columns[4],
            "tweet_count": columns[5],
        },
    }


urlpatterns = [path("home", home), path("healthz", healthz)]
