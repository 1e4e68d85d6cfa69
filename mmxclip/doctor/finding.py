"""What a check has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

OK, WARNING, PROBLEM = 'ok', 'warning', 'problem'


@dataclass(frozen=True)
class Finding:
    """The answer of one check.

    Attributes:
        check: what was looked at, in a word or two.
        level: ``'ok'``; ``'warning'`` for what may be meant; ``'problem'`` for
            what a run would end on.
        message: what was found.
        remedy: a command or a setting that helps; empty when all is well.
    """

    check: str
    level: str
    message: str
    remedy: str = ''

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)
