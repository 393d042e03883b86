"""What is stored of what an account wrote and liked, as plain dicts, for whom it belongs to.

Reads Postgres only.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from tweets.models import FirstAnswer, Like, Tombstone, Tweet
from twitter.base.admin import audit
from twitter.base.data import keyset
from twitter.base.data.ids import time_of

Row = dict[str, Any]


def _tweets(account_id: int) -> Iterator[Row]:
    present = Tweet.objects.filter(author_id=account_id).exclude(state=Tweet.State.DELETED)
    for number, text, original_id, removed_at in keyset.walk(
        present, "text", "original_id", "removed_at"
    ):
        yield {
            "id": str(number),
            "text": text,
            "retweeted_id": original_id and str(original_id),
            "created_at": time_of(number),
            "hidden_at": removed_at,
        }


def _likes(account_id: int) -> Iterator[Row]:
    likes = Like.objects.filter(account_id=account_id)
    for (tweet_id,) in keyset.walk(likes, key="tweet_id"):
        yield {"tweet_id": str(tweet_id)}


def _removed_tweets(account_id: int) -> Iterator[Row]:
    tombstones = Tombstone.objects.filter(author_id=account_id)
    for tweet_id, removed_at in keyset.walk(tombstones, "removed_at", key="tweet_id"):
        yield {"tweet_id": str(tweet_id), "removed_at": removed_at}


def _first_answers(account_id: int) -> Iterator[Row]:
    answers = FirstAnswer.objects.filter(account_id=account_id)
    for _, key, created_at, body in keyset.walk(answers, "key", "created_at", "body"):
        yield {
            "idempotency_key": key,
            "created_at": created_at,
            "answer": json.loads(bytes(body)),
        }


def _audit_log(account_id: int) -> Iterator[Row]:
    own = Tweet.objects.filter(author_id=account_id).values_list(Cast("id", TextField()))
    return audit.rows(audit.about(Tweet, own))


LISTS: Mapping[str, Callable[[int], Iterator[Row]]] = {
    "tweets": _tweets,
    "likes": _likes,
    "removed_tweets": _removed_tweets,
    "first_answers": _first_answers,
    "audit_log_of_tweets": _audit_log,
}
