"""Which entries make a page: the skeleton, before anything is known of the tweets but their ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from timelines import store
from timelines.store import id_of
from twitter.lib.ids import MAX_ID

# Among the newest so many entries of a home, an original shows once.
TOP = 80


class Doubt(NamedTuple):
    """What decides whether a retweet's original shows further down in the top.

    It does when the original is one of `originals`, or is that of one of the retweets `alike`.
    """

    originals: Sequence[int]
    alike: Sequence[int]


@dataclass(frozen=True)
class Draft:
    """The ids that fill a page, newest first, if readers may see all but the doubtful ones.

    `doubts` are those of retweets, by id. `of`: among how many entries these are the first.
    """

    ids: list[int]
    doubts: dict[int, Doubt]
    of: int

    @cached_property
    def needed(self) -> list[int]:
        """The tweets that one must know to fill the page and to decide on the doubts."""
        alike = [number for doubt in self.doubts.values() for number in doubt.alike]
        return list(dict.fromkeys(self.ids + alike))


class Top:
    """The newest entries of a home, among which an original shows once."""

    def __init__(self, entries: Sequence[int]) -> None:
        self._newest = entries[:TOP]
        self._last = id_of(self._newest[-1]) if self._newest else MAX_ID

    # Both are made when the first retweet asks: most pages have none, or few.
    @cached_property
    def _originals(self) -> dict[int, list[int]]:
        """The fingerprint that a retweet of a tweet would have, to such tweets."""
        originals: dict[int, list[int]] = {}
        for number in map(id_of, self._newest):
            originals.setdefault(store.fingerprint_of(number), []).append(number)
        return originals

    @cached_property
    def _retweets(self) -> dict[int, list[int]]:
        """Fingerprint to the retweets that have it."""
        retweets: dict[int, list[int]] = {}
        for entry in self._newest:
            if entry & store.TAGS:
                retweets.setdefault(entry & store.TAGS, []).append(id_of(entry))
        return retweets

    def draft(self, entries: Sequence[int], *, wanted: int) -> Draft:
        """Return so many of the first entries that `wanted` are left without the doubtful ones."""
        ids: list[int] = []
        doubts: dict[int, Doubt] = {}
        for entry in entries:
            if len(ids) - len(doubts) == wanted:
                break
            number = id_of(entry)
            ids.append(number)
            fingerprint = entry & store.TAGS
            if fingerprint and number >= self._last:
                doubt = self._doubt(number, fingerprint)
                if doubt.originals or doubt.alike:
                    doubts[number] = doubt
        return Draft(ids=ids, doubts=doubts, of=len(entries))

    def _doubt(self, number: int, fingerprint: int) -> Doubt:
        alike = self._retweets.get(fingerprint, ())
        return Doubt(
            originals=self._originals.get(fingerprint, ()),
            alike=[other for other in alike if other < number],
        )
