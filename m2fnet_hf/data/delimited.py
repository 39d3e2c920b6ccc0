"""Tables in text: csv and its kin, however they were saved."""

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .columns import Column, find_columns

DELIMITERS = ",;\t|"
# What a spreadsheet takes for the start of a formula, or what hides one.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
HEADER_WITHIN = 12  # lines; exports put a title before it


@dataclass
class Row:
    """Cells by name of their column, and the line that they end in."""

    line: int
    cells: dict[str, str]


@dataclass
class Sheet:
    """A table.

    Args:
        names: of its columns.
        rows: those that hold anything.
        columns: name and meaning of the column of each role that was found.
    """

    names: list[str]
    rows: list[Row]
    columns: dict[str, tuple[str, Column]]

    @property
    def unused(self) -> list[str]:
        """Names of the columns that were taken for nothing and hold something."""
        used = {name for name, _ in self.columns.values()}
        return [name for name in self.names if name and name not in used and any(row.cells[name] for row in self.rows)]

    def cell(self, row: Row, role: str) -> str | None:
        """What a row holds of a role; `None` where it is empty."""
        return row.cells[self.columns[role][0]].strip() or None if role in self.columns else None


def read_sheet(text: str, name: str, roles: Iterable[str]) -> Sheet | None:
    """A table, `None` where none of its columns is one of the roles.

    The separator is the one by which most roles are found: comma, semicolon, tab, `|`, or what Excel's `sep=` says.

    Args:
        text: with `\\n` at the end of its lines.
        name: of the file, for errors.

    Raises:
        ValueError: naming the line that cannot be taken apart.
    """
    roles = tuple(roles)
    skipped, delimiters = 0, DELIMITERS
    head = text[:200].partition("\n")[0].strip().strip('"')
    if head.casefold().startswith("sep=") and len(head) == 5:
        text, skipped, delimiters = text.partition("\n")[2], 1, head[4]
    best: tuple[int, int, str, int, list[str]] | None = None
    for delimiter in delimiters:
        for number, names in enumerate(_first_records(text, delimiter)):
            found = len(find_columns(names, roles))
            if found and (best is None or (found, len(names)) > best[:2]):
                best = (found, len(names), delimiter, number, names)
    if best is None:
        return None
    _, _, delimiter, number, names = best
    first_place = {name: place for place, name in reversed(list(enumerate(names)))}
    names = [name if first_place[name] == place else f"{name} ({place + 1})" for place, name in enumerate(names)]
    columns = find_columns(names, roles)
    records = _records(text, delimiter, len(names), name, skipped)
    last_is_text = "text" in columns and columns["text"][0] == names[-1]
    rows = []
    for line, cells in records[number + 1 :]:
        if any(cell.strip() for cell in cells):
            rows.append(
                Row(
                    line, dict(zip(names, _fitted(cells, len(names), delimiter, last_is_text, name, line), strict=True))
                )
            )
    return Sheet(names, rows, columns)


def _fitted(cells: list[str], count: int, delimiter: str, last_is_text: bool, name: str, line: int) -> list[str]:
    """A cell per column."""
    more = cells[count:]
    if any(cell.strip() for cell in more):
        if not last_is_text:
            raise ValueError(
                f"{name}, line {line}: a row must have a value per column, found {len(more)} more; quote its text."
            )
        cells = [*cells[: count - 1], f"{delimiter} ".join(cells[count - 1 :])]
    return [*cells[:count], *[""] * (count - len(cells))]


def _first_records(text: str, delimiter: str) -> Iterator[list[str]]:
    """The records among which the header is, of the file's first lines."""
    lines = io.StringIO(text, newline="")
    first = "".join(lines.readline(1_000_000) for _ in range(HEADER_WITHIN))
    with _any_length():
        try:
            for cells in csv.reader(io.StringIO(first, newline=""), delimiter=delimiter, skipinitialspace=True):
                yield [cell.strip() for cell in cells]
        except csv.Error:
            return


def _records(text: str, delimiter: str, count: int, name: str, skipped: int) -> list[tuple[int, list[str]]]:
    """Line and cells of each record. Tabs come with quotes that quote something, or with ones that are text."""
    if delimiter == "\t":
        with _any_length():
            try:
                quoted = list(_read(text, delimiter, skipped))
                if all(len(cells) in (0, count) for _, cells in quoted):
                    return quoted
            except csv.Error:
                pass
            return list(_read(text, delimiter, skipped, quoting=csv.QUOTE_NONE, strict=False))
    records: list[tuple[int, list[str]]] = []
    with _any_length():
        try:
            records.extend(_read(text, delimiter, skipped))
        except csv.Error:
            line = records[-1][0] if records else skipped
            raise ValueError(
                f"{name}, after line {line}: quotes must stand around a whole value, found some that do not; correct "
                "them."
            ) from None
    return records


def _read(
    text: str, delimiter: str, skipped: int, strict: bool = True, **options: Any
) -> Iterator[tuple[int, list[str]]]:
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=strict, **options)
    for cells in reader:
        yield reader.line_num + skipped, cells


@contextmanager
def _any_length() -> Iterator[None]:
    """Fields of any length; the module's own limit is 131,072 characters."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def whole_numbers(cells: Sequence[str | None]) -> list[str | None]:
    """Keys that Excel or pandas took for numbers, `0.0`, as they were: `0`."""
    filled = [cell for cell in cells if cell]
    if not filled or not all(cell.endswith((".0", ",0")) and cell[:-2].lstrip("-").isdigit() for cell in filled):
        return list(cells)
    return [cell[:-2] if cell else cell for cell in cells]


def as_words(cell: str) -> str:
    """A cell for a spreadsheet, which computes nothing of it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def from_words(cell: str) -> str:
    """A cell as it was before [`as_words`]."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
