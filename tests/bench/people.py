"""Many people, most of whom read: the accounts, follows, tweets and homes of the population.

How many each follows, and whom, is like a real follow graph (26,640 accounts, 151,843 follows of
Twitter): its quantiles are here, not the graph. They are stretched to what a service has whose
people all read: at least 5 followees, 46 on average.

Homes are written in bulk, by the functions with which the service itself completes a build, and
have the entries that it would have found. `verify_timelines` compares them with PostgreSQL.
"""

import random
import statistics
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise

from django.conf import settings
from django.db import connection

from accounts import facade as accounts
from tests.bench.data import SEED, follow, in_bulk, make_accounts, write_tweets
from tests.bench.figures import Figure, say
from tests.bench.followers import HOME_KEY, memory
from tests.bench.scale import Scale
from timelines.home import build, store
from tweets.entries import TWEET_SIZE, Entry, Ref, ref_of
from tweets.posts import reads
from twitter.base.data import redis
from twitter.base.data.ids import id_at

# Accounts begin here, counted in accounts, and tweets here: both apart from all others'.
FIRST = 30_000_000
FIRST_TWEET = id_at(datetime(2025, 3, 1, tzinfo=UTC))
# Up to which part of those who follow anybody has how many followees.
FOLLOWEES = {
    0.0: 1, 0.2: 1, 0.4: 2, 0.5: 2, 0.6: 3, 0.7: 4, 0.75: 5, 0.8: 6, 0.85: 8, 0.9: 12,
    0.95: 20, 0.97: 29, 0.98: 37, 0.99: 55, 0.995: 81, 0.999: 286, 1.0: 1_329,
}  # fmt: skip
LEAST, STRETCH = 5, 7.7
MOST = 5_000  # FOLLOWING_MAX
# The most followed of 26,640 accounts, so many, have which part of all follows.
FOLLOWED = {
    0: 0.0, 1: 0.023, 2: 0.043, 5: 0.09, 10: 0.15, 20: 0.216, 50: 0.331, 100: 0.43, 200: 0.522,
    500: 0.652, 1_000: 0.747, 2_000: 0.835, 5_000: 0.93, 10_000: 0.978, 26_640: 1.0,
}  # fmt: skip
OF_ACCOUNTS = 26_640
# So many followees are drawn by that, the others from all: friends. With the graph's alone, where
# half of the accounts have hardly a follower, all would read the same tweets.
BY_POPULARITY = 0.4
STEPS = 10_000  # in which popularity is drawn
RETWEETS = 5  # of so many tweets one
PAGE = 20
HOMES = 20  # whose memory is measured
BATCH = 1_000


@dataclass(frozen=True, kw_only=True)
class People:
    """`readers` and `authors` are account ids; `authors` write posts, in this order.

    `different`: tweets on all first pages together, originals among them. `deliveries`: of a post,
    on average.
    """

    readers: Sequence[int]
    authors: Sequence[int]
    different: int
    deliveries: float


def make(scale: Scale) -> People:
    """Make all of them, with homes, tweets and cards in Redis.

    What Redis knows of a reader alone (state, relations, marks) comes with the first read.
    """
    say(f"{scale.people:,} accounts and their follows")
    ids = make_accounts("p", count=scale.people, first=FIRST)
    dice = random.Random(SEED)
    followees = _followees(scale.people, dice)
    with in_bulk("accounts_followers", "accounts_following"):
        follow((ids[one], ids[other]) for one, others in enumerate(followees) for other in others)
    say(f"{scale.people_tweets:,} tweets")
    busiest = dice.sample(ids, len(ids))
    write_tweets(
        busiest,
        begin=0,
        end=scale.people_tweets,
        first=FIRST_TWEET,
        retweets=RETWEETS,
        of_all=True,
    )
    chosen = sorted(dice.sample(range(scale.people), scale.people_readers))
    say(f"{len(chosen):,} homes")
    entries = _entries(ids)
    shown: set[int] = set()
    for one in chosen:
        newest = _newest([one, *followees[one]], entries)
        _write_home(ids[one], newest)
        for ref in map(ref_of, newest[:PAGE]):
            shown.update((ref.id, ref.original_id))
    shown.discard(0)
    say(f"{len(shown):,} tweets and all cards into Redis")
    _fill(shown, ids)
    followers = Counter(other for others in followees for other in others)
    authors = _authors(_counts(ids), followers, scale.people_posts)
    people = People(
        readers=[ids[one] for one in chosen],
        authors=[ids[author] for author in authors],
        different=len(shown),
        deliveries=statistics.fmean(followers[author] for author in authors),
    )
    _check(people, scale)
    return people


def _check(people: People, scale: Scale) -> None:
    if people.different < scale.different:
        raise AssertionError(f"first pages hold {people.different:,} different tweets only")
    if people.deliveries < scale.deliveries:
        raise AssertionError(f"a post has {people.deliveries:.1f} deliveries only")


def _followees(count: int, dice: random.Random) -> list[list[int]]:
    """Return whom each follows, as places among the accounts."""
    quantiles = [_between(FOLLOWEES, (place + 0.5) / count) for place in range(count)]
    most = min(MOST, count // 3)
    sizes = [min(int(LEAST + (quantile - 1) * STRETCH), most) for quantile in quantiles]
    dice.shuffle(sizes)
    drawn = _drawn(count, dice)
    return [_different(size, one, drawn) for one, size in enumerate(sizes)]


def _between(table: Mapping[float, float], at: float) -> float:
    """Return what a table says, whose keys come in order, or what lies between two of its rows."""
    keys = list(table)
    above = min(bisect_right(keys, at), len(keys) - 1)
    low, high = keys[above - 1], keys[above]
    return table[low] + (table[high] - table[low]) * (at - low) / (high - low)


def _different(size: int, one: int, drawn: Iterator[int]) -> list[int]:
    """Return the first `size` drawn that are different, and not `one`."""
    found: dict[int, None] = {}
    while len(found) < size:
        found.update(dict.fromkeys(islice(drawn, size - len(found))))
        found.pop(one, None)
    return list(found)


def _drawn(count: int, dice: random.Random) -> Iterator[int]:
    """Yield followees as they are drawn, for ever."""
    places = dice.sample(range(count), count)  # the most popular first
    ranks = {part: rank * count / OF_ACCOUNTS for rank, part in FOLLOWED.items()}
    popular = [int(_between(ranks, place / STEPS)) for place in range(STEPS)]
    low, high = popular, [*popular[1:], count]
    roll = dice.random
    while True:
        if roll() < BY_POPULARITY:
            step = int(roll() * STEPS)
            place = low[step] + int(roll() * (high[step] - low[step]))
        else:
            place = int(roll() * count)
        yield places[place]


def _entries(ids: Sequence[int]) -> list[list[Entry]]:
    """Return the newest entries of each account, newest first, as many as a home takes."""
    entries: list[list[Entry]] = [[] for _ in ids]
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT tweet.id, tweet.author_id, coalesce(original.id, 0),
                coalesce(original.author_id, 0)
            FROM tweets_tweet AS tweet LEFT JOIN tweets_tweet AS original
                ON original.id = tweet.original_id
            WHERE tweet.author_id BETWEEN %s AND %s ORDER BY tweet.id DESC""",
            [ids[0], ids[-1]],
        )
        while rows := cursor.fetchmany(10_000):
            for row in rows:
                own = entries[bisect_left(ids, row[1])]
                if len(own) < build.FIRST_SIZE:
                    own.append(Ref(*row).entry)
    return entries


def _newest(authors: Sequence[int], entries: Sequence[Sequence[Entry]]) -> list[Entry]:
    """Return the newest entries of these authors, newest first, as many as a build finds."""
    found = [entry for author in authors for entry in entries[author]]
    found.sort(reverse=True)
    return found[: build.FIRST_SIZE]


def _write_home(reader_id: int, entries: Sequence[Entry]) -> None:
    name = store.begin_build(reader_id)
    if name is None:
        raise AssertionError(f"{reader_id} has a home already")
    floor = build.floor_of(entries, limit=build.FIRST_SIZE)
    store.complete_build(account_id=reader_id, build=name, entries=entries, floor=floor)


def _fill(tweet_ids: set[int], account_ids: Sequence[int]) -> None:
    for batch in _batches(sorted(tweet_ids)):
        reads.filled(batch)
    for batch in _batches(account_ids):
        accounts.filled_cards(batch)
    info = redis.client().info("memory")
    say(f"Valkey has {info['used_memory'] / 2**20:,.0f} MB")


def _counts(ids: Sequence[int]) -> list[int]:
    """Return how many tweets each account has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT author_id, count(*) FROM tweets_tweet"
            " WHERE author_id BETWEEN %s AND %s GROUP BY author_id",
            [ids[0], ids[-1]],
        )
        counts = dict(cursor.fetchall())
    return [counts.get(one, 0) for one in ids]


def _authors(tweets: Sequence[int], followers: Mapping[int, int], count: int) -> list[int]:
    """Return the authors of `count` posts, drawn by their tweets.

    All tweets lie in a row by their authors' followers, and the row is cut into as many pieces: of
    each the author nearest to the piece's mean. So a short row of posts has the same deliveries, on
    average, as all tweets; drawn by lot, it would hang on one or two authors.
    """
    writers = sorted((one for one, wrote in enumerate(tweets) if wrote), key=followers.__getitem__)
    reach = [followers[one] for one in writers]
    row = [followers[one] for one in writers for _ in range(tweets[one])]
    cuts = [len(row) * piece // count for piece in range(count + 1)]
    means = [statistics.fmean(row[start:end]) for start, end in pairwise(cuts)]
    drawn = [writers[min(bisect_left(reach, mean), len(reach) - 1)] for mean in means]
    random.Random(SEED).shuffle(drawn)
    return drawn


def memory_of_a_home(crowd: People) -> Figure:
    """Return what a home of HOME_SIZE entries takes: of the first readers who have so many."""
    taken, retweets = [], []
    for reader_id in crowd.readers:
        home = build.rebuild_home(reader_id)
        if home and len(home.entries) == settings.HOME_SIZE:
            taken.append(memory(HOME_KEY % reader_id))
            retweets.append(statistics.fmean(len(each) > TWEET_SIZE for each in home.entries))
            if len(taken) == HOMES:
                break
    return Figure(
        name="bytes_of_a_home",
        title=f"memory of a home of {settings.HOME_SIZE} entries that say all",
        unit="bytes",
        rounds=taken,
        target=10_240,
        most=True,
        detail=f"{len(taken)} homes, {statistics.fmean(retweets or [0]):.0%} retweets",
    )


def _batches(items: Sequence[int]) -> Iterator[Sequence[int]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
