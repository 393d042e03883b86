"""Access tokens and refresh tokens by themselves."""

import base64
import json
from typing import Any

import jwt
import pytest
from django.conf import settings

from accounts import tokens
from accounts.tokens import InvalidToken, issue_access_token, verify_access_token

KID, SECRET = next(iter(settings.JWT_SIGNING_KEYS.items()))
GOOD = {"iss": "twitter", "sub": "7", "sid": "8", "gen": 3, "iat": 1, "exp": 9_999_999_999}
HEADERS = {"kid": KID, "typ": "at+jwt"}


def token(
    headers: dict[str, Any] = HEADERS, secret: str = SECRET, without: str = "", **claims: Any
) -> str:
    payload = {key: value for key, value in {**GOOD, **claims}.items() if key != without}
    return jwt.encode(payload, secret, algorithm="HS256", headers=headers)


def test_a_token_says_who_sends_it() -> None:
    claims = verify_access_token(issue_access_token(account_id=7, session_id=8, generation=3))
    assert (claims.account_id, claims.session_id, claims.generation) == (7, 8, 3)


def test_the_hand_made_token_of_these_tests_is_good() -> None:
    assert verify_access_token(token()).account_id == 7


def test_a_token_ends_after_its_time_even_if_it_was_verified_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = issue_access_token(account_id=7, session_id=8, generation=3)
    verify_access_token(good)
    now = tokens.time.time()
    monkeypatch.setattr(tokens.time, "time", lambda: now + settings.ACCESS_TOKEN_SECONDS + 1)
    with pytest.raises(InvalidToken):
        verify_access_token(good)


def test_a_new_key_signs_and_the_old_one_still_verifies(settings: Any) -> None:
    old = issue_access_token(account_id=7, session_id=8, generation=3)
    settings.JWT_SIGNING_KEYS = {"new": "n" * 40, **settings.JWT_SIGNING_KEYS}
    new = issue_access_token(account_id=7, session_id=9, generation=3)
    assert jwt.get_unverified_header(new)["kid"] == "new"
    assert verify_access_token(old).session_id == 8
    assert verify_access_token(new).session_id == 9


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(algorithm: str) -> str:
    return f"{_part({**HEADERS, 'alg': algorithm})}.{_part(GOOD)}."


BAD = {
    "empty": "",
    "no token": "abc",
    "dots": "..",
    "not base64": "%%.%%.%%",
    "header is no object": f"{_part([1])}.{_part(GOOD)}.x",
    "alg none": _unsigned("none"),
    "alg NONE": _unsigned("NoNe"),
    "other algorithm": jwt.encode(GOOD, SECRET * 2, algorithm="HS512", headers=HEADERS),
    "another's signature": token(secret="z" * 40),
    "foreign kid": token(headers={**HEADERS, "kid": "other"}),
    "no kid": token(headers={"typ": "at+jwt"}),
    "other type": token(headers={**HEADERS, "typ": "JWT"}),
    "other issuer": token(iss="other"),
    "expired": token(exp=2),
    "expiry is no number": token(exp="soon"),
    "account is no id": token(sub="seven"),
    "account is too large": token(sub=str(2**70)),
    "session is a list": token(sid=["8"]),
    "generation is null": token(gen=None),
    "too long": token(more="x" * 2_000),
    **{f"without {name}": token(without=name) for name in GOOD},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_no_other_token_is_good(bad: str) -> None:
    with pytest.raises(InvalidToken):
        verify_access_token(bad)


def test_a_tampered_token_is_not_good() -> None:
    header, _, signature = token().split(".")
    with pytest.raises(InvalidToken):
        verify_access_token(f"{header}.{_part({**GOOD, 'sub': '1'})}.{signature}")


def test_a_refresh_token_is_read_as_it_was_written() -> None:
    made = tokens.RefreshToken(5, tokens.new_family(), tokens.new_rotating())
    assert tokens.parse_refresh_token(str(made)) == made
    assert made.next().family == made.family
    assert made.next().rotating != made.rotating


@pytest.mark.parametrize(
    "text", ["", ".", "5", "5.short", f"x.{'a' * 65}", f"{2**70}.{'a' * 65}", f"5.{'é' * 65}"]
)
def test_what_is_no_refresh_token_is_none(text: str) -> None:
    assert tokens.parse_refresh_token(text) is None
