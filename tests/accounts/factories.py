"""Accounts and follows for tests."""

from functools import cache
from typing import Any

import factory
from django.contrib.auth.hashers import make_password

from accounts.models import Account, AccountCounterDelta, Follow

PASSWORD = "correct horse battery staple"


@cache
def hashed(password: str) -> str:
    """Return a real Argon2 hash, made once: each takes a good part of a second."""
    return make_password(password)


class AccountFactory(factory.django.DjangoModelFactory[Account]):
    """An account whose password is PASSWORD."""

    class Meta:
        model = Account

    username = factory.Sequence(lambda number: f"person{number}")
    email = factory.LazyAttribute(lambda account: f"{account.username}@example.org")
    name = factory.Faker("name")
    bio = factory.Faker("sentence", nb_words=6)
    password = factory.LazyFunction(lambda: hashed(PASSWORD))


class FollowFactory(factory.django.DjangoModelFactory[Follow]):
    """A follow, counted as the services count it."""

    class Meta:
        model = Follow
        skip_postgeneration_save = True

    follower = factory.SubFactory(AccountFactory)
    followed = factory.SubFactory(AccountFactory)

    @factory.post_generation
    def counters(follow: Any, create: bool, extracted: Any, **options: Any) -> None:  # noqa: N805
        """Count it for both."""
        AccountCounterDelta.objects.create(account_id=follow.follower_id, following_count=1)
        AccountCounterDelta.objects.create(account_id=follow.followed_id, followers_count=1)
