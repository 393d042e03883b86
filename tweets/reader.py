"""The account that reads, and what is known of it before a page is made."""

from collections.abc import Collection, Sequence
from typing import Any

from accounts import facade as accounts
from accounts.facade import Relations
from tweets.reactions import marks
from tweets.reactions.marks import Marks
from twitter.base.data import parts, redis
from twitter.base.data.parts import Part

Known = tuple[Relations | None, Marks | None]


class Reader:
    """An account that reads, with its relations and its marks.

    If relations or marks are not cached, one statement reads them when they are asked for, and they
    are cached then.
    """

    def __init__(self, account_id: int, known: Known) -> None:
        self.id = account_id
        self._relations, self._marks = known

    @property
    def relations(self) -> Relations:
        """The reader's relations."""
        if self._relations is None:
            self._relations = accounts.filled_relations(self.id)
        return self._relations

    def marks_of(self, tweet_ids: Collection[int]) -> Marks:
        """Return marks that cover these tweets: without SQL, unless some of the tweets are old."""
        known = self._marks or marks.filled(self.id)
        self._marks = marks.knowing(self.id, known, tweet_ids=tweet_ids)
        return self._marks


def reader_part(account_id: int) -> Part[Known]:
    """Return the part that reads what is cached of a reader."""
    relations, marked = accounts.relations_part(account_id), marks.marks_part(account_id)
    end = len(relations.commands)

    def parse(replies: Sequence[Any]) -> Known:
        return relations.parse(replies[:end]), marked.parse(replies[end:])

    return Part([*relations.commands, *marked.commands], parse)


def reader(account_id: int) -> Reader:
    """Return the reader, with what is cached, in one round trip."""
    return Reader(account_id, _known(account_id))


@redis.without_redis(lambda: (None, None))
def _known(account_id: int) -> Known:
    return parts.fetch(reader_part(account_id))
