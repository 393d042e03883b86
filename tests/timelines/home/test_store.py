"""Homes in Redis: what arrives in any order, twice, or while a home is being built."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from timelines.home import store
from timelines.home.store import Home
from tweets.entries import Entry, Ref, id_bytes, id_of
from twitter.base.data import parts, redis

# As large as ids are in the year 2026.
BASE = 90_000_000_000 << 12


def entry(number: int, original: int = 0) -> Entry:
    originals = (original, 2) if original else ()
    return Ref(BASE + number, 1, *originals).entry


def ids(home: Home) -> list[int]:
    return [id_of(one) - BASE for one in home.entries]


def floor(number: int) -> bytes:
    """The floor that stands in a complete home."""
    return id_bytes(BASE + number) + store.COMPLETE


def snapshot(*numbers: int, end: bool = True) -> dict:
    entries = [entry(number) for number in sorted(numbers, reverse=True)]
    floor = store.END if end else store.floor_below(entries[-1])
    return {"entries": entries, "floor": floor}


def build(account_id: int, numbers: list[int], *, end: bool = True) -> None:
    name = store.begin_build(account_id)
    store.complete_build(account_id=account_id, build=name, **snapshot(*numbers, end=end))


def read_window(account_id: int, newest: int) -> Home | None:
    """Return what a window holds, or None if it does not hold so many entries."""
    [reading] = parts.exchange(store.part(account_id, newest=newest))
    home = reading.home
    return home if home.reaches_end or len(home.entries) >= newest else None


def push(one: Entry, account_ids: list[int]) -> None:
    page = store.Page(one, account_ids)
    assert list(store.push_pages([page])) == [page]


def test_a_home_that_does_not_exist_is_not_written_to(valkey):
    push(entry(1), [7])
    assert store.read(7) is None
    assert not valkey.keys("home:*")


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
    assert not valkey.keys("home:*")
    other = store.begin_build(7)
    store.complete_build(account_id=7, build=name, **snapshot(20))
    assert store.read(7) is None
    store.complete_build(account_id=7, build=other, **snapshot(21))
    assert ids(store.read(7)) == [21]


def test_what_is_no_home_does_not_live_on(valkey):
    valkey.rpush("home:4:{7}", entry(1), store.END)
    valkey.expire("home:4:{7}", 100)
    assert store.read(7) is None
    assert valkey.ttl("home:4:{7}") <= 100


def test_only_one_build_at_a_time_and_a_dead_one_expires(valkey):
    assert store.begin_build(7)
    assert store.begin_build(7) is None
    store.read(7)
    assert 0 < valkey.ttl("home:4:{7}") <= store.BUILD_SECONDS


def test_a_window_of_what_is_being_built_does_not_let_it_live_on(valkey):
    """However much has arrived: if the build is dead, it would never be a home, nor be cut."""
    store.begin_build(7)
    for number in range(200):
        push(entry(number), [7])
    reading = parts.fetch(store.part(7, newest=20))
    assert reading.home is not None
    store.live_on(7, reading)
    assert 0 < valkey.ttl("home:4:{7}") <= store.BUILD_SECONDS


def test_a_reader_does_not_let_the_build_live_on_that_took_the_homes_place(valkey):
    build(7, [1])
    valkey.expire("home:4:{7}", 100)
    reading = parts.fetch(store.part(7))
    store.drop([7])
    store.begin_build(7)
    store.live_on(7, reading)
    assert 0 < valkey.ttl("home:4:{7}") <= store.BUILD_SECONDS


def test_reading_lets_a_home_live_on(valkey):
    build(7, [1])
    valkey.expire("home:4:{7}", 100)
    store.read(7)
    assert valkey.ttl("home:4:{7}") > 100
    valkey.expire("home:4:{7}", 100)
    store.peek(7)
    assert valkey.ttl("home:4:{7}") <= 100


def test_a_home_is_cut_and_knows_where_it_ends(valkey, settings):
    settings.HOME_SIZE = 100
    build(7, list(range(1000, 1100)))
    assert store.read(7).reaches_end
    for number in range(1100, 1600):
        push(entry(number), [7])
        home = store.read(7)
        assert ids(home) == list(range(number, number - len(home.entries), -1))
        assert 100 <= len(home.entries) <= 100 + 3 * store.FLOOR_EVERY
    assert not home.reaches_end
    assert valkey.ttl("home:4:{7}") > 0


def test_an_old_tweet_that_arrives_late_does_not_pretend_that_the_home_reaches_down_to_it(settings):
    build(7, list(range(100, 110)), end=False)
    push(entry(50), [7])
    assert ids(store.read(7)) == list(range(109, 99, -1))
    settings.HOME_SIZE = 10
    for number in range(200, 400):
        push(entry(50 if number % 2 else number), [7])
    home = store.read(7)
    assert ids(home) == list(range(398, 398 - 2 * len(home.entries), -2))


def test_doubles_make_a_home_shorter_at_most(settings):
    settings.HOME_SIZE = 10
    build(7, [1, 2, 3])
    for _ in range(4 * store.FLOOR_EVERY):
        push(entry(3), [7])
    home = store.read(7)
    assert ids(home) == [3, 2, 1][: len(home.entries)]
    assert not home.reaches_end


def test_a_home_is_not_cut_while_it_is_being_built(settings):
    settings.HOME_SIZE = 10
    name = store.begin_build(7)
    for number in range(4 * store.FLOOR_EVERY):
        push(entry(100 + number), [7])
    store.complete_build(account_id=7, build=name, **snapshot(1))
    assert len(ids(store.read(7))) == 4 * store.FLOOR_EVERY + 1


@pytest.mark.parametrize("size", [0, 1, 5, 30, 31, 32, 100, 400])
@pytest.mark.parametrize("pushed", [0, 1, *range(30, 34), 200, 1000])
def test_a_window_holds_the_newest_entries_of_a_home(size, pushed):
    build(7, list(range(1000, 1000 + size)), end=size < 400)
    for number in range(pushed):
        # Every seventh is late.
        push(entry(2000 + number if number % 7 else 2000 - number), [7, 8])
    whole = store.read(7)
    for newest in (1, 20, 81, 101):
        window = read_window(7, newest)
        assert window.entries[:newest] == whole.entries[:newest]
        assert len(window.entries) >= newest or window.reaches_end


class Arrivals(RuleBasedStateMachine):
    """A home and what is pushed into it; a plain set says what it has to hold."""

    posted: int

    @initialize(size=st.integers(0, 30), end=st.booleans())
    def begin(self, size: int, end: bool) -> None:
        redis.client().flushdb()
        self.posted = size
        self.belongs = set(range(size))
        self.late: list[int] = []
        build(7, list(self.belongs), end=end or not size)

    @rule(count=st.integers(1, 9))
    def deliver(self, count: int) -> None:
        for _ in range(count):
            self._deliver(self._post())

    @rule()
    def deliver_later(self) -> None:
        self.late.append(self._post())

    @rule(data=st.data())
    def deliver_late(self, data) -> None:
        for number in data.draw(st.permutations(self.late)):
            self._deliver(number)
        self.late = []

    @rule(data=st.data())
    def deliver_again(self, data) -> None:
        if self.belongs:
            self._deliver(data.draw(st.sampled_from(sorted(self.belongs))))

    @rule(data=st.data())
    def remove(self, data) -> None:
        if self.belongs:
            number = data.draw(st.sampled_from(sorted(self.belongs)))
            self.belongs.remove(number)
            store.remove(entry(number), [7])

    @rule()
    def lose_a_floor(self) -> None:
        """The worker that pushed is killed before it pushes the floor."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "_floors", lambda account_ids, lengths: [])
            self._deliver(self._post())

    @rule()
    def build_again(self) -> None:
        """Build from a snapshot with entries not delivered yet, while another entry arrives."""
        store.drop([7])
        name = store.begin_build(7)
        self._deliver(self._post())
        self.belongs.update(self.late)
        snap = sorted(self.belongs)[-20:]
        end = len(snap) == len(self.belongs)
        store.complete_build(account_id=7, build=name, **snapshot(*snap, end=end))

    def _post(self) -> int:
        self.posted += 1
        return self.posted

    def _deliver(self, number: int) -> None:
        push(entry(number), [7])
        self.belongs.add(number)

    @invariant()
    def it_holds_what_it_has_to(self) -> None:
        if not hasattr(self, "belongs"):
            return
        whole = store.read(7)
        above = [one for one in sorted(self.belongs, reverse=True) if entry(one)[:8] > whole.floor]
        assert ids(whole) == above
        for newest in (1, 5, 10):
            window = read_window(7, newest)
            if window:
                assert window.entries[:newest] == whole.entries[:newest]
                assert len(window.entries) >= newest or window.reaches_end


def test_homes_and_windows_hold_what_a_plain_set_says(monkeypatch, settings):
    """Floors close together, and homes cut often; so windows are often enough, and often not."""
    monkeypatch.setattr(store, "FLOOR_EVERY", 4)
    monkeypatch.setattr(store, "WINDOW_MARGIN", 8)
    settings.HOME_SIZE = 20
    run_state_machine_as_test(
        Arrivals,
        settings=hypothesis_settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.generate],  # making a failure smaller takes minutes
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_floor_is_never_below_what_was_pushed_before(valkey):
    """This holds, too, when an older tweet's floor comes after a newer tweet's push."""
    for account_id, numbers in ((7, [1]), (8, [])):
        build(account_id, numbers)
    for number in (90, 50):
        for _ in range(store.FLOOR_EVERY):
            push(entry(number), [8])
    build(9, [95])
    parts.fetch(store.push_part(entry(99), 7))
    for number in range(60, 60 + store.FLOOR_EVERY):
        push(entry(number), [7, 8, 9])
    for account_id, highest in ((7, 99), (8, 90), (9, 95)):
        values = valkey.lrange(f"home:4:{{{account_id}}}", 0, -1)
        floors = [value for value in values if len(value) == store.FLOOR_SIZE]
        assert floors[0] == floor(highest)


def test_a_removed_entry_is_gone_from_every_home():
    build(7, [1, 2])
    build(8, [2, 3])
    push(entry(2), [7])
    store.remove(entry(2), [7, 8, 9])
    assert ids(store.read(7)) == [1]
    assert ids(store.read(8)) == [3]


def test_a_full_home_takes_less_than_10_kilobytes(valkey):
    build(7, list(range(0, 400 * 4096, 4096)), end=False)
    assert valkey.memory_usage("home:4:{7}", samples=0) <= 10 * 1024


def test_a_home_stays_below_10_kilobytes_however_much_arrives(valkey):
    build(7, list(range(0, 400 * 4096, 4096)), end=False)
    lengths = []
    for number in range(400):
        push(entry((1000 + number) << 12), [7])
        lengths.append(valkey.llen("home:4:{7}"))
        assert valkey.memory_usage("home:4:{7}", samples=0) <= 10 * 1024
    assert min(lengths) > 400
    assert max(lengths) - min(lengths[200:]) == store.FLOOR_EVERY - 2


def test_pages_are_yielded_when_their_homes_have_the_entry(valkey):
    """Ids of several lengths, homes that are not there, an empty page, and homes to get floors."""
    numbers = [7, 8, 9, 10, 11, 99, 100, 10**15 - 1, 10**15, 10**15 + 1]
    with_home = [number for number in numbers if number not in (9, 100)]
    for number in with_home:
        build(number, list(range(27)))  # with a floor and the end's floor 29 values
    pages = [numbers[:4], [], numbers[4:7], numbers[7:]]
    seen = []
    push(entry(400), with_home)
    push(entry(450), with_home)
    for _, page in store.push_pages(store.Page(entry(500), page) for page in pages):
        seen.append(page)
        assert all(ids(store.peek(number))[0] == 500 for number in page if number in with_home)
        store.remove(entry(1), page)  # on another connection than the pages that are under way
    assert seen == pages
    assert {valkey.lindex(f"home:4:{{{number}}}", 0) for number in with_home} == {floor(500)}
    assert not valkey.exists("home:4:{9}")


def test_who_takes_no_more_pages_leaves_nothing_behind():
    build(7, [1])
    pages = store.push_pages([store.Page(entry(2), [7])] * 3)
    next(pages)
    pages.close()
    push(entry(3), [7])
    assert ids(store.read(7))[0] == 3


def test_a_writer_who_comes_late_is_told_that_the_tweet_was_removed(valkey):
    build(7, [1])
    assert not parts.fetch(store.push_part(entry(2), 7))
    store.mark_removed([BASE + 3])
    assert parts.fetch(store.push_part(entry(3), 7))
    assert not parts.fetch(store.push_part(entry(4), 8))
    assert not valkey.exists("home:4:{8}")
    assert 0 < valkey.ttl(f"removed:{BASE + 3}") <= store.REMOVED_SECONDS


def test_a_removal_during_a_build_is_not_undone_by_its_older_snapshot(valkey):
    name = store.begin_build(7)
    older = snapshot(2, 1)
    store.remove(entry(2), [7])
    store.complete_build(account_id=7, build=name, **older)
    assert not valkey.keys("home:*")
    build(7, [1, 3])
    store.remove(entry(3), [7])
    assert ids(store.read(7)) == [1]
