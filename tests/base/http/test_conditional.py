"""Answers that a client may keep: their ETag, and 304 for who has them. All others are no-store."""

import pytest

from twitter.base.http.conditional import answer

ETAG = 'W/"6adfb183a4a2c94a2f92dab5ade762a47889a5a1"'  # printf helloworld | sha1sum
BARE = ETAG.removeprefix("W/")
KEPT = {
    "/auth/followers/{ann}",
    "/auth/following/{ann}",
    "/auth/id/{ann}",
    "/auth/name/ann",
    "/timeline/timeline",
    # Of news that go on. Those that are at their end have another `next_since_id` each time.
    "/timeline/update?since_id=1&limit=1",
    "/timeline/user/{ann}",
    "/tweet/bookmarks",
    "/tweet/id/{tweet}",
}
# An e-mail address, an account's id, all of an account's data, how the service is; and errors.
UNSTORED = {
    "/auth/export": 200,
    "/auth/healthz": 200,
    "/auth/id/1": 404,
    "/auth/me": 200,
    "/auth/verify": 204,
    "/timeline/timeline?limit=0": 400,
}
# What a 200 has and a 304 does not, and how many requests are left, which differs.
OF_THE_BODY = {"Content-Length", "Content-Type", "Link"}


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [
        (ETAG, True),
        (BARE, True),
        (f'"other", {BARE}', True),
        (f'W/"other",{ETAG},"more"', True),
        ("*", True),
        (" * ", True),
        (f'"with, a comma", {ETAG}', True),
        ('"other"', False),
        (f'"other", "{BARE}"', False),
        (f"w/{BARE}", False),
        (BARE.strip('"'), False),
        (f"{ETAG}x", False),
        (f"x{ETAG}", False),
        (BARE.rstrip('"'), False),
        ('"', False),
        (",,,", False),
        (f"*, {ETAG}x", False),
        ("", False),
        (None, False),
    ],
)
def test_a_tag_is_compared_weakly_and_what_is_none_matches_nothing(sent, is_kept):
    environ = {} if sent is None else {"HTTP_IF_NONE_MATCH": sent}
    told = [
        ("Content-Type", "application/json"),
        ("Content-Length", "10"),
        ("Link", "<x>"),
        ("A", "b"),
    ]
    status, headers, body = answer(environ, headers=told, body=b"helloworld")
    if is_kept:
        assert (status, headers, body) == (304, [("A", "b"), ("ETag", ETAG)], b"")
    else:
        assert (status, headers, body) == (200, [*told, ("ETag", ETAG)], b"helloworld")


@pytest.fixture
def world(make_account, api):
    """Return the ids in the paths above; Ann and Bob follow each other, Bob bookmarks her tweet."""
    ann, bob = make_account("ann"), make_account("bob")
    for one, other in ((ann, bob), (bob, ann)):
        api(one).post("/auth/follow", {"user_id": str(other)})
    posted = [api(ann).post("/tweet/create", {"text": text}) for text in ("Hello.", "Bye.")]
    tweet = posted[0].json()["data"]["id"]
    api(bob).post("/tweet/bookmark", {"tweet_id": tweet})
    return {"ann": ann, "bob": bob, "tweet": tweet}


def told(response) -> dict[str, str]:
    return {name: value for name, value in response.items() if name != "RateLimit"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", sorted(KEPT))
def test_a_page_that_the_client_has_is_not_sent_again(api, world, settings, path):
    settings.CORS_ALLOW_ALL_ORIGINS = True
    path, client = path.format(**world), api(world["bob"])
    from_afar = {"Origin": "https://app.example"}
    whole = client.get(path, headers=from_afar)
    assert whole.status_code == 200
    assert whole["Cache-Control"] == "private, no-cache"
    assert whole["Vary"] == "Authorization, origin"
    for method in (client.get, client.head):
        again = method(path, headers=from_afar | {"If-None-Match": whole["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        expected = {name: value for name, value in told(whole).items() if name not in OF_THE_BODY}
        assert told(again) == expected
        assert again["RateLimit"] < whole["RateLimit"]  # it counts: one less is left
    for name in ("ann", "bob"):
        api(world[name]).patch("/auth/update", {"name": "Another name"})
    changed = client.get(path, headers={"If-None-Match": whole["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != whole["ETag"]
    assert b"Another name" in changed.content


@pytest.mark.django_db(transaction=True)
def test_the_tag_of_anothers_page_does_not_match(api, world):
    theirs = api(world["bob"]).get(f"/tweet/id/{world['tweet']}")
    headers = {"If-None-Match": theirs["ETag"]}
    own = api(world["ann"]).get(f"/tweet/id/{world['tweet']}", headers=headers)
    assert own.status_code == 200
    assert own.json()["viewer"] != theirs.json()["viewer"]


@pytest.mark.django_db(transaction=True)
def test_who_may_not_read_is_not_told_that_nothing_has_changed(api, world):
    answer = api().get("/timeline/timeline", headers={"If-None-Match": "*"})
    assert answer.status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", UNSTORED)
def test_all_else_is_kept_by_nobody(api, world, path):
    answer = api(world["bob"]).get(path.format(**world), headers={"If-None-Match": "*"})
    if answer.streaming:
        answer.getvalue()
    assert answer.status_code == UNSTORED[path]
    assert answer["Cache-Control"] == "no-store"
    assert "ETag" not in answer
