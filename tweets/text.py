"""The text of a tweet: its normal form, its weighted length, and the entities in it.

Pure functions, no Django. The rules are those of twitter-text 3
(https://github.com/twitter/twitter-text: 3.1, config v3, and its conformance suite). Every function
takes time linear in the text's length, whatever the text is: a text is read in full before it can
be refused for its length. So quantifiers are possessive, and the scan never goes back.

Different from twitter-text, on purpose:
- usernames have at most 15 characters (not 20), the limit at sign-up;
- a list (`@user/list`) is a mention of the user, and `t.co` is a domain like any other;
- entities never overlap, and only what is reported as a URL weighs as one: of two that would
  overlap, the one that begins first wins (`#日本語example.com` is the hashtag `日本語example`);
- what stands before an `@` is never a URL, whichever of its labels are top-level domains, and
  nothing in an e-mail address is an entity, whatever signs its local part has (RFC 5322's atoms);
- besides its weighted length a text has at most 4,096 bytes, and a URL that weighs as one at most
  2,048 characters (there: 4,096): what a tweet costs everybody who reads it is its bytes.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypedDict

import emoji
import regex
import tld
from tld.utils import MozillaPublicOnlyTLDSourceParser

MAX_WEIGHTED_LENGTH = 280
MAX_BYTES = 4_096
URL_WEIGHT = 23
MAX_URL_LENGTH = 2_048
MAX_LABEL_LENGTH = 63  # RFC 1035, section 2.3.4


class TextError(ValueError):
    """The text can't be a tweet; the message says which rule it breaks."""


class Tag(TypedDict):
    """A hashtag or a cashtag; `tag` comes without its sign."""

    start: int
    end: int
    tag: str


class Mention(TypedDict):
    """`username` comes without its sign, and need not be anybody's."""

    start: int
    end: int
    username: str


class Url(TypedDict):
    """`url` as it was written: a bare domain has no scheme."""

    start: int
    end: int
    url: str


class Entities(TypedDict):
    """What is found in a text, as it goes over the wire (Twitter API v2).

    `start` and `end` count Unicode code points (not UTF-16 units, not bytes), `end` exclusive,
    signs included. Entities of all kinds are in order and never overlap. All keys are always there.
    """

    hashtags: list[Tag]
    mentions: list[Mention]
    urls: list[Url]
    cashtags: list[Tag]


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A text that may be tweeted: `text` in normal form, `weighted_length` from 1 to 280.

    `text` has at most MAX_BYTES bytes of UTF-8.
    """

    text: str
    weighted_length: int
    entities: Entities


def parse(text: str) -> ParsedText:
    """Check the text of a new tweet.

    Raises TextError as `normalize` does, for a text of more than MAX_BYTES bytes, and for one
    whose weighted length is above 280.
    """
    text = normalize(text)
    if (size := len(text.encode())) > MAX_BYTES:
        raise TextError(f"The text has {size} bytes in UTF-8; the limit is {MAX_BYTES}.")
    found = entities(text)
    length = _weigh(text, urls=found["urls"])
    if length > MAX_WEIGHTED_LENGTH:
        raise TextError(
            f"The weighted length of the text is {length}; the limit is {MAX_WEIGHTED_LENGTH}."
        )
    return ParsedText(text=text, weighted_length=length, entities=found)


# --- Normal form -------------------------------------------------------------------------------

# U+FFFE, U+FEFF and U+FFFF are twitter-text's invalid characters. Bidirectional controls are
# valid there and here: right-to-left texts need them, and a client that shows a text has to isolate
# it. The controls from U+0080 to U+009F are valid too: real tweets have them, decoded wrongly long
# ago.
_FORBIDDEN = regex.compile(
    r"(?P<control>[\x00-\x08\x0B-\x1F\x7F])"
    r"|(?P<surrogate>[\uD800-\uDFFF])"
    r"|(?P<noncharacter>[\uFEFF\uFFFE\uFFFF])"
)
_FORBIDDEN_BECAUSE = {
    "control": "control characters other than line breaks and tabs are not allowed",
    "surrogate": "half of a surrogate pair is not a character",
    "noncharacter": "byte order marks and noncharacters are not allowed",
}
# U+2800, the blank Braille pattern, is the one blank that Unicode counts as a symbol.
_VISIBLE = regex.compile(r"[^\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800]")
_MANY_MARKS = regex.compile(r"\p{M}{32,}+")


def normalize(text: str) -> str:
    r"""Return the text in the form in which it is stored: NFC, line breaks as \n, and without
    white space at its ends (inside, all white space stays).

    Raises TextError for an ASCII control character other than \t, \n, \r, for a lone surrogate, for
    U+FEFF, U+FFFE, U+FFFF, and for a text in which nothing is visible.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if forbidden := _FORBIDDEN.search(text):
        because = _FORBIDDEN_BECAUSE[str(forbidden.lastgroup)]
        raise TextError(f"The text contains U+{ord(forbidden[0]):04X}: {because}.")
    if not _VISIBLE.search(text):
        raise TextError("The text is empty, or has only characters that can't be seen.")
    return _compose(text).strip()


def _compose(text: str) -> str:
    """Return the NFC form, in linear time."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _MANY_MARKS.sub(_sort_marks, text))


def _sort_marks(run: regex.Match[str]) -> str:
    """Decompose a run of marks and put it into canonical order, as NFC does first.

    CPython sorts marks by insertion, in quadratic time unless they are in order: 100,000 marks on
    one letter would take half a minute. The order is a stable sort by combining class of what
    stands between two starters (The Unicode Standard, section 3.11).
    """
    marks = (mark for character in run[0] for mark in unicodedata.normalize("NFD", character))
    between_starters = groupby(marks, key=lambda mark: unicodedata.combining(mark) > 0)
    return "".join(
        mark for _, group in between_starters for mark in sorted(group, key=unicodedata.combining)
    )


# --- Weighted length ---------------------------------------------------------------------------

# Characters of these ranges weigh 1, all others 2 (config v3, in hundredths there).
_HEAVY = re.compile(r"[^\u0000-\u10FF\u2000-\u200D\u2010-\u201F\u2032-\u2037]+")
# Only sequences have to be known: an emoji of one code point weighs 2 as every character in its
# range does. That leaves `©` and `®` at 1 and `©️` at 2, which is twemoji-parser's rule: these
# are emoji only when U+FE0F follows. Sequences come from Unicode's list, not from a grammar of
# joiners, in which a chain of any length would weigh 2 and no text would be too long.
_EMOJI_SEQUENCES = frozenset(sequence for sequence in emoji.EMOJI_DATA if len(sequence) > 1)
_EMOJI_MAX_LENGTH = max(map(len, _EMOJI_SEQUENCES))
_EMOJI_SECOND = re.compile(f"[{''.join({sequence[1] for sequence in _EMOJI_SEQUENCES})}]")
_HEAVY_CHARACTER = "\N{REPLACEMENT CHARACTER}"


def weighted_length(text: str) -> int:
    """Return the weighted length of any text (of its NFC form; white space at the ends counts).

    For a text that is counted only; `parse` weighs what it has parsed already.

    A URL weighs 23, an emoji 2, however many code points it takes; of other characters those of
    the scripts up to Georgian and common punctuation weigh 1, the rest 2.
    """
    text = _compose(text)
    return _weigh(text, urls=entities(text)["urls"])


def _weigh(text: str, *, urls: Sequence[Url]) -> int:
    if urls:
        ends = [0, *(url["end"] for url in urls)]
        starts = [*(url["start"] for url in urls), len(text)]
        between = [text[end:start] for end, start in zip(ends, starts, strict=True)]
        text = ("x" * URL_WEIGHT).join(between)
    if text.isascii():
        return len(text)
    text = _shorten_emoji(text)
    return len(text) + sum(map(len, _HEAVY.findall(text)))


def _shorten_emoji(text: str) -> str:
    """Put one heavy character in the place of each emoji sequence, the longest at each place."""
    parts = []
    position = 0
    while second := _EMOJI_SECOND.search(text, position + 1):
        start = second.start() - 1
        parts.append(text[position:start])
        window = text[start : start + _EMOJI_MAX_LENGTH]
        for length in range(len(window), 1, -1):
            if window[:length] in _EMOJI_SEQUENCES:
                parts.append(_HEAVY_CHARACTER)
                break
        else:
            length = 1
            parts.append(window[0])
        position = start + length
    parts.append(text[position:])
    return "".join(parts)


# --- Entities ----------------------------------------------------------------------------------

_ACCENTED = r"\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u024F\u0300-\u036F\u1E00-\u1EFF"
_TAG_EXTRA = (
    r"\p{Nd}_\u00B7\u05BE\u05F3\u05F4\u0F0B\u0F0C\u200C\u200D"
    r"\u3003\u301C\u309B\u309C\u30A0\u30FB\uA67E\uFF5E"
)
_TAG = rf"\p{{L}}\p{{M}}{_TAG_EXTRA}"
# A host after a scheme may be of any script; a bare domain is Latin, up to its top-level domain,
# for else it could not be told from the words around it in a script without spaces.
_HOST_LABEL = r"[^\x00-,./:-@\[-\^`{-\x7F\s\p{Bidi_Control}]"
_BARE_LABEL = rf"[0-9A-Za-z_{_ACCENTED}\-]"
# What a local part has besides letters and digits (RFC 5322, atext), but for what may follow a
# domain in a URL (`/`, `?`) and for `#`.
_ATOM_SIGN = r"!$%&'*+=^_`{|}~\-"
_ATOM = rf"[0-9A-Za-z{_ACCENTED}{_ATOM_SIGN}]"

# No entity has white space in it, and few words have one of these characters.
_WORD_WITH_SIGN = regex.compile(r"(?<!\S)[^\s.$#@\uFF03\uFF20]*+[.$#@\uFF03\uFF20]\S++")
_TOKEN = regex.compile(
    # a URL with its scheme
    rf"(?<![0-9A-Za-z@\uFF20$#\uFF03])(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?://)"
    rf"(?P<host>{_HOST_LABEL}++(?:\.{_HOST_LABEL}++)++)"
    # an e-mail address, so that nothing in it is looked at; `RT@name.` is a mention
    rf"|(?<![0-9A-Za-z.{_ACCENTED}{_ATOM_SIGN}])(?![Rr][Tt]@)(?P<email>[{_ATOM_SIGN}]*+"
    rf"[0-9A-Za-z{_ACCENTED}]{_ATOM}*+(?:\.{_ATOM}++)*+@{_BARE_LABEL}++(?:\.{_BARE_LABEL}++)++)"
    # what may be a bare domain: the whole run, so that none is begun in the middle of another
    rf"|(?<![0-9A-Za-z_{_ACCENTED}@\uFF20$#\uFF03./\-])"
    rf"(?P<bare>{_BARE_LABEL}++(?=\.[\p{{L}}\p{{Nd}}])(?:\.{_BARE_LABEL}++)*+)"
    rf"(?P<tail>\.[\p{{L}}\p{{M}}]{{1,24}}+)?+"
    # U+FE0E and U+FE0F are marks, but belong to the emoji before; `#️⃣` is an emoji itself
    rf"|(?:(?<![{_TAG}&])|(?<=[\uFE0E\uFE0F]))[#\uFF03](?![\uFE0F\u20E3])"
    rf"(?=[{_TAG_EXTRA}]*+[\p{{L}}\p{{M}}])(?P<hashtag>[{_TAG}]++)(?![#\uFF03]|://)"
    # after a word character only as in "RT@name", how tweets were retweeted by hand
    rf"|(?:(?<![0-9A-Za-z_!@\uFF20#$%&*])|(?<=(?<![0-9A-Za-z_+~.\-])[Rr][Tt]))[@\uFF20]"
    rf"(?P<mention>[0-9A-Za-z_]{{1,15}}+)(?![0-9A-Za-z_@\uFF20{_ACCENTED}]|://)"
    r"|(?<![^\s\p{Bidi_Control}])\$(?P<cashtag>[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?)"
    r"(?![^\s!-/:-@\[-`{-~\p{Bidi_Control}])"
)
_PATH_CHARACTER = rf"[0-9A-Za-z\u0400-\u04FF{_ACCENTED}!*';:=+,.$/%#\[\]\-\u2013_~@|&]"
_PORT_AND_PATH = regex.compile(
    rf"(?::[0-9]++)?+(?:/(?:{_PATH_CHARACTER}++|\((?!\)){_PATH_CHARACTER}*+"
    rf"(?:\({_PATH_CHARACTER}++\){_PATH_CHARACTER}*+)?+\))*+)?+"
)
_NOT_AT_PATH_END = "!*';:,.$%[]\u2013~@|&"
_QUERY = regex.compile(r"\?[0-9A-Za-z!?*'@();:&=+$/%#\[\]\-_.,~|]++")
_NOT_AT_QUERY_END = "?!*'@();:+$%[].,~|"

# The last labels of the Public Suffix List that comes with the library; nothing is fetched.
_TLDS = frozenset(
    tld.get_tld_names(parser_class=MozillaPublicOnlyTLDSourceParser)[
        MozillaPublicOnlyTLDSourceParser.local_path
    ].root.children
    or ()
)
_TLD_MAX_LENGTH = max(map(len, _TLDS))
_GOES_ON = re.compile(r"[0-9A-Za-z@+-]")


def entities(text: str) -> Entities:
    """Return what is found in a text; offsets are offsets in the text as it is given.

    URLs have the scheme http or https, or none and a top-level domain that exists. E-mail
    addresses are neither URLs nor mentions.
    """
    found: Entities = {"hashtags": [], "mentions": [], "urls": [], "cashtags": []}
    for word in _WORD_WITH_SIGN.finditer(text):
        position, end = word.span()
        while token := _TOKEN.search(text, position, end):
            position = _add(found, token)
    return found


def _add(found: Entities, token: regex.Match[str]) -> int:
    """Append the entity that the token is or begins, if any; return where to read on."""
    start, end = token.span()
    value = token[0][1:]
    match token.lastgroup:
        case "hashtag":
            found["hashtags"].append({"start": start, "end": end, "tag": value})
        case "mention":
            found["mentions"].append({"start": start, "end": end, "username": value})
        case "cashtag":
            found["cashtags"].append({"start": start, "end": end, "tag": value})
        case "email":
            pass
        case _:
            return _add_url(found["urls"], token)
    return end


def _add_url(urls: list[Url], token: regex.Match[str]) -> int:
    """Append the URL that begins with the token, if there is one; return where to read on."""
    text = token.string
    start = token.start()
    domain_end = _domain_end(text, start + len(token["scheme"] or ""), token.end())
    if not domain_end:
        return token.end("scheme" if token["scheme"] else "bare")
    end = _url_end(text, domain_end)
    if end - start + len("" if token["scheme"] else "https://") <= MAX_URL_LENGTH:
        urls.append({"start": start, "end": end, "url": text[start:end]})
    return end


def _domain_end(text: str, start: int, end: int) -> int:
    """Return where the longest domain that begins `text[start:end]` ends; 0 if there is none."""
    if text[end : end + 1] == "@":
        return 0
    labels = text[start:end].split(".")
    usable = next((n for n, label in enumerate(labels) if not _is_label(label)), len(labels))
    for n in range(len(labels) - 1, 0, -1):
        label_end = end
        end -= len(labels[n])
        if n <= usable and "_" not in labels[n - 1]:
            length = _tld_length(labels[n], after=text[label_end : label_end + 1])
            if length:
                return end + length
        end -= len(".")
    return 0


def _is_label(label: str) -> bool:
    if label[0] in "-_" or label[-1] in "-_" or len(label) > MAX_LABEL_LENGTH:
        return False
    if label.isascii():
        return True
    encoded = b"xn--" + label.encode("punycode")
    return len(encoded) <= MAX_LABEL_LENGTH and not label.lower().startswith("xn--")


def _tld_length(label: str, *, after: str) -> int:
    """Return the length of the longest top-level domain that begins the label, or 0.

    `after` is the character after the label, if any. An ASCII letter or digit, `@`, `+` or `-`
    after a top-level domain makes it another word (twitter-text's validGTLD and validCCTLD); other
    letters don't: CJK texts go on without a space.
    """
    for length in range(min(len(label), _TLD_MAX_LENGTH), 1, -1):
        if label[:length].lower() in _TLDS and not _GOES_ON.match((label + after)[length:]):
            return length
    return 0


def _url_end(text: str, end: int) -> int:
    """Return where the URL ends whose domain ends at `end`.

    It goes on with port, path and query, without the punctuation at their end: that belongs to
    the sentence, and so does what follows it.
    """
    if port_and_path := _PORT_AND_PATH.match(text, end):
        end += len(port_and_path[0].rstrip(_NOT_AT_PATH_END))
        if end < port_and_path.end():
            return end
    if query := _QUERY.match(text, end):
        end += len(query[0].rstrip(_NOT_AT_QUERY_END))
    return end
