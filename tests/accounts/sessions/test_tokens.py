"""Access tokens and refresh tokens by themselves."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from django.conf import settings

from accounts.sessions import tokens
from accounts.sessions.tokens import InvalidToken, issue_access_token, verify_access_token

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


def signed(payload: bytes, *, header: bytes = b"", secret: str = SECRET) -> str:
    """Sign anything with HS256, also what no library would."""
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload)]
    parts[0] = parts[0] or token().partition(".")[0].encode()
    digest = hmac.digest(secret.encode(), b".".join(parts), hashlib.sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(digest).rstrip(b"=")]).decode()


def with_value(name: str, value: str) -> str:
    """Return a token one of whose values is this piece of JSON."""
    return signed(json.dumps({**GOOD, name: "@"}).replace('"@"', value).encode())


def with_header(**changes: Any) -> str:
    return token(headers={**HEADERS, **changes})


LATER = int(time.time()) + 3_600
WHOLE, SIGNATURE = token(), token().rpartition(".")[2]

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
    # the algorithm is ours to choose, not the token's
    "alg RS256 over our secret": signed(
        json.dumps(GOOD).encode(), header=json.dumps({**HEADERS, "alg": "RS256"}).encode()
    ),
    "alg empty": _unsigned(""),
    "alg is a list": signed(b"{}", header=json.dumps({**HEADERS, "alg": ["HS256"]}).encode()),
    "no alg": signed(json.dumps(GOOD).encode(), header=json.dumps(HEADERS).encode()),
    "the last alg counts": signed(
        json.dumps(GOOD).encode(),
        header=f'{{"alg":"HS256","kid":"{KID}","typ":"at+jwt","alg":"none"}}'.encode(),
    ),
    "signed with nothing": signed(json.dumps(GOOD).encode(), secret=""),
    "JWE": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y2lwaGVy.dGFn",
    # which key
    "kid empty": with_header(kid=""),
    "kid None": with_header(kid="None"),
    "kid with NUL": with_header(kid=f"{KID}\0"),
    "kid is a path": with_header(kid="../../../../dev/null"),
    "kid is SQL": with_header(kid="' OR '1'='1"),
    "kid very long": with_header(kid="k" * 600),
    **{
        f"kid {value}": signed(
            json.dumps(GOOD).encode(),
            header=f'{{"alg":"HS256","typ":"at+jwt","kid":{value}}}'.encode(),
        )
        for value in ("null", "true", "1", "[]", "{}", f'["{KID}"]')
    },
    "key in the header": with_header(kid="x", jwk={"kty": "oct", "k": "eA"}, jku="https://e.vil"),
    "typ in capitals": with_header(typ="AT+JWT"),
    "no typ": with_header(typ=None),
    "crit unknown": with_header(crit=["exp"]),
    "crit empty": with_header(crit=[]),
    "payload elsewhere": with_header(b64=False, crit=["b64"]),
    # since when, until when
    "not yet valid": token(nbf=LATER),
    "not yet valid, in words": token(nbf="tomorrow"),
    "issued in the future": token(iat=LATER),
    "issued is infinite": with_value("iat", "1e400"),
    **{
        f"expires {value}": with_value("exp", value)
        for value in (
            "9999999999.5",
            '"9999999999"',
            "true",
            "null",
            "[9999999999]",
            "{}",
            "-1",
            "0",
            "1e400",
            "-1e400",
            "Infinity",
            "NaN",
            "9" * 5_000,
        )
    },
    # for whom, by whom
    "for somebody": token(aud="twitter"),
    "for several": token(aud=["twitter"]),
    "issuer is a list": with_value("iss", '["twitter"]'),
    "issuer in capitals": token(iss="Twitter"),
    "the last issuer counts": signed(json.dumps(GOOD).replace("}", ', "iss": "other"}').encode()),
    **{
        f"account {value}": with_value("sub", value)
        for value in ("7", "7.0", "true", "null", "[7]")
    },
    "account in other digits": token(sub="\u0667"),
    "account negative": token(sub="-7"),
    "account 0": token(sub="0"),
    "account with NUL": token(sub="7\0"),
    **{f"session {value}": with_value("sid", value) for value in ("8.0", "true", "{}", '"\u0668"')},
    **{
        f"generation {value}": with_value("gen", value)
        for value in ('"3"', "3.0", "true", "[3]", "1e400", "NaN")
    },
    # not quite the bytes that were signed
    "tampered": ".".join([WHOLE.split(".")[0], _part({**GOOD, "sub": "1"}), SIGNATURE]),
    "signature cut": WHOLE[:-1],
    "signature much cut": WHOLE[:-20],
    "signature empty": WHOLE.removesuffix(SIGNATURE),
    "signature twice": f"{WHOLE}.{SIGNATURE}",
    "signature of zeros": WHOLE.removesuffix(SIGNATURE) + "A" * 43,
    "blank inside": WHOLE.replace(".", ". ", 1),
    "line break inside": WHOLE.replace(".", ".\n", 1),
    "other base64": WHOLE[:-5] + "+/+/=",
    "junk in the signature": f"{WHOLE}!!!!",
    "a surrogate": f"{WHOLE}\ud800",
    "payload is a list": signed(b"[1]"),
    "payload is no JSON": signed(b"{"),
    "payload is no UTF-8": signed(b"\xff"),
    "payload is deep": signed(b"[" * 500),
    "header is deep": signed(b"{}", header=b"[" * 500),
    "header of digits": signed(b"{}", header=b"1" * 500),
    "just dots": "." * 999,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_no_other_token_is_good(bad: str) -> None:
    with pytest.raises(InvalidToken):
        verify_access_token(bad)


def test_clocks_may_differ_by_the_leeway_but_nothing_lives_longer() -> None:
    now = int(time.time())
    soon = now + tokens.LEEWAY_SECONDS - 10
    assert verify_access_token(token(nbf=soon, iat=soon)).account_id == 7
    for name in ("nbf", "iat"):
        with pytest.raises(InvalidToken):
            verify_access_token(token(**{name: now + tokens.LEEWAY_SECONDS + 10}))
    with pytest.raises(InvalidToken):
        verify_access_token(token(exp=now - 1))


def test_a_token_of_the_greatest_length_is_read_and_a_longer_one_is_not() -> None:
    longest = max(
        (token(more="x" * size) for size in range(500, 700)),
        key=lambda one: len(one) if len(one) <= tokens.MAX_LENGTH else 0,
    )
    assert tokens.MAX_LENGTH - 2 <= len(longest) <= tokens.MAX_LENGTH
    assert verify_access_token(longest).account_id == 7
    with pytest.raises(InvalidToken):
        verify_access_token(token(more="x" * 700))


def test_a_refresh_token_is_read_as_it_was_written() -> None:
    made = tokens.RefreshToken(5, tokens.new_family(), tokens.new_rotating())
    assert tokens.parse_refresh_token(str(made)) == made
    [successor] = made.successors()
    assert tokens.parse_refresh_token(str(successor)) == successor
    assert successor.family == made.family
    assert successor.rotating != made.rotating


@pytest.mark.parametrize(
    "text", ["", ".", "5", "5.short", f"x.{'a' * 65}", f"{2**70}.{'a' * 65}", f"5.{'é' * 65}"]
)
def test_what_is_no_refresh_token_is_none(text: str) -> None:
    assert tokens.parse_refresh_token(text) is None
