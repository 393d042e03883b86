"""Homes in Redis: what arrives in any order, twice, or while a home is being built."""

import pytest

from timelines import store
from timelines.store import Home
from twitter.lib import resp

# As large as ids are in the year 2026.
BASE = 90_000_000_000 << 12


def entry(number: int, original: int = 0) -> int:
    return store.pack(tweet_id=BASE + number, original_id=original)


def ids(home: Home) -> list[int]:
    return [store.id_of(one) - BASE for one in home.entries]


def snapshot(*numbers: int, end: bool = True) -> dict:
    entries = [entry(number) for number in sorted(numbers, reverse=True)]
    floor = store.END if end else store.floor_below(entries[-1])
    return {"entries": entries, "floor": floor}


def build(account_id: int, numbers: list[int], *, end: bool = True) -> None:
    name = store.begin_build(account_id)
    store.complete_build(account_id=account_id, build=name, **snapshot(*numbers, end=end))


def push(one: int, account_ids: list[int]) -> None:
    assert list(store.push_pages(one, [account_ids])) == [account_ids]


def test_a_home_that_does_not_exist_is_not_written_to(valkey):
    push(entry(1), [7])
    assert store.read(7) is None
    assert valkey.dbsize() == 0


def test_what_arrives_twice_and_in_any_order_is_read_once_and_newest_first():
    build(7, [10, 20])
    for number in (25, 15, 25, 30):
        push(entry(number), [7, 8])
    home = store.read(7)
    assert ids(home) == [30, 25, 20, 15, 10]
    assert home.reaches_end


def test_what_arrives_during_a_build_stays():
    name = store.begin_build(7)
    push(entry(30), [7])
    assert store.read(7) is None
    store.complete_build(account_id=7, build=name, **snapshot(20))
    assert ids(store.read(7)) == [30, 20]


def test_a_build_whose_home_was_dropped_meanwhile_is_given_up(valkey):
    name = store.begin_build(7)
    store.drop([7])
    store.complete_build(account_id=7, build=name, **snapshot(20))
    assert valkey.dbsize() == 0
    other = store.begin_build(7)
    store.complete_build(account_id=7, build=name, **snapshot(20))
    assert store.read(7) is None
    store.complete_build(account_id=7, build=other, **snapshot(21))
    assert ids(store.read(7)) == [21]


def test_what_is_no_home_does_not_live_on(valkey):
    valkey.rpush("home:2:7", entry(1), store.END)
    valkey.expire("home:2:7", 100)
    assert store.read(7) is None
    assert valkey.ttl("home:2:7") <= 100


def test_only_one_build_at_a_time_and_a_dead_one_expires(valkey):
    assert store.begin_build(7)
    assert store.begin_build(7) is None
    store.read(7)
    assert 0 < valkey.ttl("home:2:7") <= store.BUILD_SECONDS


def test_reading_lets_a_home_live_on(valkey, settings):
    build(7, [1])
    valkey.expire("home:2:7", 100)
    store.read(7)
    assert valkey.ttl("home:2:7") > 100
    valkey.expire("home:2:7", 100)
    store.peek(7)
    assert valkey.ttl("home:2:7") <= 100


def test_a_home_is_cut_to_its_newest_entries_and_knows_where_it_ends(valkey, settings):
    settings.HOME_SIZE = 100
    build(7, list(range(1000, 1100)))
    assert store.read(7).reaches_end
    for number in range(1100, 1400):
        push(entry(number), [7])
        home = store.read(7)
        assert ids(home) == list(range(number, number - len(home.entries), -1))
        assert 100 <= len(home.entries) < 100 + store.TIDY_EVERY
    assert not home.reaches_end
    assert valkey.ttl("home:2:7") > 0


def test_the_floor_of_a_cut_home_is_right_beneath_its_last_entry(settings):
    settings.HOME_SIZE = 5
    for carry in range(0, 3 * 1024, 100):  # so that the last ten digits overflow now and then
        first = 10**10 // 1024 * 7 + carry
        account_id = 1 + carry
        build(account_id, list(range(first, first + 8)))
        store.tidy([account_id])
        home = store.read(account_id)
        assert ids(home) == list(range(first + 7, first + 2, -1))
        assert store.id_of(home.floor) == BASE + first + 2


def test_an_old_tweet_that_arrives_late_does_not_pretend_that_the_home_reaches_down_to_it(settings):
    settings.HOME_SIZE = 10
    build(7, list(range(100, 110)), end=False)
    push(entry(50), [7])
    assert ids(store.read(7)) == list(range(109, 99, -1))
    store.remove(entry(109), [7])
    store.tidy([7])
    assert ids(store.read(7)) == list(range(108, 99, -1))


def test_doubles_make_a_home_shorter_at_most(settings):
    settings.HOME_SIZE = 10
    build(7, [1, 2, 3])
    for _ in range(2 * store.TIDY_EVERY):
        push(entry(3), [7])
    home = store.read(7)
    assert ids(home) == [3, 2, 1][: len(home.entries)]
    assert not home.reaches_end


def test_tidying_leaves_a_home_alone_that_is_being_built():
    name = store.begin_build(7)
    for number in range(2 * store.TIDY_EVERY):
        push(entry(100 + number), [7])
    store.complete_build(account_id=7, build=name, **snapshot(1))
    assert len(ids(store.read(7))) == 2 * store.TIDY_EVERY + 1


@pytest.mark.parametrize(
    "size", [0, 5, 100, store.TIDY_EVERY - 1, store.TIDY_EVERY, store.TIDY_EVERY + 1, 300, 800]
)
@pytest.mark.parametrize("pushed", [0, 1, *range(store.TIDY_EVERY - 2, store.TIDY_EVERY + 1), 600])
def test_a_window_of_a_home_holds_its_newest_entries(size, pushed):
    build(7, list(range(1000, 1000 + size)), end=size < 800)
    for number in range(pushed):
        # Every third late and out of order, the others newer than all.
        push(entry(2000 + number if number % 3 else 2000 - number), [7, 8])
    whole = store.peek(7)
    for newest in (1, 20, 80, 100):
        values, followed, _ = resp.exchange(*store.reading(7, newest=newest))
        window = store.parse(values, followed)
        assert (
            store.parse(values, followed, newest=newest).entries[:newest]
            == (window.entries[:newest])
        )
        assert window.entries[:newest] == whole.entries[:newest]
        assert window.entries == whole.entries[: len(window.entries)]
        assert window.reaches_end <= whole.reaches_end
        assert len(window.entries) >= newest or window.reaches_end == whole.reaches_end


def test_a_removed_entry_is_gone_from_every_home(settings):
    build(7, [1, 2])
    build(8, [2, 3])
    push(entry(2), [7])
    store.remove(entry(2), [7, 8, 9])
    assert ids(store.read(7)) == [1]
    assert ids(store.read(8)) == [3]


@pytest.mark.parametrize("original", [0, 1, 1021, 1022, 1023, 1024, 2**53 - 1])
def test_an_entry_survives_packing(original):
    for number in (1, 2**40, 2**53 - 2):
        packed = store.pack(tweet_id=number, original_id=original)
        assert packed < int(store.MARK)
        assert store.id_of(packed) == number
        assert bool(packed & store.TAGS) == bool(original)
        assert packed & store.TAGS != store.FLOOR_TAG
        assert store.floor_below(packed) < packed


def test_a_full_home_takes_less_than_10_kilobytes(valkey):
    build(7, list(range(0, 800 * 4096, 4096)), end=False)
    assert valkey.memory_usage("home:2:7", samples=0) <= 10 * 1024


def test_a_home_is_cut_when_it_has_grown_by_what_a_window_allows(valkey):
    build(7, list(range(0, 800 * 4096, 4096)), end=False)
    for number in range(store.TIDY_EVERY - 1):
        push(entry((1000 + number) << 12), [7])
    assert valkey.llen("home:2:7") == 802 + store.TIDY_EVERY - 1
    assert valkey.memory_usage("home:2:7", samples=0) <= 11 * 1024
    push(entry(2000 << 12), [7])
    assert valkey.llen("home:2:7") == 802
    assert valkey.lindex("home:2:7", 0) == store.MARK


def test_pages_are_yielded_when_their_homes_have_the_entry(valkey):
    """Ids of several lengths, homes that are not there, an empty page, and homes to be tidied."""
    numbers = [7, 8, 9, 10, 11, 99, 100, 10**15 - 1, 10**15, 10**15 + 1]
    with_home = [number for number in numbers if number not in (9, 100)]
    for number in with_home:
        build(number, list(range(store.TIDY_EVERY + 802 % store.TIDY_EVERY - 3)))
    pages = [numbers[:4], [], numbers[4:7], numbers[7:]]
    seen = []
    for page in store.push_pages(entry(500), pages):
        seen.append(list(page))
        assert all(ids(store.peek(number))[0] == 500 for number in page if number in with_home)
        store.remove(entry(1), page)  # on another connection than the pages that are under way
    assert seen == [page for page in pages if page]
    assert {valkey.lindex(f"home:2:{number}", 0) for number in with_home} == {store.MARK}
    assert not valkey.exists("home:2:9")


def test_who_takes_no_more_pages_leaves_nothing_behind():
    build(7, [1])
    pages = store.push_pages(entry(2), [[7], [7], [7]])
    next(pages)
    pages.close()
    push(entry(3), [7])
    assert ids(store.read(7))[0] == 3


def test_a_removed_tweet_is_not_pushed_by_a_writer_who_comes_late(valkey):
    build(7, [1])
    store.push_unless_removed(entry(2), 7)
    store.mark_removed(BASE + 3)
    store.push_unless_removed(entry(3), 7)
    store.push_unless_removed(entry(4), 8)
    assert ids(store.read(7)) == [2, 1]
    assert not valkey.exists("home:2:8")
    assert 0 < valkey.ttl(f"removed:{BASE + 3}") <= store.REMOVED_SECONDS


def test_a_removal_during_a_build_is_not_undone_by_its_older_snapshot(valkey):
    name = store.begin_build(7)
    older = snapshot(2, 1)
    store.remove(entry(2), [7])
    store.complete_build(account_id=7, build=name, **older)
    assert valkey.dbsize() == 0
    build(7, [1, 3])
    store.remove(entry(3), [7])
    assert ids(store.read(7)) == [1]


def test_what_arrived_twice_is_read_once_after_tidying_too():
    build(7, [1])
    for number in (5, 5, 4):
        push(entry(number), [7])
    store.tidy([7])
    assert ids(store.read(7)) == [5, 4, 1]


def test_a_home_that_was_not_tidied_in_time_is_tidied_by_its_reader(monkeypatch):
    build(7, [1])
    with monkeypatch.context() as patch:
        patch.setattr(store, "_tidying", lambda account_ids, lengths: [])
        for number in range(2, 3 * store.TIDY_EVERY):
            push(entry(number), [7])
    values, followed, _ = resp.exchange(*store.reading(7, newest=20))
    assert store.parse(values, followed) is None
    before = store.read(7)
    values, followed, _ = resp.exchange(*store.reading(7, newest=20))
    assert store.parse(values, followed, newest=20).entries[:20] == before.entries[:20]


@pytest.mark.parametrize("mark", [store.MARK, store.MARK_TO_MERGE])
def test_tidying_brings_the_mark_to_the_front_and_keeps_the_homes_life(valkey, mark, settings):
    settings.HOME_SIZE = 20
    for number, arrived in enumerate(([9, 8, 7], [7, 9, 8], [3, 9], range(90, 40, -1))):
        key = f"home:2:{number}"
        behind = [entry(one) for one in (6, 5, 4)]
        valkey.rpush(key, *[entry(one) for one in arrived], mark, *behind, store.END)
        valkey.expire(key, 1000)
        store.tidy([number])
        values = [int(value) for value in valkey.lrange(key, 0, -1)]
        assert values[0] == int(mark)
        assert values == sorted(values, reverse=True)
        assert len(values) <= 22
        assert 0 < valkey.ttl(key) <= 1000
