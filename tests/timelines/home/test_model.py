"""Home timelines against a naive model: whatever people do, and however late the workers are.

Deliveries run when they like, in any order, twice, or are killed before they are settled; homes
expire, and Redis loses everything. At every moment a reader sees nothing that may not be seen and
all that is the reader's own; when the queues are quiet, exactly what the model says.

MODEL_EXAMPLES runs as many random histories instead of some that are always the same.
"""

import json
import os
from dataclasses import dataclass, field
from itertools import permutations

import hypothesis.strategies as st
import pytest
from celery import current_app
from django.test import Client
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.graph import services as graph_services
from accounts.models import Account
from accounts.moderation import services as moderation_services
from accounts.people import services as people_services
from accounts.sessions.tokens import issue_access_token
from timelines.home import store
from timelines.home.verification import difference
from tweets.models import Tweet
from tweets.posts import services as posts_services
from tweets.reactions import services as reactions_services
from tweets.text import parse
from twitter.base.data import redis
from twitter.outbox import events
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.usefixtures("commits")

EXAMPLES = os.environ.get("MODEL_EXAMPLES")
PEOPLE = 4
someone = st.integers(0, PEOPLE - 1)
two = st.permutations(range(PEOPLE)).map(lambda order: order[:2])
seldom = st.sampled_from([False] * 7 + [True])


@dataclass
class Model:
    """What there is, in plain Python: tweet id -> (author, original or None)."""

    follows: set[tuple[int, int]] = field(default_factory=set)
    tweets: dict[int, tuple[int, int | None]] = field(default_factory=dict)
    suspended: set[int] = field(default_factory=set)

    def sees(self, tweet_id: int) -> bool:
        if tweet_id not in self.tweets:
            return False
        author, original = self.tweets[tweet_id]
        return author not in self.suspended and (original is None or self.sees(original))

    def may_show(self, reader: int) -> list[int]:
        """All that belongs into a home, newest first."""
        authors = {reader} | {followed for follower, followed in self.follows if follower == reader}
        return sorted(
            (
                number
                for number, (author, _) in self.tweets.items()
                if author in authors and self.sees(number)
            ),
            reverse=True,
        )

    def shows(self, reader: int) -> list[int]:
        """The home: of others' retweets the oldest, and none of what is there itself."""
        entries = self.may_show(reader)

        def is_repeated(number: int) -> bool:
            author, original = self.tweets[number]
            if original is None or author == reader:
                return False
            older = [other for other in entries if other < number]
            return original in entries or any(self.tweets[one][1] == original for one in older)

        return [number for number in entries if not is_repeated(number)]


class Histories(RuleBasedStateMachine):
    """Each rule does the same to the service and to the model."""

    client: Client
    posted = Bundle("posted")

    @initialize()
    def begin(self) -> None:
        Delivery.objects.all().delete()
        redis.client().flushdb()
        count = Account.objects.count()
        self.ids = [
            Account.objects.create_user(f"p{count + n}", email=f"p{count + n}@example.org").pk
            for n in range(PEOPLE)
        ]
        self.moderator = people_services.create_admin(
            username=f"admin{count}", password="a b c d e f g"
        )
        self.model = Model()
        for one, other in permutations(range(PEOPLE), 2):
            self.follow([one, other])

    def acts(self, who: int) -> bool:
        return who not in self.model.suspended

    @rule(pair=two)
    def follow(self, pair: list[int]) -> None:
        one, other = pair
        if self.acts(one) and self.acts(other):
            graph_services.follow(follower_id=self.ids[one], followed_id=self.ids[other])
            self.model.follows.add((one, other))

    @rule(pair=two)
    def unfollow(self, pair: list[int]) -> None:
        one, other = pair
        if self.acts(one) and self.acts(other):
            graph_services.unfollow(follower_id=self.ids[one], followed_id=self.ids[other])
            self.model.follows.discard((one, other))

    @rule(target=posted, who=someone)
    def post(self, who: int) -> int:
        if not self.acts(who):
            return 0
        answer = json.loads(posts_services.post(author_id=self.ids[who], text=parse("Hello.")))
        number = int(answer["data"]["id"])
        self.model.tweets[number] = (who, None)
        return number

    @rule(target=posted, who=someone)
    def post_again(self, who: int) -> int:  # often, or there is little to see
        return self.post(who)

    @rule(who=someone)
    def read_again(self, who: int) -> None:
        self.read(who)

    @rule(number=posted, who=someone)
    def retweet(self, number: int, who: int) -> None:
        if self.acts(who) and self.model.sees(number):
            retweet_id, new = reactions_services.retweet(account_id=self.ids[who], tweet_id=number)
            assert new == ((who, number) not in self.model.tweets.values())
            self.model.tweets[retweet_id] = (who, number)

    @rule(number=posted, who=someone)
    def undo(self, number: int, who: int) -> None:
        if self.acts(who) and self.model.sees(number):
            reactions_services.undo_retweet(account_id=self.ids[who], tweet_id=number)
            self._remove_tweets(lambda _, tweet: tweet == (who, number))

    @rule(number=consumes(posted))
    def delete(self, number: int) -> None:
        if self.model.sees(number):
            author, _ = self.model.tweets[number]
            posts_services.delete(account_id=self.ids[author], tweet_id=number)
            self._remove_tweets(lambda one, tweet: number in (one, tweet[1]))

    def _remove_tweets(self, is_gone) -> None:
        gone = [one for one, tweet in self.model.tweets.items() if is_gone(one, tweet)]
        for one in gone:
            del self.model.tweets[one]

    @rule(who=someone, really=seldom)
    def suspend(self, who: int, really: bool) -> None:
        if really and self.acts(who):
            moderation_services.suspend(
                account_id=self.ids[who], by_id=self.moderator, reason="spam"
            )
            self.model.suspended.add(who)

    @precondition(lambda self: self.model.suspended)
    @rule(data=st.data())
    def lift(self, data) -> None:
        who = data.draw(st.sampled_from(sorted(self.model.suspended)))
        moderation_services.lift(account_id=self.ids[who], by_id=self.moderator, reason="a mistake")
        self.model.suspended.discard(who)

    @rule(who=someone, really=seldom)
    def expire_home(self, who: int, really: bool) -> None:
        if really:
            store.drop([self.ids[who]])

    @rule(really=seldom)
    def lose_redis(self, really: bool) -> None:
        if really:
            redis.client().flushdb()

    @rule(random=st.randoms(use_true_random=False), times=st.integers(0, 2))
    def deliver_half(self, random, times: int) -> None:
        waiting = list(Delivery.objects.order_by("id"))
        for delivery in random.sample(waiting, len(waiting) // 2):
            task = current_app.tasks[delivery.task]
            for _ in range(times):  # without its id it does the work and settles nothing
                task(events.read(delivery.event, delivery.payload))
            task(delivery_ids=[delivery.pk])

    @rule(random=st.randoms(use_true_random=False))
    def be_killed_before_settling(self, random) -> None:
        waiting = list(Delivery.objects.order_by("id"))
        for delivery in random.sample(waiting, len(waiting) // 2):
            event = events.read(delivery.event, delivery.payload)
            current_app.tasks[delivery.task](event)

    @rule(really=seldom)
    def become_quiet(self, really: bool) -> None:
        if not really:
            return
        while batch := list(Delivery.objects.order_by("id")[:100]):
            for delivery in batch:
                current_app.tasks[delivery.task](delivery_ids=[delivery.pk])
                assert not Delivery.objects.exclude(last_error="").exists()
        for who in range(PEOPLE):
            if self.acts(who):
                assert difference(self.ids[who]) is None
                assert self._read(who) == self.model.shows(who)

    @rule(who=someone)
    def read(self, who: int) -> None:
        if not self.acts(who):
            return
        shown, may_show = self._read(who), self.model.may_show(who)
        assert shown == sorted(set(shown), reverse=True)
        assert set(shown) <= set(may_show)
        own = {number for number in may_show if self.model.tweets[number][0] == who}
        assert own <= set(shown)

    def _read(self, who: int) -> list[int]:
        answer = self.client.get(
            "/timeline/timeline", {"limit": 100}, headers=_token(self.ids[who])
        )
        assert answer.status_code == 200, answer.content
        return [int(tweet["id"]) for tweet in answer.json()["data"]]

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.become_quiet(really=True)

    @invariant()
    def nothing_is_stored_that_was_refused(self) -> None:
        if hasattr(self, "model"):
            visible = Tweet.objects.filter(author_id__in=self.ids, state=Tweet.State.VISIBLE)
            # Retweets of what was deleted are cleared away later.
            stored = visible.exclude(original__state__gt=Tweet.State.VISIBLE)
            assert set(stored.values_list("id", flat=True)) == self.model.tweets.keys()


def _token(account_id: int) -> dict[str, str]:
    generation = Account.objects.get(id=account_id).token_generation  # a suspension ends log-ins
    token = issue_access_token(account_id=account_id, session_id=1, generation=generation)
    return {"Authorization": f"Bearer {token}"}


def test_homes_are_what_a_naive_model_says(client, settings_of_a_small_home):
    Histories.client = client  # hypothesis makes the machines
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=int(EXAMPLES or 30),
            stateful_step_count=60,
            deadline=None,
            phases=[Phase.generate],  # making a failure smaller takes many minutes
            derandomize=not EXAMPLES,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def settings_of_a_small_home(settings, monkeypatch, without_limits):
    """Make homes so small that these short histories cut them."""
    current_app.loader.import_default_modules()
    settings.HOME_SIZE = 12
    monkeypatch.setattr(store, "FLOOR_EVERY", 4)
