"""Results as tables: aligned text for people, records for programs. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure, as often as it was taken."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values) if self.values else math.nan


Cell = str | float | Spread | None
"""None: there is nothing to say, or nothing to compare with."""

Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Column:
    """`form`: how its numbers are written, as a format specification. `has_spread`: lowest and highest are shown."""

    name: str
    form: str = ""
    has_spread: bool = False

    def text(self, cell: Cell) -> str:
        if isinstance(cell, str):
            return cell
        if not isinstance(cell, Spread):
            return self._number(cell)
        text = self._number(cell.median)
        if self.has_spread and len(cell.values) > 1:
            text += f" [{self._number(min(cell.values))} {self._number(max(cell.values))}]"
        return text

    def _number(self, value: float | None) -> str:
        return "–" if value is None or math.isnan(value) else format(value, self.form)


@dataclass(frozen=True, slots=True)
class Table:
    """Figures of a kind. Every row has a cell for each column; an empty text means: as in the row above."""

    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]
    notes: tuple[str, ...] = field(default=())

    def text(self) -> str:
        """Returns the table as lines, numbers to the right."""
        head = [column.name for column in self.columns]
        body = [[c.text(cell) for c, cell in zip(self.columns, row, strict=True)] for row in self.rows]
        is_number = [column.form != "" for column in self.columns]
        widths = [max(map(len, cells)) for cells in zip(head, *body, strict=True)]

        def line(cells: Sequence[str]) -> str:
            padded = [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(cells, widths, is_number, strict=True)
            ]
            return "  " + "   ".join(padded).rstrip()

        rule = "  " + "─" * (sum(widths) + 3 * (len(widths) - 1))
        notes = [f"  · {note}" for note in self.notes]
        return "\n".join([self.title, "", line(head), rule, *map(line, body), *([""] if notes else []), *notes])

    def record(self) -> Record:
        """Returns the table for JSON: rows as objects, repeated texts filled in, every value of a spread."""
        records: list[Record] = []
        above: Record = {}
        for row in self.rows:
            cells: Record = {}
            for column, cell in zip(self.columns, row, strict=True):
                cells[column.name] = above.get(column.name) if cell == "" else _plain(cell)
            records.append(cells)
            above = cells
        return {"title": self.title, "rows": records, "notes": list(self.notes)}


def _plain(cell: Cell) -> object:
    if isinstance(cell, Spread):
        return {"median": _finite(cell.median), "values": [_finite(value) for value in cell.values]}
    return _finite(cell) if isinstance(cell, float) else cell


def _finite(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def ratios(of: Sequence[float], to: Sequence[float]) -> Spread:
    """Returns `of` / `to`, repetition by repetition: what slows both down at that moment cancels out."""
    return Spread(tuple(a / b if b else math.nan for a, b in zip(of, to, strict=True)))
