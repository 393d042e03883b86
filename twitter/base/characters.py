"""Which characters names, descriptions and reasons may have, and their normal form.

The rules are those of tweets, plus one. Pages show these texts beside other people's words, so no
bidirectional control may reach beyond a text's end and turn those words around (Unicode Standard
Annex 9, section 2; CVE-2021-42574).
"""

import unicodedata

import regex
from django.core.exceptions import ValidationError

_FORBIDDEN = regex.compile(
    r"(?P<control>[\p{Cc}\u2028\u2029--[\t\n]])"
    r"|(?P<bidirectional>[\u202A-\u202E\u2066-\u2069])"
    r"|(?P<surrogate>\p{Cs})"
    r"|(?P<noncharacter>[\uFEFF\p{Noncharacter_Code_Point}])",
    regex.VERSION1,
)
_BECAUSE = {
    "control": "control characters are not allowed",
    "bidirectional": "characters that turn the direction of what follows are not allowed",
    "surrogate": "half of a surrogate pair is not a character",
    "noncharacter": "byte order marks and noncharacters are not allowed",
}
_BREAK = regex.compile(r"[\t\n]")
# U+2800, the blank Braille pattern, is the one blank that Unicode counts as a symbol.
_UNSEEN = regex.compile(r"[\s\p{Default_Ignorable_Code_Point}\u2800]")
_VISIBLE = regex.compile(r"[^\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800]")
# No more code points than these become one in NFC (U+1FAF, in Unicode 15).
_COMPOSED_MOST = 4


def line(text: str, *, most: int) -> str:
    """Return a text of one line in the form in which it is stored; see `lines`."""
    if found := _BREAK.search(text.strip()):
        raise _refused(found[0], "it is one line, without tabs")
    return lines(text, most=most)


def lines(text: str, *, most: int) -> str:
    r"""Return a text in the form in which it is stored: NFC, line breaks as \n, stripped.

    `most`: the code points that it may have. A text that has more in every normal form is returned
    as it is, for the caller to refuse: normalizing it might take long. Raises Django's
    ValidationError for a control character except tab and line break, for one that turns the
    direction of writing, for half a surrogate pair, for a noncharacter, and for a text that is not
    empty but has nothing visible.
    """
    if len(text) > _COMPOSED_MOST * most:
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if found := _FORBIDDEN.search(text):
        raise _refused(found[0], _BECAUSE[str(found.lastgroup)])
    if text and not _VISIBLE.search(text):
        raise ValidationError("It has only characters that cannot be seen.", code="invisible")
    return unicodedata.normalize("NFC", text)


def word(text: str, *, most: int) -> str:
    """Return a text of one word, such as an address, in which every character is visible.

    So two words that look alike are equal. All else is as in `lines`.
    """
    if found := _UNSEEN.search(text.strip()):
        raise _refused(found[0], "characters that cannot be seen are not allowed here")
    return line(text, most=most)


def _refused(character: str, because: str) -> ValidationError:
    return ValidationError(f"It contains U+{ord(character):04X}: {because}.", code="character")
