"""An author with many followers, all of whom have homes; and sorted sets to compare with.

Each follower follows the star and one of a few sources, who wrote what the homes hold. So one home
of each source's followers is built by the product itself, and the others are copies of it.
Homes and sets are made in an order of their own: who writes in the order in which they were made
has their memory in a row, which is faster and not how it is in life.
"""

import random
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from tests.bench.data import FIRST_TWEET, SEED, TWEET_STEP, follow, make_accounts, settle
from tests.bench.figures import say
from timelines.home import build, store
from timelines.home import services as timelines
from tweets.entries import Ref, id_of
from twitter.base.data import redis
from twitter.base.data.ids import id_at

HOME_KEY = store.KEY_PREFIX + "{%d}"
SET_KEY = "bench:set:%d"
BATCH = 1_000
# Accounts of this module begin here, counted in accounts; each star has its own part.
FIRST = 20_000_000
# Tweets of a source: some more than a home holds, so that it is cut like any other.
FULL = settings.HOME_SIZE + 20
LONGEST_CYCLE = 500


class Star:
    """The author, and the followers by id, each with a home.

    All that the sources wrote is older than the network's tweets: a search for the newest of these,
    from the newest of all downwards, does not meet it.

    `cycle` is the number of deliveries from one time that a home is cut to the next.
    """

    def __init__(self, letter: str, *, followers: int, sources: int, place: int) -> None:
        first = FIRST + place * 1_000_000
        self.id = make_accounts(f"{letter}star", count=1, first=first)[0]
        self._sources = make_accounts(f"{letter}src", count=sources, first=first + 10)
        self.followers = make_accounts(letter, count=followers, first=first + 1_000)
        self._first_tweet = id_at(datetime(2024, 12, 1 + place, tzinfo=UTC))
        follow((follower, self.id) for follower in self.followers)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO accounts_accountcounters VALUES (%s, %s, 0, 0)", [self.id, followers]
            )
        say(f"{followers:,} homes")
        self._build(0)
        to_first = self._grow_until_cut(FULL)
        self.cycle = self._grow_until_cut(FULL + to_first)
        # One source for each length that a home may have, if that are not too many.
        del self._sources[self.cycle :]
        for source in range(1, len(self._sources)):
            self._build(source)
            self._deliver(source, to_first + self.cycle * source // len(self._sources))
        self._copy_homes()
        settle()

    def _build(self, place: int) -> None:
        """Have the product build the home of a source's first follower."""
        follower = self.followers[place]
        self._write(place, range(FULL))
        follow([(follower, self._sources[place])])
        home = build.build_home(follower)
        if home is None or len(home.entries) != settings.HOME_SIZE:
            raise AssertionError(f"the home of {follower} is not full: {home}")

    def _deliver(self, place: int, count: int, *, begin: int = FULL) -> None:
        for tweet_id in self._write(place, range(begin, begin + count)):
            timelines.fan_out(Ref(tweet_id, self._sources[place]), after=0)

    def _grow_until_cut(self, begin: int) -> int:
        """Deliver to the first home until it is shorter than before; return how often."""
        key = HOME_KEY % self.followers[0]
        length, delivered = 0, 0
        while (now := int(redis.client().llen(key))) >= length:
            length = now
            self._deliver(0, 1, begin=begin + delivered)
            delivered += 1
            if delivered > LONGEST_CYCLE:
                raise AssertionError(f"{key} is not cut after {delivered} deliveries")
        return delivered

    def _copy_homes(self) -> None:
        count = len(self._sources)
        numbers = list(range(count, len(self.followers)))
        follow((self.followers[number], self._sources[number % count]) for number in numbers)
        random.Random(SEED).shuffle(numbers)
        for batch in _batches(numbers):
            pipeline = redis.client().pipeline(transaction=False)
            for number in batch:
                source = HOME_KEY % self.followers[number % count]
                pipeline.copy(source, HOME_KEY % self.followers[number], replace=True)
            pipeline.execute()

    def _write(self, place: int, numbers: range) -> list[int]:
        """Store tweets of a source; return their ids, in order."""
        with connection.cursor() as cursor:
            cursor.execute(
                """INSERT INTO tweets_tweet (id, author_id, text, state)
                SELECT %s + (i * %s + %s) * %s, %s, 'The daily report, number ' || i, 0
                FROM generate_series(%s::bigint, %s - 1) AS i RETURNING id""",
                [
                    *(self._first_tweet, LONGEST_CYCLE, place, TWEET_STEP, self._sources[place]),
                    *(numbers.start, numbers.stop),
                ],
            )
            return [row[0] for row in cursor.fetchall()]

    def keep_homes(self, count: int) -> None:
        """Delete the followers' homes but `count` of them."""
        for batch in _batches(self.followers[count:]):
            store.drop(list(batch))

    def homes_with(self, tweet_id: int, *, sample: int) -> float:
        """Return in what part of a sample of the homes a tweet is, the last one among them."""
        chosen = [*random.Random(tweet_id).sample(self.followers, sample - 1), self.followers[-1]]
        return sum(has(follower, tweet_id) for follower in chosen) / sample


def has(account_id: int, tweet_id: int) -> bool:
    """Tell whether a tweet is in an account's home."""
    home = store.peek(account_id)
    return home is not None and any(id_of(entry) == tweet_id for entry in home.entries)


def memory(key: str) -> int:
    """Return the bytes that a key takes, every element looked at."""
    return int(redis.client().memory_usage(key, samples=0) or 0)


class SortedSets:
    """As many sorted sets as followers, or as memory allows, of the size of a home."""

    def __init__(self, star: Star, *, count: int) -> None:
        self.members = settings.HOME_SIZE
        self.owners = star.followers[:count]
        say(f"{count:,} sorted sets")
        first = self.owners[0]
        ids = [FIRST_TWEET + number * TWEET_STEP for number in range(self.members)]
        redis.client().zadd(SET_KEY % first, {str(each): each for each in ids})
        shuffled = list(self.owners[1:])
        random.Random(SEED + 1).shuffle(shuffled)
        for batch in _batches(shuffled):
            pipeline = redis.client().pipeline(transaction=False)
            for owner in batch:
                pipeline.copy(SET_KEY % first, SET_KEY % owner)
            pipeline.execute()
        self._socket = _raw_connection()
        self._newest = ids[-1]

    def deliver(self) -> float:
        """Add one more member to each, by owner; return how many a second.

        Commands are made before the clock starts; answers are counted, not parsed.
        """
        self._newest += TWEET_STEP
        number = b"%d" % self._newest
        value = b"$%d\r\n%s\r\n" % (len(number), number)
        pieces = []
        for batch in _batches(self.owners):
            keys = [(SET_KEY % owner).encode() for owner in batch]
            head = b"*4\r\n$4\r\nZADD\r\n"
            pieces.append(
                b"".join(head + b"$%d\r\n%s\r\n" % (len(k), k) + value + value for k in keys)
            )
        begun = time.perf_counter()
        for position, piece in enumerate(pieces):
            self._socket.sendall(piece)
            answers = 4 * len(self.owners[position * BATCH : (position + 1) * BATCH])  # `:1\r\n`
            while answers > 0:
                answers -= len(self._socket.recv(1 << 16))
        seconds = time.perf_counter() - begun
        if answers != 0:
            raise AssertionError("ZADD did not add")
        return len(self.owners) / seconds

    def delete(self) -> None:
        """Delete all of them."""
        for batch in _batches(self.owners):
            redis.client().unlink(*(SET_KEY % owner for owner in batch))


def _raw_connection() -> socket.socket:
    """Return a connection to Valkey that leaves answers as they are."""
    url = urlsplit(settings.REDIS_URL)
    raw = socket.create_connection((url.hostname, url.port))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.sendall(f"AUTH {url.password}\r\nSELECT {url.path.strip('/') or 0}\r\n".encode())
    answer = b""
    while answer.count(b"\r\n") < 2:
        answer += raw.recv(100)
    if answer != b"+OK\r\n+OK\r\n":
        raise AssertionError(f"Valkey does not let the bench in: {answer!r}")
    return raw


def _batches(items: Sequence[int]) -> list[Sequence[int]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
