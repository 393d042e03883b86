"""Values that say when PostgreSQL was read: what replaces what, and who may fill in."""

import time

import pytest

from twitter.base.data import stamped
from twitter.base.data.stamped import STAMP, Stamped

SECOND = 1_000_000


@pytest.fixture
def values():
    return Stamped("test:", form=1, seconds=100, absent_seconds=10, of_reader=True)


@pytest.fixture
def later_form():
    """The same values, as the next version of the code has them."""
    return Stamped("test:", form=2, seconds=100, absent_seconds=10, of_reader=True)


@pytest.fixture
def now():
    return int(time.time() * SECOND)


def at(moment, body=b"x", form=1):
    return STAMP.pack(moment, form) + body


def test_an_owners_values_have_a_tag(values):
    assert values.key(7) == "test:{7}"
    assert Stamped("test:", form=1, seconds=1).key(7) == "test:7"


def test_filling_overwrites_nothing_and_replacing_only_what_is_older(values, now, valkey):
    values.fill({7: at(now, b"first")})
    values.fill({7: at(now + 1, b"filled")})
    assert valkey.get("test:{7}") == at(now, b"first")
    values.replace({7: at(now + 3, b"later")})
    values.replace({7: at(now + 2, b"earlier")})
    assert valkey.get("test:{7}") == at(now + 3, b"later")
    assert 0 < valkey.ttl("test:{7}") <= 100


def test_nothing_old_is_stored_where_nothing_is(values, now, valkey):
    old = at(now - (stamped.FILL_SECONDS + 1) * SECOND)
    values.fill({7: old})
    values.replace({8: old})
    assert not valkey.keys("test:*")


def test_absence_lives_shorter(values, now, valkey):
    values.replace({7: at(now, b"")})
    assert 0 < valkey.ttl("test:{7}") <= 10


def test_absence_of_what_may_be_about_to_be_committed_is_not_filled_in(values, now, valkey):
    from twitter.base.data.ids import id_before

    ids = {
        old: id_before(now - seconds * SECOND)
        for old, seconds in ((True, stamped.NEW_SECONDS + 1), (False, stamped.NEW_SECONDS - 5))
    }
    values.fill(dict.fromkeys(ids.values(), at(now, b"")))
    assert {old: bool(valkey.exists(values.key(number))) for old, number in ids.items()} == {
        True: True,
        False: False,
    }


def test_a_lease_is_one_readers_and_no_value(values, now, valkey):
    lease = values.lease(7)
    assert values.lease(7) is None
    assert not values.knows(valkey.get("test:{7}"))
    values.fill({7: at(now)})
    assert valkey.get("test:{7}") == lease
    values.fill_leased(7, at(now - 100 * SECOND), lease=lease)  # however slow it was
    assert valkey.get("test:{7}") == at(now - 100 * SECOND)


@pytest.mark.parametrize("late", [False, True])
def test_replacing_ends_a_lease_even_if_it_comes_too_late_to_store_anything(
    values, now, valkey, late
):
    lease = values.lease(7)
    replaced = at(now - 100 * SECOND if late else now, b"revoked")
    values.replace({7: replaced})
    values.fill_leased(7, at(now, b"as before"), lease=lease)
    assert valkey.get("test:{7}") == (None if late else replaced)


def test_what_is_dropped_takes_its_lease_along(values, now, valkey):
    lease = values.lease(7)
    values.drop([7, 8])
    values.fill_leased(7, at(now), lease=lease)
    assert not valkey.keys("test:*")


def test_a_value_of_another_form_is_missed_and_filled_in(values, later_form, now, valkey):
    values.fill({7: at(now)})
    assert not later_form.knows(valkey.get("test:{7}"))
    later_form.fill({7: at(now - 1, form=2)})
    assert values.knows(valkey.get("test:{7}")), "what was read earlier overwrites nothing"
    later_form.fill({7: at(now + 1, form=2)})
    assert later_form.knows(valkey.get("test:{7}"))


def test_a_change_replaces_what_code_of_another_form_has_cached(values, later_form, now, valkey):
    later_form.fill({7: at(now, b"as it was", form=2)})
    values.replace({7: at(now + 1, b"hidden")})
    assert valkey.get("test:{7}") == at(now + 1, b"hidden")


def test_a_value_of_another_form_stands_in_no_leases_way(values, later_form, now, valkey):
    values.fill({7: at(now)})
    lease = later_form.lease(7)
    assert values.lease(7) is None, "a lease is of no form"
    later_form.fill_leased(7, at(now + 1, form=2), lease=lease)
    assert later_form.knows(valkey.get("test:{7}"))
    assert later_form.lease(7) is None, "a value of its own form is there"
