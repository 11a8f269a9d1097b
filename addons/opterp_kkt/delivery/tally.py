"""What a worker has done so far."""

from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts for whoever had a worker deliver."""

    delivered: int = 0
    rejected: int = 0
    attempts: int = 0
    busy: set[int] = field(default_factory=set)  # registers that another worker delivers

    @property
    def settled(self) -> int:
        return self.delivered + self.rejected
