"""Arrays that only grow at their end: every value handed out stays as it was, and growing costs what is added.

Readers keep a view of the first n rows; whoever adds writes behind all views there are, or, where somebody else
has been there already, into a copy. So readers and writers never meet, and nobody takes a lock to read.

Legend: N rows · n added rows
"""

from threading import Lock
from typing import Any, Final

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

GROWTH: Final = 8
"""A buffer that is full is replaced by one with an eighth more room. Room costs address space, not memory."""
LEAST_ROOM: Final = 1024


class Line:
    """What the views of one growing array have in common: the buffer, and how much of it is taken."""

    def __init__(self, buffer: Shaped[ndarray, "N *width"], taken: int) -> None:
        self.buffer = buffer
        self.taken = taken
        self.turn = Lock()


class Growing:
    """The first N rows of a line; `rows` is an ordinary array, not to be written to."""

    __slots__ = ("line", "rows")

    def __init__(self, rows: Shaped[ndarray, "N *width"], line: Line | None = None) -> None:
        """Begin a line with rows that nobody changes any more."""
        self.rows = rows
        self.line = line or Line(rows, len(rows))

    @classmethod
    def empty(cls, width: tuple[int, ...], dtype: Any, *, room: int) -> "Growing":
        """Begin a line of no rows, with room for so many and some more."""
        buffer = np.empty((room + _spare(room), *width), dtype)
        return cls(buffer[:0], Line(buffer, 0))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def room(self) -> int:
        """How many rows fit before any has to be moved."""
        return len(self.line.buffer)

    def plus(self, added: Shaped[ndarray, "n *width"]) -> "Growing":
        """Return these rows and some more; of the same line, unless another has added to these rows before."""
        count = len(self) + len(added)
        line = self.line
        with line.turn:
            if line.taken != len(self):
                line = Line(self._with_room_for(count), count)
            elif len(line.buffer) < count:
                line.buffer = self._with_room_for(count)
            line.buffer[len(self) : count] = added
            line.taken = count
            return Growing(line.buffer[:count], line)

    def continues(self, other: "Growing") -> bool:
        """Whether the other's rows are the first of these, for having been added to and nothing else."""
        return self.line is other.line and len(self) >= len(other)

    def _with_room_for(self, count: int) -> Shaped[ndarray, "M *width"]:
        buffer = np.empty((count + _spare(count), *self.rows.shape[1:]), self.rows.dtype)
        buffer[: len(self)] = self.rows
        return buffer


def _spare(count: int) -> int:
    return max(LEAST_ROOM, count // GROWTH)
