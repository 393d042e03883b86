"""What all measurements share."""

from dataclasses import dataclass
from pathlib import Path

from tests.bench.data import Network
from tests.bench.load import LoadGenerator
from tests.bench.scale import Scale


@dataclass(frozen=True)
class Bench:
    """`folder` is for logs, and gone in the end."""

    scale: Scale
    folder: Path
    network: Network
    load: LoadGenerator
