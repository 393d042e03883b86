"""How much of everything: the bench as it counts, and a small one that only shows that it runs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes and durations. `tweets` and `followees` are the steps of the two growths."""

    name: str
    accounts: int
    readers: int
    followees: int
    tweets: tuple[int, ...]
    tiers: tuple[int, ...]
    rounds: int
    seconds: float
    sequential: int  # requests, one after the other, of a round
    followers: int
    sources: int  # at most, of what the followers' homes hold
    fan_outs: int  # rounds of these, which are short and differ much
    sets: int  # at most so many sorted sets; at least a tenth, or as memory allows
    fresh_followers: int
    posts: int  # whose way to the last follower is timed
    writes: int  # requests of a round
    calls: int  # of the WSGI application, in a round
    people: int  # accounts of the population
    people_readers: int
    people_tweets: int
    people_posts: int  # authors of posts drawn, one after the other
    different: int  # tweets on all first pages together, at least
    deliveries: int  # of a post, on average, at least
    mix_seconds: float


FULL = Scale(
    name="full",
    accounts=6_000,
    readers=500,
    followees=100,
    tweets=(10_000, 100_000, 1_000_000),
    tiers=(10, 100, 1_000, 5_000),
    rounds=5,
    seconds=2.5,
    sequential=400,
    followers=100_000,
    sources=256,
    fan_outs=15,
    sets=100_000,
    fresh_followers=10_000,
    posts=60,
    writes=1_024,
    calls=1_000,
    people=60_000,
    people_readers=50_000,
    people_tweets=600_000,
    people_posts=2_048,
    different=200_000,
    deliveries=40,
    mix_seconds=4.0,
)

QUICK = Scale(
    name="quick",
    accounts=600,
    readers=20,
    followees=50,
    tweets=(10_000, 12_000, 15_000),
    tiers=(10, 50, 300, 500),
    rounds=2,
    seconds=0.2,
    sequential=8,
    followers=500,
    sources=4,
    fan_outs=2,
    sets=100,
    fresh_followers=200,
    posts=5,
    writes=64,
    calls=100,
    people=600,
    people_readers=500,
    people_tweets=6_000,
    people_posts=64,
    different=1_000,
    deliveries=5,
    mix_seconds=0.3,
)
