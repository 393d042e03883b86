"""`manage.py demo`: a small living network to look at."""

import os
import random
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import facade as accounts
from tweets.posts import importing
from tweets.reactions import services
from twitter.base.arguments import whole_number

PEOPLE = (
    ("ada", "Ada (⌐■_■)", "I write programs for machines that do not exist yet."),
    ("grace", "Grace ¯\\_(ツ)_/¯", "It is easier to ask forgiveness than permission."),
    ("alan", "Alan (•_•)", "Can machines think? Can we?"),
    ("hedy", "Hedy (◕‿◕)", "Films by day, frequency hopping by night."),
    ("linus", "Linus (ಠ_ಠ)", "Talk is cheap."),
    ("margaret", "Margaret ᕙ(⇀‸↼)ᕗ", "My code went to the moon."),
    ("edsger", "Edsger (-‸ლ)", "Simplicity is a prerequisite of reliability."),
    ("barbara", "Barbara (✿◠‿◠)", "Abstraction, substitution, tea."),
    ("donald", "Donald (￣ー￣)", "Only proved it correct, not tried it."),
    ("radia", "Radia ٩(◕‿◕)۶", "I think that I shall never see a graph more lovely than a tree."),
    ("ken", "Ken (¬‿¬)", "When in doubt, use brute force."),
    ("frances", "Frances (｡◕‿◕｡)", "Optimising since 1957."),
)
OPENINGS = (
    "Today I learned:", "Unpopular opinion:", "Reminder:", "Note to self:", "Good morning!",
    "Hot take:", "Question for the timeline:", "Small victory:", "Breaking:",
)  # fmt: skip
THOUGHTS = (
    "a cache is a promise that you will forget to keep",
    "the queue is empty and so is my coffee cup",
    "naming things is hard, naming cats is harder 🐈",
    "there are two kinds of people, and I follow both",
    "nobody ever regretted deleting code",
    "my favourite data structure is the list of excuses",
    "exactly once is a state of mind",
    "the fastest query is the one you do not make",
    "every timeline has its own time",
    "測るまで速いとは言わない",
    "il buono, il brutto e il cache miss",
    "wer misst, misst Mist, sagt man",
)
TAGS = ("", "", "", " #devlife", " #postgres", " #redis", " #python", " #timeline")


class Command(BaseCommand):
    help = (
        "Make a small network: people, follows, tweets, retweets and likes, always the same for a"
        " --seed. Does nothing when it is there already. With DEMO_PASSWORD one can log in as"
        " `demo`, with ADMIN_PASSWORD as `admin` in the Django admin."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--tweets",
            type=whole_number(least=1, most=100_000),
            default=150,
            help="so many tweets (150)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        admin_password = os.environ.get("ADMIN_PASSWORD")
        if admin_password and accounts.resolve_username("admin") is None:
            accounts.create_admin(username="admin", password=admin_password)
        if accounts.resolve_username("demo") is not None:
            self.stdout.write("The demo network is there already.")
            return
        password = os.environ.get("DEMO_PASSWORD")
        if not password:
            raise CommandError("Set DEMO_PASSWORD, the password of the user `demo`.")
        dice = random.Random(options["seed"])  # noqa: S311 - no secret hangs on it
        demo_id, people = _people(dice, password)
        tweet_ids = _tweets(dice, people, options["tweets"])
        _reactions(dice, demo_id, people, tweet_ids)
        self.stdout.write(f"{len(people) + 1} people and {len(tweet_ids)} tweets made.")


def _people(dice: random.Random, password: str) -> tuple[int, list[int]]:
    """Sign people up, let them follow each other; `demo`, which signs up last, follows most."""
    people = [
        accounts.sign_up(
            username=username, email=f"{username}@example.com", password=None, name=name, bio=bio
        )
        for username, name, bio in PEOPLE
    ]
    for follower_id in people:
        for followed_id in dice.sample(people, 6):
            if followed_id != follower_id:
                accounts.follow(follower_id=follower_id, followed_id=followed_id)
    demo_id = accounts.sign_up(
        username="demo",
        email="demo@example.com",
        password=password,
        name="Demo (ﾉ◕ヮ◕)ﾉ*:･ﾟ✧",
        bio="Log in as me and look around.",
    )
    for followed_id in people[:10]:
        accounts.follow(follower_id=demo_id, followed_id=followed_id)
    for follower_id in people[:5]:
        accounts.follow(follower_id=follower_id, followed_id=demo_id)
    return demo_id, people


def _tweets(dice: random.Random, people: list[int], count: int) -> list[int]:
    now = timezone.now()
    batch = [
        importing.OldTweet(
            author_id=dice.choice(people),
            text=f"{dice.choice(OPENINGS)} {dice.choice(THOUGHTS)}{dice.choice(TAGS)}",
            posted_at=now - timedelta(minutes=dice.uniform(10, 3 * 24 * 60)),
        )
        for _ in range(count)
    ]
    tweet_ids = importing.import_batch(batch)
    importing.end_import()
    return tweet_ids


def _reactions(dice: random.Random, demo_id: int, people: list[int], tweet_ids: list[int]) -> None:
    for tweet_id in dice.sample(tweet_ids, len(tweet_ids) // 2):
        for account_id in dice.sample([*people, demo_id], dice.randint(1, 6)):
            services.like(account_id=account_id, tweet_id=tweet_id)
    for tweet_id in dice.sample(tweet_ids, len(tweet_ids) // 10):
        services.retweet(account_id=dice.choice(people), tweet_id=tweet_id)
