"""The text of a tweet. Most examples are facts of twitter-text's conformance suite (v3)."""
# ruff: noqa: RUF001 -- letters that look like others are the point of a text in another script

import time
import unicodedata
from contextlib import suppress
from itertools import pairwise

import emoji
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.growth import BOUND, growth
from tweets.text import (
    MAX_BYTES,
    MAX_URL_LENGTH,
    MAX_WEIGHTED_LENGTH,
    TextError,
    entities,
    normalize,
    parse,
    weighted_length,
)

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
RAINBOW_FLAG = "\U0001f3f3\ufe0f\u200d\U0001f308"
HEBREW_SHIN = "\ufb2c"  # composes into nothing: its NFC form has three characters

# Pieces that mean something to the parser; random mixtures of them reach its corners.
WORDS = "http:// https:// www. example.com .co .みんな xn-- RT a.b me@x.io #hashtag $TWTR"
PIECES = [
    *WORDS.split(),
    *"aé.ー日ก12 _-/:?=&()[]@#$!\n\t\r·＠＃™©\u0301\u0316\u0f73\u200d\ufe0f\ufe0e\u20e3\u202a",
    *("👍", "\U0001f3fd", "🇩", "🇪", FAMILY, ENGLAND, RAINBOW_FLAG, "❤\ufe0f"),
]
MIXTURES = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
CHARACTERS = st.characters(categories=["L", "M", "N", "P", "S", "Z", "C"])  # surrogates too
ANY_TEXT = MIXTURES | st.text(CHARACTERS, max_size=60)


def urls(text: str) -> list[str]:
    return [url["url"] for url in entities(text)["urls"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  hi \n", "hi"),
        ("\u3000\u00a0hi\u2028", "hi"),
        ("a\r\nb\rc\n\n\td", "a\nb\nc\n\n\td"),
        ("e\u0301", "é"),
        ("\u2066\u202aabc\u202c\u2069", "\u2066\u202aabc\u202c\u2069"),
        (f"\u200b{FAMILY}", f"\u200b{FAMILY}"),
        ("a\x80\x92\x9fb", "a\x80\x92\x9fb"),
    ],
)
def test_normal_form(text: str, expected: str) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize("code_point", [0, 1, 8, 0xB, 0xC, 0xE, 0x1B, 0x1F, 0x7F])
def test_control_characters_are_refused(code_point: int) -> None:
    with pytest.raises(TextError, match=rf"U\+{code_point:04X}: control characters"):
        normalize(f"a{chr(code_point)}b")


@pytest.mark.parametrize("position", ["{}a", "a{}", "{}"])
@pytest.mark.parametrize(
    ("character", "rule"),
    [
        ("\ud83d", r"U\+D83D: half of a surrogate pair"),
        ("\udc00", r"U\+DC00: half of a surrogate pair"),
        ("\ufeff", r"U\+FEFF: byte order marks"),
        ("\ufffe", r"U\+FFFE: byte order marks"),
        ("\uffff", r"U\+FFFF: byte order marks"),
    ],
)
def test_what_is_no_character_is_refused(character: str, rule: str, position: str) -> None:
    with pytest.raises(TextError, match=rule):
        normalize(position.format(character))


@pytest.mark.parametrize("text", ["", "\r\n\t", *" \x80\u3000\u200b\ufe0f\u00ad\u3164\u2800\u202a"])
def test_text_without_anything_visible_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="is empty"):
        normalize(text)


@settings(deadline=None)  # the machine may be busy
@given(
    st.text(st.sampled_from("aé각\u0301\u0316\u0f73\u0344\u0f71\u3099\u302a\u1e47"), max_size=150)
)
def test_marks_in_any_number_compose_as_unicode_says(text: str) -> None:
    assert normalize("x" + text) == unicodedata.normalize("NFC", "x" + text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("a" * 280, 280),
        ("a b\n\t", 5),
        ("#*0123456789", 12),
        ("の" * 140, 280),
        ("ก\u10ff", 2),
        ("\u1100", 2),
        ("\u2000\u200d\u2010\u201f\u2032\u2037", 6),
        ("\u200e\u200f\u2020\u2031\u2038", 10),
        ("\U00010000\U0010fffd", 4),
        ("A\u0301B", 2),
        ("A" + HEBREW_SHIN, 4),
        ("H🐱☺" + FAMILY, 7),
        ("😷👾😡🔥💩", 10),
        ("🙋🏽\U0001f468\u200d\U0001f3a4", 4),
        (f"Unicode 10.0 emoji: 🤪; 🧕; 🧕🏾; {ENGLAND}", 34),
        (FAMILY * 140, 280),
        ("1\ufe0f\u20e3#\u20e3", 4),
        ("🇩🇪🇫🇷", 4),
        ("🇩🇩", 4),
        ("🇩🇩🇪", 4),
        ("©®", 2),
        ("©\ufe0f®\ufe0f™\ufe0f", 6),
        ("❤\ufe0f", 2),
        ("❤\ufe0e", 4),
        ("\ufe0f", 2),
        ("\U0001f468\u200d" * 1000, 3000),
        ("http://test.com", 23),
        ("test.com", 23),
        ("Hi http://test.co", 26),
        ("Test https://test.com test https://test.com test.com test", 86),
        ("https://www.twitter.com/aloha " * 10, 240),
        ("\u2066\u202ahttp://foobar.پاکستان/\u202c\u2069", 31),
        ("https://example.com/" + "x" * 2028, 23),
        ("https://example.com/" + "x" * 2029, 2049),
        ("x" * 267 + " a.co+b@c.org", 280),
        ("a" * 63 + ".com", 23),
        ("a" * 64 + ".com", 68),
        ("http://" + "あいうえおかきくけこ" * 5 + "あい.com", 23),
        ("http://" + "あいうえおかきくけこ" * 5 + "あいう.com", 117),
    ],
)
def test_weighted_length(text: str, expected: int) -> None:
    assert weighted_length(text) == expected


def test_every_emoji_weighs_two() -> None:
    weights = {
        sequence: weighted_length(sequence)
        for sequence, data in emoji.EMOJI_DATA.items()
        if data["status"] == emoji.STATUS["fully_qualified"]
    }
    assert len(weights) > 3000
    assert {sequence for sequence, weight in weights.items() if weight != 2} == set()


@pytest.mark.parametrize("text", ["a" * 280, "の" * 140, FAMILY * 140, "a" * 256 + " test.com"])
def test_the_longest_texts_are_accepted(text: str) -> None:
    assert parse(text).weighted_length == MAX_WEIGHTED_LENGTH


@pytest.mark.parametrize(
    ("text", "length"),
    [("a" * 281, 281), ("の" * 141, 282), (FAMILY * 141, 282), ("a" * 257 + " test.com", 281)],
)
def test_longer_texts_are_refused_with_the_length_and_the_limit(text: str, length: int) -> None:
    with pytest.raises(TextError, match=rf"is {length}; the limit is 280"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        " ".join(["http://a.co/" + "x" * 2000] * 2) + " " * 4 + "x" * 67,
        " ".join(["https://example.com/" + "я" * 500] * 4) + "x" * 13,
    ],
)
def test_a_text_has_at_most_4096_bytes(text: str) -> None:
    assert len(text.encode()) == MAX_BYTES
    assert parse(text).weighted_length <= MAX_WEIGHTED_LENGTH
    with pytest.raises(TextError, match="has 4097 bytes in UTF-8; the limit is 4096"):
        parse(text + "x")
    with pytest.raises(TextError, match="has 4098 bytes"):
        parse("é" + text)


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_lengths_of_lines_add_up(one: str, other: str) -> None:
    assert weighted_length(f"{one}\n{other}") == weighted_length(one) + 1 + weighted_length(other)


@settings(deadline=None)
@given(ANY_TEXT)
def test_length_is_that_of_the_composed_text(text: str) -> None:
    assert weighted_length(text) == weighted_length(unicodedata.normalize("NFC", text))


@settings(deadline=None)
@given(ANY_TEXT.filter(lambda text: "." not in text))
def test_without_a_url_a_character_weighs_at_most_two(text: str) -> None:
    assert weighted_length(text) <= 2 * len(unicodedata.normalize("NFC", text))


URLS = """
http://example.com HTTPS://www.ExaMPLE.COM/index.html http://foobar.com/#
http://google.com/#search?q=iphone%20-filter%3Alinks http://somehost.com:3000
http://example.com:8080/login.php?a=b http://xo.com/~matthew+%ff-,.;x
http://en.wikipedia.org/wiki/Primer_(film)
http://rdio.com/track/We_Up_(Album_Version_(Edited))/
http://msdn.microsoft.com/system.net.httpwebrequest(v=VS.100).aspx http://✪df.ws/ejp
http://☃.net/ http://あ-あ.com http://exampleこれは日本語です.com/path/index.html http://foobar.みんな/
http://foobar.پاکستان/ http://xn--ls8h.XN--ls8h.la/ http://chilp.it/?77e8fd
http://example.com/view/slug-url-?foo=bar http://example.com/a+ http://a.b.cd
http://a_b.c-d.com http://twitter.com/Русские_слова
https://en.m.wikipedia.org/wiki/Hatfield–McCoy_feud
http://www.foo.com/bar-path/some.stm?param1=foo;param2=P1|0||P2|0
http://www.foo.com?referer=https://t.co/abcde
https://www.youtube.com/watch?v=LOxOAuDHzaw&list=PLPoq910Q9jXhuH6pit_KwIsck9fEz_9U- foo.com
www.foo.co.uk foo.jp t.co/abcde MLB.tv ELPAÍS.com twitter.みんな
"""


@pytest.mark.parametrize("url", URLS.split())
def test_url(url: str) -> None:
    assert urls(f"text ({url}), text") == urls(f"「{url}」") == [url]


@pytest.mark.parametrize(
    "text",
    [
        "http://no-tld http://tld-too-short.x http:// http://.com",
        "http://-leadingdash.twitter.com http://trailingdash-.twitter.com http://twitter-.com",
        "http://_leading.twitter.com http://trailing_.twitter.com http://twitter_underscore.com",
        "http://domain-dash_2314352345_dfasd.foo-cow_4352.com http://twitter.c_o_m",
        "http://256.1.2.3/ 1.1.1.1 ftp://www.example.com/",
        "http://xn--はじめよう.com/index.html",
        "#test.com @test.com #http://test.com @http://test.com #t.co/abcde @t.co/abcde",
        "$http://twitter.com $twitter.com $http://t.co/abcde $t.co/abcde $t.co $TVI.CA",
        "long.test.tar.bz2 foo.baz foo.comm foo.govedu wait...example.com x/example.com",
        "john.doe.gov@mail.com john@mail.co.uk first.com.net@mail.com",
        "http://user:PASSW0RD@example.com:8080/login.php http://google.com@example.com",
        # 3.1 of twitter-text has given up "usually a typo", which earlier versions linked
        "http://domain.com-that-you-should-have-put-a-space-after a.co- a.co+",
        "name.al+lastname@foo.com name.al-lastname@foo.com http://a.co@b http://a.co+b",
        "name.al&co@foo.com {name.al}@foo.com name.al!x.al=y@foo.com née.al'é@foo.com",
    ],
)
def test_no_url(text: str) -> None:
    assert urls(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://example.comだよね.comtest/hogehoge", "http://example.com"),
        ("example.comてすとですtwitter.みんなです", "example.com twitter.みんな"),
        ("http://example.com/path" + "." * 40, "http://example.com/path"),
        ("http://example.com/path/!!! http://a.co/,,,", "http://example.com/path/ http://a.co/"),
        ("http://twitter.com/. (see a.co/b).", "http://twitter.com/ a.co/b"),
        ("http://a.co/(b http://a.co/b) http://a.co/()", "http://a.co/ http://a.co/b http://a.co/"),
        ("@user Try http:// example.com/path", "example.com/path"),
        ("http://foo.com?#foo? http://foo.com??", "http://foo.com?#foo http://foo.com"),
        ('"http://a.co/wiki/"quoted', "http://a.co/wiki/"),
        ("http://a.co/x'http://b.co", "http://a.co/x'http://b.co"),
        ("http://http://a.co", "http://a.co"),
        ("http://a.co:port b.co:80", "http://a.co b.co:80"),
        (
            "http://a.co/これは。b.com中国語http://c.jp/d한국e.fテスト",
            "http://a.co/ b.com http://c.jp/d",
        ),
    ],
)
def test_where_urls_end(text: str, expected: str) -> None:
    assert urls(text) == expected.split()


def test_url_that_is_too_long_is_no_url() -> None:
    longest = "http://a.co/".ljust(MAX_URL_LENGTH, "x")
    assert urls(longest) == [longest]
    assert urls(longest + "x") == []
    assert urls("a.co/".ljust(MAX_URL_LENGTH - len("https://") + 1, "x")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#hashtag ＃ｈａｓｈｔａｇ１２３ #1st #a1", "hashtag ｈａｓｈｔａｇ１２３ 1st a1"),
        ("(#a )#b [#c ]#d ’#e’#f :#g ;#h ,#i .#j !#k ?#l", "a b c d e f g h i j k l"),
        ("#a: #b; #c, #d. #e! #f?\n#g", "a b c d e f g"),
        ("#트위터 #ашок #漢字 #いすゞ #サッカー。", "트위터 ашок 漢字 いすゞ サッカー"),
        ("#メ～テレ #il·lusió #עַל־יְדֵי #各〃", "メ～テレ il·lusió עַל־יְדֵי 各〃"),
        ("#می\u200cخواهم #ශ්\u200dරීලංකා #बाल", "می\u200cخواهم ශ්\u200dරීලංකා बाल"),
        ("#\U00020021 #A\U000104a0", "\U00020021 A\U000104a0"),
        ("a ✌#a ✌\ufe0e#b ✌\ufe0f#c ✌🏿#d " + FAMILY + "#e", "a b c d e"),
        ("#_ #1_2 #122 #〃 # x #١٢", ""),
        ("日本語#日本語 a#b é#b 1#b _#b &#b", ""),
        ("#http://a.co #a#b ##", ""),
        ("http://a.co/#a a.co/#a", ""),
        ("#\ufe0f\u20e3 #\u20e3", ""),
        ("#日本語example.com", "日本語example"),
    ],
)
def test_hashtags(text: str, expected: str) -> None:
    assert [tag["tag"] for tag in entities(text)["hashtags"]] == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@username ＠user_name @12345\n@a.", "username user_name 12345 a"),
        ("の@usernameに (cc: @b) [@c] .@d -@e", "username b c d e"),
        ("RT@a RT:@b rt@c Rt @d", "a b c d"),
        ("@user.com @user/list", "user user"),
        ("@" + "a" * 15, "a" * 15),
        ("@" + "a" * 16, ""),
        ("a@b _@b aRT@b f!@k f@@k f#@k f$@k f%@k f&@k f*@k @_@", ""),
        ("me@example.com john.doe@mail.co @test@example.com", ""),
        ("me+@example.com me.al-@mail.co it's@mail.co {me}@b.co (me-@b.co) ü'@b.co", ""),
        ("me+@user RT@example.com -@example.com a..-@b.co", "user example example b"),
        ("@aliceìnheiro @http://twitter.com http://a.co/@user", ""),
    ],
)
def test_mentions(text: str, expected: str) -> None:
    assert [mention["username"] for mention in entities(text)["mentions"]] == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$TEST $Stock\n$symbol", "TEST Stock symbol"),
        ("$TEST.T $test.tt $Stock_X $symbol_ab", "TEST.T test.tt Stock_X symbol_ab"),
        ("$TEST. $TEST_ $A.BCD", "TEST TEST A"),
        ("$OK$NG$BAD text$NO .$NG $$NG", "OK"),
        ("$123 $test123 $ストック $ $. $- $@ $! $() $+ $TooLongTag", ""),
    ],
)
def test_cashtags(text: str, expected: str) -> None:
    assert [tag["tag"] for tag in entities(text)["cashtags"]] == expected.split()


def test_offsets_are_code_points_in_the_normalised_text() -> None:
    parsed = parse(f" {FAMILY} cafe\u0301 #日本 @jack $TWTR\r\nexample.com ")
    assert parsed.text == f"{FAMILY} café #日本 @jack $TWTR\nexample.com"
    assert parsed.weighted_length == 2 + len(" café #") + 4 + len(" @jack $TWTR ") + 23
    assert parsed.entities == {
        "hashtags": [{"start": 13, "end": 16, "tag": "日本"}],
        "mentions": [{"start": 17, "end": 22, "username": "jack"}],
        "cashtags": [{"start": 23, "end": 28, "tag": "TWTR"}],
        "urls": [{"start": 29, "end": 40, "url": "example.com"}],
    }


def test_all_keys_are_there_when_nothing_is_found() -> None:
    assert entities("") == {"hashtags": [], "mentions": [], "urls": [], "cashtags": []}


@settings(deadline=None)
@given(ANY_TEXT)
def test_offsets_slice_to_the_entity_and_never_overlap(text: str) -> None:
    found = entities(text)
    spans = []
    for url in found["urls"]:
        assert text[url["start"] : url["end"]] == url["url"]
        spans.append((url["start"], url["end"]))
    for tag in found["hashtags"] + found["cashtags"]:
        assert text[tag["start"] : tag["end"]] in {sign + tag["tag"] for sign in "#＃$"}
        spans.append((tag["start"], tag["end"]))
    for mention in found["mentions"]:
        assert text[mention["start"] : mention["end"]] in {s + mention["username"] for s in "@＠"}
        spans.append((mention["start"], mention["end"]))
    spans.sort()
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@settings(deadline=None)
@given(ANY_TEXT)
def test_parsing_raises_nothing_else_and_is_idempotent(text: str) -> None:
    try:
        parsed = parse(text)
    except TextError:
        return
    assert parse(parsed.text) == parsed
    assert 1 <= parsed.weighted_length == weighted_length(parsed.text) <= MAX_WEIGHTED_LENGTH
    assert parsed.entities == entities(parsed.text)


HOSTILE_WORDS = """
a. 1.1.1. a@ a@b. # @ $ ( . - _ #a #1 @a $A RT@ http:// http://a. http://a.co/ a.co, みんな.
http://a.co/( http://a.co/((a http://a.co, a.co?. a.co/x. _.com.com a_.b xn-- a.みん 日a.
http://みんな. #日本 ー 각 · #@$.a( a.co+ a! a.co-b. a'. {a a+@ a.b@c
"""
HOSTILE = [
    *HOSTILE_WORDS.split(),
    *("x." + "é" * 30, " ", "\n", " $AAAAAA.", "a.co/x ", "\u3164", "\ud800", "\x00"),
    *("\U0001f468\u200d", "1\ufe0f", "\ufe0f", "🇩", "👍🏽", "\U0001f3f4\U000e0067", "\u200d"),
    *("\u0301\u0316", "e\u0316\u0301", "\u0f73", "\u0f73\u0f71", "\u0301", "e\u0301", "각"),
    *("a", "1", "漢", "א", "\u202e", "\u200fא", "[", "[(", "((a)", "http", "https://", "＠", "＃a"),
    *(FAMILY, RAINBOW_FLAG, ENGLAND, "www.", "a-b.", "xn--a.", "$A", "@a.b ", "é.com", "..", "\t"),
]


def read(text: str) -> None:
    weighted_length(text)
    with suppress(TextError):
        parse(f"a{text}")


@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
@pytest.mark.parametrize("prefix", ["", "http://a.co/("], ids=["bare", "in a path"])
def test_time_is_linear_in_the_length(piece: str, prefix: str) -> None:
    assert growth(read, piece, prefix=prefix) < BOUND


def test_a_hundred_thousand_hostile_characters_take_seconds_at_most() -> None:
    text = "".join(piece * (100_000 // len(HOSTILE) // len(piece)) for piece in HOSTILE)
    begun = time.process_time()
    read(text)
    assert time.process_time() - begun < 10
