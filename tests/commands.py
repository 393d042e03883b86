"""What is sent to Redis, taken apart again (RESP 2, https://valkey.io/topics/protocol/)."""

from collections.abc import Iterator


def commands_in(message: bytes) -> Iterator[list[bytes]]:
    """Yield the commands of a message, each a list of its words."""
    place = 0
    while place < len(message):  # *<words>, and of each its length and itself
        end = message.index(b"\r\n", place)
        count, place, words = int(message[place + 1 : end]), end + 2, []
        for _ in range(count):
            end = message.index(b"\r\n", place)
            length = int(message[place + 1 : end])
            words.append(message[end + 2 : end + 2 + length])
            place = end + 2 + length + 2
        yield words
