"""Homes in Redis: what arrives in any order, twice, or while a home is being built."""

import pytest

from timelines import store
from timelines.store import Entry, Home


def entry(number: int, original: int = 0) -> Entry:
    return Entry.of(tweet_id=number << 12, original_id=original)


def ids(home: Home) -> list[int]:
    return [one.id >> 12 for one in home.entries]


def build(account_id: int, numbers: list[int]) -> None:
    name = store.begin_build(account_id)
    home = store.snapshot([entry(number) for number in sorted(numbers, reverse=True)])
    store.complete_build(account_id=account_id, build=name, home=home)


def test_a_home_that_does_not_exist_is_not_written_to(valkey):
    store.push(entry(1), [7])
    assert store.read(7) is None
    assert valkey.dbsize() == 0


def test_what_arrives_twice_and_in_any_order_is_read_once_and_newest_first():
    build(7, [10, 20])
    for number in (25, 15, 25, 30):
        store.push(entry(number), [7, 8])
    home = store.read(7)
    assert ids(home) == [30, 25, 20, 15, 10]
    assert home.reaches_end


def test_what_arrives_during_a_build_stays():
    name = store.begin_build(7)
    store.push(entry(30), [7])
    building = store.read(7)
    assert ids(building) == []
    assert not building.reaches_end
    store.complete_build(account_id=7, build=name, home=store.snapshot([entry(20)]))
    assert ids(store.read(7)) == [30, 20]


def test_a_build_whose_home_was_dropped_meanwhile_is_given_up(valkey):
    name = store.begin_build(7)
    store.drop([7])
    store.complete_build(account_id=7, build=name, home=store.snapshot([entry(20)]))
    assert valkey.dbsize() == 0
    other = store.begin_build(7)
    store.complete_build(account_id=7, build=name, home=store.snapshot([entry(20)]))
    assert ids(store.read(7)) == []
    store.complete_build(account_id=7, build=other, home=store.snapshot([entry(21)]))
    assert ids(store.read(7)) == [21]


def test_only_one_build_at_a_time_and_a_dead_one_expires(valkey):
    assert store.begin_build(7)
    assert store.begin_build(7) is None
    store.read(7)
    assert 0 < valkey.ttl("home:7") <= store.BUILD_SECONDS


def test_reading_lets_a_home_live_on(valkey, settings):
    build(7, [1])
    valkey.expire("home:7", 100)
    store.read(7)
    assert valkey.ttl("home:7") > 100
    valkey.expire("home:7", 100)
    store.peek(7)
    assert valkey.ttl("home:7") <= 100


def test_a_home_is_cut_to_its_newest_entries_and_knows_where_it_ends(valkey, settings):
    settings.HOME_SIZE = 10
    build(7, list(range(100, 109)))
    assert store.read(7).reaches_end
    for number in range(109, 109 + store.SLACK + 5):
        store.push(entry(number), [7])
    home = store.read(7)
    newest = 108 + store.SLACK + 5
    assert ids(home) == list(range(newest, newest - len(home.entries), -1))
    assert len(home.entries) < 10 + store.SLACK
    assert not home.reaches_end
    assert valkey.ttl("home:7") > 0


def test_an_old_tweet_that_arrives_late_does_not_pretend_that_the_home_reaches_down_to_it(settings):
    settings.HOME_SIZE = 10
    build(7, list(range(100, 110)))
    store.push(entry(50), [7])
    assert ids(store.read(7)) == list(range(109, 99, -1))


def test_doubles_do_not_fill_a_home_up(valkey, settings):
    settings.HOME_SIZE = 10
    build(7, [1, 2, 3])
    for _ in range(store.SLACK + 20):
        store.push(entry(3), [7])
    assert ids(store.read(7)) == [3, 2, 1]
    assert store.read(7).reaches_end
    assert valkey.llen("home:7") < 10 + store.SLACK


def test_cutting_leaves_a_home_alone_that_is_being_built(settings):
    settings.HOME_SIZE = 10
    name = store.begin_build(7)
    for number in range(store.SLACK + 20):
        store.push(entry(100 + number), [7])
    store.complete_build(account_id=7, build=name, home=store.snapshot([entry(1)]))
    assert len(ids(store.read(7))) == store.SLACK + 21


def test_a_removed_entry_is_gone_from_every_home(settings):
    build(7, [1, 2])
    build(8, [2, 3])
    store.push(entry(2), [7])
    store.remove(entry(2), [7, 8, 9])
    assert ids(store.read(7)) == [1]
    assert ids(store.read(8)) == [3]


@pytest.mark.parametrize("original", [0, 1, 1022, 1023, 1024, 2**53 - 1])
def test_an_entry_survives_packing(original):
    for number in (1, 2**40, 2**53 - 1):
        packed = Entry.of(tweet_id=number, original_id=original).pack()
        assert packed < 2**63
        assert packed >> store.FINGERPRINT_BITS == number
        assert bool(packed & 1023) == bool(original)


def test_a_full_home_takes_less_than_10_kilobytes(valkey, settings):
    newest = 900 << 40
    name = store.begin_build(7)
    home = store.snapshot([Entry(id=newest - n * 4096, fingerprint=n % 3) for n in range(800)])
    store.complete_build(account_id=7, build=name, home=home)
    assert valkey.memory_usage("home:7", samples=0) <= 10 * 1024


def test_a_removal_during_a_build_is_not_undone_by_its_older_snapshot(valkey):
    name = store.begin_build(7)
    snapshot = store.snapshot([entry(2), entry(1)])
    store.remove(entry(2), [7])
    store.complete_build(account_id=7, build=name, home=snapshot)
    assert valkey.dbsize() == 0
    build(7, [1, 3])
    store.remove(entry(3), [7])
    assert ids(store.read(7)) == [1]
