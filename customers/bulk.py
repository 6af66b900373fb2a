"""What came of doing one thing to many rows, and the batches it is done in."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

#: Rows locked and written together.
BATCH = 500


@dataclass(frozen=True, slots=True)
class BulkResult:
    """How many rows were changed (in a plan: would be), and how many were passed over, by the reason in words."""

    done: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "BulkResult") -> "BulkResult":
        reasons = dict(self.skipped)
        for words, count in other.skipped.items():
            reasons[words] = reasons.get(words, 0) + count
        return BulkResult(self.done + other.done, reasons)


def batches(ids: Collection[int]) -> Iterator[list[int]]:
    """The ids in order, each once, BATCH at a time: two people at work on the same rows lock them in one order."""
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), BATCH):
        yield ordered[start : start + BATCH]
