"""Following and unfollowing, and the pages of who follows whom."""

from collections.abc import Callable

import pytest

from tests.e2e.client import User, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


def counts(reader: User, ada: User, bob: User) -> tuple[int, int]:
    """Return how many ada follows, and how many follow bob."""
    return (
        reader.metrics(ada.id)["following_count"],
        reader.metrics(bob.id)["followers_count"],
    )


def test_follow_and_unfollow_count_once_however_often(ada: User, bob: User) -> None:
    def counted(number: int) -> None:
        assert counts(bob, ada, bob) == (number, number)

    for _ in range(3):
        answer = ada.post("/auth/follow", {"user_id": str(bob.id)})
        assert answer.data == {"following": True}
    eventually(lambda: counted(1))
    assert ada.get(f"/auth/following/{ada.id}").ids == [bob.id]
    assert ada.get(f"/auth/followers/{bob.id}").ids == [ada.id]

    for _ in range(3):
        assert ada.delete("/auth/unfollow", {"user_id": bob.id}).data == {"following": False}
    eventually(lambda: counted(0))
    assert ada.get(f"/auth/following/{ada.id}").ids == []
    assert ada.get(f"/auth/followers/{bob.id}").ids == []


def test_unfollow_takes_a_query_parameter_too(ada: User, bob: User) -> None:
    ada.follow(bob)
    assert ada.delete("/auth/unfollow", user_id=bob.id).data == {"following": False}
    assert ada.get(f"/auth/followers/{bob.id}").ids == []


def test_the_token_says_who_follows_and_a_body_that_says_it_is_refused(
    ada: User, bob: User
) -> None:
    body = {"user_id": str(bob.id), "follower_id": str(bob.id)}
    ada.post("/auth/follow", body, status=400).assert_problem(400, field="follower_id")
    ada.follow(bob)
    assert bob.get(f"/auth/followers/{bob.id}").ids == [ada.id]


def test_following_oneself_is_refused(ada: User) -> None:
    refused = ada.post("/auth/follow", {"user_id": str(ada.id)}, status=400)
    refused.assert_problem(400, field="user_id")


def test_a_follow_brings_older_tweets_and_an_unfollow_takes_them(ada: User, bob: User) -> None:
    tweet = bob.tweet("before anybody followed me")
    assert ada.home() == []
    ada.follow(bob)
    assert ada.home() == [tweet]
    ada.delete("/auth/unfollow", user_id=bob.id)
    assert ada.home() == []


def test_pages_of_followers_go_newest_first_to_the_end(ada: User, join: Callable[[], User]) -> None:
    fans = [join() for _ in range(7)]
    for fan in fans:
        fan.follow(ada)
    newest_first = [fan.id for fan in reversed(fans)]

    pages = list(ada.pages(f"/auth/followers/{ada.id}?limit=3"))

    assert [page.ids for page in pages] == [newest_first[:3], newest_first[3:6], newest_first[6:]]
    assert [page.json["meta"]["result_count"] for page in pages] == [3, 3, 1]
    by_meta = ada.get(
        f"/auth/followers/{ada.id}", limit=3, cursor=pages[0].json["meta"]["next_cursor"]
    )
    assert by_meta.ids == newest_first[3:6]
    assert "next_cursor" not in pages[-1].json["meta"]

    ada.follow(*fans)
    following = [
        user_id for page in ada.pages(f"/auth/following/{ada.id}?limit=2") for user_id in page.ids
    ]
    assert following == newest_first


def test_paging_followers_neither_repeats_nor_skips_while_more_come(
    ada: User, join: Callable[[], User]
) -> None:
    fans = [join() for _ in range(4)]
    for fan in fans:
        fan.follow(ada)
    late = join()

    seen: list[int] = []
    for page in ada.pages(f"/auth/followers/{ada.id}?limit=1"):
        seen += page.ids
        late.follow(ada)

    assert seen == [fan.id for fan in reversed(fans)]
    assert ada.get(f"/auth/followers/{ada.id}", limit=1).ids == [late.id]
