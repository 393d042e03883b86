"""What weighs most of all that one can post."""

from tweets import text

SEPARATOR = '"'  # ends a link and a mention, and is two bytes in JSON


def heaviest_text() -> str:
    """Return what weighs most in JSON of all that 280 characters and 4,096 bytes allow.

    Links stand in it twice: two of them take all the bytes that are to be had. What is left of the
    280 weighs most as mentions, of three characters and 42 bytes of JSON each.
    """
    left = text.MAX_WEIGHTED_LENGTH - 2 * text.URL_WEIGHT - 1
    mentions = f"{SEPARATOR}@a" * (left // 3)
    long = "http://a.co/".ljust(text.MAX_URL_LENGTH, "x")
    short = "http://a.co/".ljust(text.MAX_BYTES - len(long) - len(mentions) - 1, "x")
    return f"{long}{SEPARATOR}{short}{mentions}"
