"""`manage.py import_graph`."""

import gzip
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import facade
from accounts.graph import services
from accounts.graph.importing import import_follows
from accounts.management.commands import import_graph
from accounts.models import Account, Follow, ImportedAccount
from accounts.people.reads import profiles
from tests.accounts.factories import PASSWORD, AccountFactory
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.django_db


def run(path: Path) -> str:
    out = StringIO()
    call_command("import_graph", str(path), stdout=out)
    return out.getvalue()


def write(path: Path, *pairs: tuple[int, int]) -> Path:
    path.write_text("".join(f"{follower}\t{followed}\n" for follower, followed in pairs))
    return path


def counts() -> dict[str, tuple[int, int]]:
    found = profiles(Account.objects.values_list("id", flat=True))
    return {
        profile.username: (profile.followers_count, profile.following_count)
        for profile in found.values()
    }


def test_accounts_follows_and_counters_come_in(tmp_path: Path) -> None:
    report = run(write(tmp_path / "graph.tsv", (1, 2), (1, 3), (2, 3)))
    assert "3 lines: 3 accounts and 3 follows are new, 0 lines wrong" in report
    assert counts() == {"u1": (0, 2), "u2": (1, 1), "u3": (2, 0)}
    u1 = facade.resolve_username("u1")
    assert u1 is not None
    assert not Account.objects.get(id=u1).has_usable_password()
    assert facade.imported_ids(after=u1, limit=1) == [facade.resolve_username("u2")]


def test_it_may_be_gzipped_and_come_twice_in_small_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_graph, "BATCH", 2)
    path = tmp_path / "graph.tsv.gz"
    plain = write(tmp_path / "graph.tsv", (1, 2), (1, 3), (2, 3), (1, 2), (3, 1))
    path.write_bytes(gzip.compress(plain.read_bytes()))
    assert "3 accounts and 4 follows are new" in run(path)
    assert "0 accounts and 0 follows are new" in run(path)
    assert counts() == {"u1": (1, 2), "u2": (1, 1), "u3": (2, 1)}
    assert Delivery.objects.filter(task="timelines.tasks.drop_all_homes").count() == 1


def test_wrong_lines_are_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "graph.tsv"
    wrong = [b"", b"1 2", b"x\t2", b"1\t-2", b"1\t2\t3", b"\xff\t1", b"1\t" + b"1" * 15]
    themselves = [b"7\t7", b"007\t7"]
    path.write_bytes(b"\n".join([b"1\t2", *wrong, *themselves, b"3\t1\r", b"4\t1"]))
    report = run(path)
    assert "12 lines: 4 accounts and 3 follows are new, 7 lines wrong, 2 follow them" in report
    assert "line 3: not two numbers with a tab between them" in report
    assert "line 9: 7 follows itself" in report
    assert Follow.objects.count() == 3


def test_no_more_than_a_few_wrong_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "graph.tsv"
    path.write_text("nonsense\n" * 1_000)
    assert run(path).count("not two numbers") == import_graph.SHOWN_LINES


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert "0 lines" in run(write(tmp_path / "graph.tsv"))
    assert not Delivery.objects.exists()


def test_who_would_follow_too_many_is_named(tmp_path: Path, settings: Any) -> None:
    settings.FOLLOWING_MAX = 2
    path = write(tmp_path / "graph.tsv", (1, 2), (1, 3), (2, 1))
    assert "0 of accounts that follow FOLLOWING_MAX others already" in run(path)
    write(path, (1, 3), (1, 4), (1, 5), (1, 5), (2, 3), (3, 1), (3, 2), (3, 4))
    for follows in (3, 0):
        report = run(path)
        assert f" {follows} follows are new" in report
        assert "3 of accounts that follow FOLLOWING_MAX others already" in report
        assert "  u1: 2 left out\n  u3: 1 left out\n" in report
        found = counts()
        assert [found[name][1] for name in ("u1", "u2", "u3")] == [2, 2, 2]


def test_who_has_signed_up_under_such_a_name_stays_out_of_it(tmp_path: Path) -> None:
    person = AccountFactory(username="U2")
    report = run(write(tmp_path / "graph.tsv", (1, 2), (1, 3)))
    assert "1 of accounts whose name is taken" in report
    assert counts()["U2"] == (0, 0)
    assert not ImportedAccount.objects.filter(account=person).exists()


def test_follows_and_cards_of_before_stay_right(
    tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    run(write(tmp_path / "first.tsv", (1, 2)))
    u2 = facade.resolve_username("u2")
    assert u2 is not None
    ada = AccountFactory()
    services.follow(follower_id=ada.id, followed_id=u2)
    facade.cards([u2])
    with django_capture_on_commit_callbacks(execute=True):
        run(write(tmp_path / "second.tsv", (1, 2), (3, 2)))
    assert counts()["u2"] == (3, 0)
    assert b'"followers_count":3' in facade.cards([u2])[u2]


def test_a_renamed_import_is_still_found(tmp_path: Path) -> None:
    run(write(tmp_path / "graph.tsv", (1, 2)))
    Account.objects.filter(username="u1").update(username="renamed")
    assert "0 accounts and 1 follows are new" in run(write(tmp_path / "graph.tsv", (1, 2), (2, 1)))


def test_a_missing_or_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"can't be read: Is a directory\.$"):
        run(tmp_path)
    damaged = tmp_path / "graph.tsv.gz"
    damaged.write_bytes(gzip.compress(b"1\t2\n" * 100_000)[:-20])
    with pytest.raises(CommandError, match=r"can't be read after line \d+: .+\.$"):
        run(damaged)
    damaged.write_bytes(b"1\t2\n")
    with pytest.raises(CommandError, match=r"can't be read: Not a gzipped file .+\.$"):
        run(damaged)


def test_what_came_before_the_damage_is_in_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(import_graph, "BATCH", 1_000)
    path = tmp_path / "graph.tsv.gz"
    # Numbers that don't compress well, so that the cut takes some of the lines.
    pairs = "".join(f"{number * 7919 % 99991}\t{number}\n" for number in range(1, 9_000))
    path.write_bytes(gzip.compress(pairs.encode())[:-2_000])
    with pytest.raises(CommandError, match="can't be read after line"):
        call_command("import_graph", str(path))
    stored = Follow.objects.count()
    assert stored >= 1_000
    assert f"and {stored} follows are new" in capsys.readouterr().out
    path.write_bytes(gzip.compress(pairs.encode()))
    assert f"and {8_999 - stored} follows are new" in run(path)


@pytest.mark.parametrize("name", ["graph.tsv", "graph.tsv.gz"])
def test_a_byte_order_mark_is_read_and_bytes_that_are_no_text_are_wrong_lines(
    tmp_path: Path, name: str
) -> None:
    data = b"\xef\xbb\xbf1\t2\n\xff\xfe\t2\n\xef\xbb\xbf2\t3\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert "2 accounts and 1 follows are new, 2 lines wrong" in run(tmp_path / name)
    assert counts() == {"u1": (0, 1), "u2": (1, 0)}


def test_an_interrupted_import_keeps_what_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_graph, "BATCH", 1)
    path = write(tmp_path / "graph.tsv", (1, 2), (2, 3), (3, 1))
    store = import_graph.import_follows

    def interrupted(batch: Any) -> Any:
        if batch == [(2, 3)]:
            raise KeyboardInterrupt
        return store(batch)

    monkeypatch.setattr(import_graph, "import_follows", interrupted)
    with pytest.raises(CommandError, match="run it again"):
        run(path)
    monkeypatch.setattr(import_graph, "import_follows", store)
    assert Follow.objects.count() == 1
    assert Delivery.objects.filter(event="accounts.graph_imported").exists()
    assert "2 follows are new" in run(path)


def test_nobody_logs_in_to_an_imported_account(tmp_path: Path, api: Any) -> None:
    run(write(tmp_path / "graph.tsv", (1, 2)))
    answer = api().post("/auth/token", {"username": "u1", "password": PASSWORD})
    assert answer.status_code == 401


def rows_looked_at(plan: dict[str, Any]) -> float:
    """Return how many rows the nodes of an EXPLAIN ANALYZE took up, whether they passed or not."""
    passed = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    own = sum(plan.get(name, 0) for name in passed) * plan["Actual Loops"]
    return own + sum(map(rows_looked_at, plan.get("Plans", [])))


def test_a_batch_costs_its_lines_though_the_statistics_say_that_nothing_is_there() -> None:
    """As autovacuum leaves them that looked while the tables were empty, or a batch uncommitted."""
    people = 1_500
    batches = [
        [(number, 1 + number * step % people) for number in range(1, people)]
        + [(number, people) for number in range(1, people)]
        for step in (7, 11)
    ]
    looked_at, plans = [], []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "WITH " in sql:
            execute("SAVEPOINT before_explain", None, False, context)
            execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params, many, context)
            [([found],)] = context["cursor"].fetchall()
            execute("ROLLBACK TO before_explain", None, False, context)
            looked_at.append(rows_looked_at(found["Plan"]))
            plans.append(str(found))
        return execute(sql, params, many, context)

    for batch in batches:
        with connection.cursor() as cursor:
            cursor.execute(
                """UPDATE pg_class SET reltuples = 0, relpages = greatest(relpages, 1)
                WHERE relname LIKE 'accounts%%' AND relkind IN ('r', 'i')"""
            )
        with connection.execute_wrapper(explain):
            imported = import_follows([pair for pair in batch if pair[0] != pair[1]])
        assert imported.follows > 1_000
    assert len(looked_at) == 6  # of each batch: accounts, follows, whose homes changed
    assert max(looked_at) < 100 * people
    # The other index is read whole to find the follows of one account.
    assert sum("accounts_following" in plan for plan in plans) == 2
