"""`verify_timelines` and `rebuild_timelines`, as an operator runs them."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from timelines.home import build as building
from timelines.home import store
from timelines.home.verification import difference

pytestmark = pytest.mark.usefixtures("commits")


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def broken(people, follow, post, read, run_outbox):
    """Let bob's home lack a tweet of ann's; return bob's id and the tweet's."""
    follow("bob", "ann")
    follow("cat", "ann")
    tweet = post("ann")
    run_outbox()
    read("bob")
    read("cat")
    entry = building.newest_entries(author_ids=[people["ann"]], limit=1)[0]
    store.remove(entry, [people["bob"]])
    return people["bob"], tweet


def test_all_well(people, follow, post, read, run_outbox):
    follow("bob", "ann")
    post("ann")
    run_outbox()
    read("bob")
    assert run("verify_timelines", "--all") == "1 homes compared, 0 differ.\n"


@pytest.mark.parametrize("which", [["--all"], ["--sample", "10"], ["--user", "bob"], []])
def test_a_difference_ends_with_1_and_a_report(broken, which):
    account_id, tweet = broken
    with pytest.raises(CommandError) as failure:
        run("verify_timelines", *which)
    assert failure.value.returncode == 1
    assert f"account {account_id}: missing [{tweet}] (1)" in str(failure.value)


def test_a_home_that_is_right_is_not_reported(broken):
    assert run("verify_timelines", "--user", "cat") == "1 homes compared, 0 differ.\n"


@pytest.mark.parametrize("which", [[], ["--user", "bob"]])
def test_rebuilding_mends(broken, which):
    run("rebuild_timelines", *which)
    assert difference(broken[0]) is None
    assert run("verify_timelines", "--all").endswith(" 0 differ.\n")


def test_rebuilding_makes_no_home_for_those_who_stay_away(people, follow):
    assert run("rebuild_timelines") == "0 homes rebuilt.\n"
    assert store.read(people["dan"]) is None


def test_rebuilding_goes_on_where_it_was_interrupted(people, read, monkeypatch):
    for name in people:
        read(name)
    order = sorted(people.values())
    build = building.build_home

    def interrupt(account_id):
        if account_id == order[2]:
            raise KeyboardInterrupt
        return build(account_id)

    monkeypatch.setattr(building, "build_home", interrupt)
    with pytest.raises(CommandError, match=f"--after {order[1]}"):
        run("rebuild_timelines")
    monkeypatch.setattr(building, "build_home", build)
    # The home that was in work was dropped: its owner's next read builds it.
    assert run("rebuild_timelines", "--after", str(order[1])) == "1 homes rebuilt.\n"
    assert [bool(store.read(account_id)) for account_id in order] == [True, True, False, True]


@pytest.mark.parametrize("name", ["verify_timelines", "rebuild_timelines"])
def test_an_unknown_name_is_said(people, name):
    with pytest.raises(CommandError, match="no account named nobody"):
        run(name, "--user", "nobody")
