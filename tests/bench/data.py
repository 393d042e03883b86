"""The network that is measured: always the same accounts, follows, tweets and likes.

Built in bulk, by SQL; what the services would have counted is counted here. Ids are made for fixed
moments in the past, so a run's data does not depend on when or where it runs.
"""

import contextlib
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from accounts.sessions.tokens import issue_access_token
from tests.bench.scale import Scale
from twitter.base.data import redis
from twitter.base.data.ids import SEQUENCE_BITS, id_at

SEED = 20_260_101
FIRST_ACCOUNT = id_at(datetime(2024, 6, 1, tzinfo=UTC))
FIRST_TWEET = id_at(datetime(2025, 1, 1, tzinfo=UTC))
TWEET_STEP = 100 << SEQUENCE_BITS  # ten tweets a second
ACCOUNT_STEP = 1_000 << SEQUENCE_BITS
TEXTS = 2_000

# Of so many tweets one is a retweet, and of five one has likes. Authors differ in how much they
# write: the place of an author is the square of an even random number.
_TWEETS = """
    INSERT INTO tweets_tweet (id, author_id, text, original_id, state)
    SELECT %(first)s + i * %(step)s,
        (%(authors)s::bigint[])[1 + floor(%(count)s * power(dice, 2))::int],
        CASE WHEN is_retweet THEN '' ELSE (%(texts)s::text[])[1 + i %% %(text_count)s] END,
        CASE WHEN is_retweet THEN %(first)s + original * %(step)s END, 0
    FROM generate_series(%(begin)s::bigint, %(end)s::bigint - 1) AS i
    CROSS JOIN LATERAL (SELECT
        (hashint8extended(i, 1) & 1048575) / 1048576.0 AS dice,
        i %% %(retweets)s = 3 AND i >= %(begin)s + 100 AS is_retweet,
        CASE WHEN %(of_all)s THEN %(retweets)s * floor(i / %(retweets)s
            * (hashint8extended(i, 5) & 1048575) / 1048576.0)::bigint + 2
        ELSE i - 1 - 10 * (i %% 7) END AS original) AS made
    ON CONFLICT DO NOTHING"""

_LIKES = """
    INSERT INTO tweets_like (account_id, tweet_id)
    SELECT (%(authors)s::bigint[])[1 + (hashint8extended(i, liker) & 1048575) %% %(count)s],
        %(first)s + i * %(step)s
    FROM generate_series(%(begin)s::bigint, %(end)s::bigint - 1, 5) AS i
    CROSS JOIN generate_series(2, 4) AS liker
    ON CONFLICT DO NOTHING"""

_METRICS = """
    INSERT INTO tweets_tweetmetrics (tweet_id, like_count, retweet_count)
    SELECT tweet_id, sum(liked), sum(retweeted) FROM (
        SELECT tweet_id, 1, 0 FROM tweets_like WHERE tweet_id >= %(since)s AND tweet_id < %(until)s
        UNION ALL
        SELECT original_id, 0, 1 FROM tweets_tweet
        WHERE id >= %(since)s AND id < %(until)s AND original_id IS NOT NULL
    ) AS one (tweet_id, liked, retweeted)
    GROUP BY tweet_id"""

_COUNTERS = """
    INSERT INTO accounts_accountcounters
        (account_id, followers_count, following_count, tweet_count)
    SELECT account_id, sum(followers), sum(following), sum(tweets) FROM (
        SELECT followed_id, 1, 0, 0 FROM accounts_follow
        UNION ALL SELECT follower_id, 0, 1, 0 FROM accounts_follow
        UNION ALL SELECT author_id, 0, 0, 1 FROM tweets_tweet
    ) AS one (account_id, followers, following, tweets)
    GROUP BY account_id
    ON CONFLICT (account_id) DO UPDATE SET followers_count = excluded.followers_count,
        following_count = excluded.following_count, tweet_count = excluded.tweet_count"""

_ACCOUNTS = """
    INSERT INTO accounts_account
        (id, username, name, bio, password, is_staff, is_superuser, token_generation)
    SELECT %(first)s + i * %(step)s, %(letter)s || i, 'Person ' || i, %(bio)s, '!', false, false, 0
    FROM generate_series(0::bigint, %(count)s - 1) AS i
    RETURNING id"""


class Network:
    """The accounts of the network.

    `population`: authors, the busiest first; `readers` have `scale.followees` followees, in a graph
    or more; `typical` are those of them who have not many more; `tiers`: readers by followees.
    """

    def __init__(self, *, scale: Scale, graph: Path | None) -> None:
        self.scale = scale
        self.tweets = 0
        self._dice = random.Random(SEED)
        if graph:
            self.population = self._import(graph)
            followees = self._readers_of_the_graph()
            self.readers = list(followees)
            most = scale.followees * 5 // 4
            typical = [reader for reader, count in followees.items() if count <= most]
            self.typical = typical or self.readers
        else:
            self.population = make_accounts("b", count=scale.accounts)
            self.readers = self.population[:: scale.accounts // scale.readers][: scale.readers]
            follow(
                (reader, followed)
                for reader in self.readers
                for followed in self._dice.sample(self.population, scale.followees)
                if followed != reader
            )
            self.typical = self.readers
        special = make_accounts("tier", count=len(scale.tiers), first=10_000_000)
        self.tiers = dict(zip(scale.tiers, special, strict=True))
        follow(
            (reader, followed)
            for count, reader in self.tiers.items()
            for followed in self.population[:count]
        )

    def grow(self, tweets: int) -> None:
        """Have so many tweets in all. Empties the cache: nothing of it tells of the new ones."""
        write_tweets(self.population, begin=self.tweets, end=tweets)
        self.tweets = tweets
        empty_cache()

    def _import(self, graph: Path) -> list[int]:
        call_command("import_graph", str(graph), verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(  # whom many follow writes much
                """SELECT account_id FROM accounts_importedaccount
                LEFT JOIN accounts_accountcounters USING (account_id)
                ORDER BY followers_count DESC NULLS LAST, external_id"""
            )
            return [row[0] for row in cursor.fetchall()]

    def _readers_of_the_graph(self) -> dict[int, int]:
        """Return the followees of each."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT follower_id, count(*) FROM accounts_follow GROUP BY follower_id"
                " HAVING count(*) >= %s ORDER BY follower_id",
                [self.scale.followees],
            )
            found = cursor.fetchall()
        return dict(self._dice.sample(found, min(len(found), self.scale.readers)))


def make_accounts(letter: str, *, count: int, first: int = 0) -> list[int]:
    """Store accounts without passwords, named by letter and number; return their ids, in order.

    `first` says where their ids begin, counted in accounts.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _ACCOUNTS,
            {
                "first": FIRST_ACCOUNT + first * ACCOUNT_STEP,
                "step": ACCOUNT_STEP,
                "letter": letter,
                "bio": "Writes and reads, day in, day out, so that it can be measured.",
                "count": count,
            },
        )
        return sorted(row[0] for row in cursor.fetchall())


def follow(pairs: Iterable[tuple[int, int]]) -> None:
    """Store follows: pairs of follower and followed."""
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY accounts_follow (follower_id, followed_id) FROM STDIN") as copy,
    ):
        for pair in pairs:
            copy.write_row(pair)


def write_tweets(
    authors: Sequence[int],
    *,
    begin: int,
    end: int,
    first: int = FIRST_TWEET,
    retweets: int = 10,
    of_all: bool = False,
) -> None:
    """Store the tweets from number `begin` to `end`, with likes and counts.

    `authors`: those who write most come first. `first`: the id of tweet 0. Of `retweets` tweets one
    is a retweet: `of_all` before it, or of one of the last.
    """
    parameters: dict[str, Any] = {
        "first": first,
        "step": TWEET_STEP,
        "authors": list(authors),
        "count": len(authors),
        "texts": texts(),
        "text_count": TEXTS,
        "begin": begin,
        "end": end,
        "since": first + begin * TWEET_STEP,
        "until": first + end * TWEET_STEP,
        "retweets": retweets,
        "of_all": of_all,
    }
    with in_bulk("tweet_text_search"), connection.cursor() as cursor:
        for statement in (_TWEETS, _LIKES, _METRICS, _COUNTERS):
            cursor.execute(statement, parameters)
    settle()


@contextlib.contextmanager
def in_bulk(*indexes: str) -> Iterator[None]:
    """Store much without these indexes, which are faster made at once, and without triggers.

    No foreign key is checked: every id has to be right by construction.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = ANY(%s)", [list(indexes)])
        definitions = [row[0] for row in cursor.fetchall()]
        for index in indexes:
            cursor.execute(f"DROP INDEX {index}")
        yield
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for definition in definitions:
            cursor.execute(definition)
        cursor.execute("RESET session_replication_role")


def settle() -> None:
    """Leave the database as it would be in time: statistics made, pages visible and on disk."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def copy_database(name: str) -> str:
    """Copy the database, which must not be in use, as it is now; return the copy's URL."""
    connection.close()
    source = connection.settings_dict["NAME"]
    with psycopg.connect(os.environ["DATABASE_URL"], dbname="postgres", autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(source)
            )
        )
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def redis_database(number: int) -> str:
    """Return the URL of another database of the same Redis."""
    return urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}").geturl()


def empty_cache() -> None:
    """Empty the cache and the homes; queues are in another database."""
    redis.client().flushdb()


def tokens(account_ids: Sequence[int]) -> list[str]:
    """Return an access token, good for 15 minutes, for each account."""
    return [
        issue_access_token(account_id=account_id, session_id=1, generation=0)
        for account_id in account_ids
    ]


def texts() -> list[str]:
    """Return the texts that tweets have: 40 to 240 characters, some with tags and mentions."""
    dice = random.Random(SEED)
    words = (
        "a an and as at be but by can day do for from get go have he her if in it just know like"
        " love me my new no not of on one or out people see she so that the they this time to"
        " today up was we what when who will with work world you your déjà 東京 naïve 🎉 ☕"
    )
    vocabulary = words.split()
    made = []
    for number in range(TEXTS):
        text = " ".join(dice.choice(vocabulary) for _ in range(dice.randint(10, 50)))[:200]
        if number % 4 == 0:
            text += f" #{dice.choice(('news', 'music', 'django', 'postgres', 'coffee'))}"
        if number % 5 == 0:
            text += f" @b{dice.randrange(600)}"
        if number % 16 == 0:
            text += f" https://example.com/{number}"
        made.append(text)
    return made
