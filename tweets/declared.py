"""What a subject of tweets declares, besides what every subject does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twitter.base import declared


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that a reader does to tweets. Answers name the tweets in `viewer`.

    `newest` and `asked` are SQL that selects the ids of tweets that the account %(reader)s marked.
    `newest` selects those of the newest %(newest)s tweets, newest first unless `floor` is given;
    `asked` those among the tweets %(asked)s.
    `floor` is SQL for the id above which `newest` has all marked tweets, NULL if it has all.
    Without `floor`, that is the last id of `newest`, if it is full. `with_query`: a WITH query that
    both refer to.
    """

    name: str
    help_text: str
    newest: str
    asked: str
    floor: str = "NULL::bigint"
    with_query: str = ""


def mark_of_rows(name: str, *, table: str, help_text: str) -> Mark:
    """Return a mark whose table has a row for each account and marked tweet."""
    own = f"SELECT tweet_id FROM {table} WHERE account_id = %(reader)s"
    return Mark(
        name=name,
        help_text=help_text,
        newest=f"{own} ORDER BY tweet_id DESC LIMIT %(newest)s",
        asked=f"{own} AND tweet_id = ANY(%(asked)s)",
    )


@dataclass(frozen=True, kw_only=True)
class Subject(declared.Subject):
    """What a subject has of tweets.

    `erase_of_tweets`: each function takes the ids of deleted tweets, does one bounded step within
    the running transaction, and returns how much it found.
    """

    erase_of_tweets: Sequence[Callable[[Sequence[int]], int]] = ()
