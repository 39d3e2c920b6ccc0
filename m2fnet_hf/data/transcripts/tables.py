"""Tables: csv and its kin, with MELD's columns, with those of many tools, or Audacity's, which have no names."""

import re

from ..delimited import DELIMITERS, Row, Sheet, from_words, read_sheet
from ..meld import COLUMNS as MELD_COLUMNS
from ..meld import read_meld_csv
from ..times import Time, find_unit, is_empty, read_time
from .draft import Draft, Said, Source, check_count, name_unused, speaker_name
from .speakers import split_turns

COLUMNS = ("text", "speaker", "start", "end", "label", "id")
ROLES = (*COLUMNS, "duration", "dialogue")
# What `m2fnet predict` writes beside these; the emotions have columns of their own.
OWN_COLUMNS = {"label", "score", "modalities", "missing"}
# Of a table without a header, by how many columns it has, as Audacity's labels.
HEADERS = {3: ("start", "end", "text"), 4: ("start", "end", "speaker", "text")}
_SPAN = re.compile(r"\s*([\d:.,]+)\s*(?:-->|->|-|\u2013|to)\s*([\d:.,]+)\s*")


def is_table(text: str) -> bool:
    """Whether a text of unknown kind is a table with words and something else that is known."""
    try:
        sheet = _sheet(text, "")
    except ValueError:
        return False
    return sheet is not None and "text" in sheet.columns and len(sheet.columns) > 1


def read_table(source: Source) -> Draft:
    """A table of utterances: `text` and what else there is of `COLUMNS`, under the names of many tools.

    Raises:
        ValueError: without a column of texts, or for a cell that is not what its column says.
    """
    sheet = _sheet(source.text, source.name)
    if sheet is not None and set(MELD_COLUMNS) <= set(sheet.names):
        return _read_meld(source)
    if sheet is None or "text" not in sheet.columns:
        names = sheet.names if sheet is not None else source.text.lstrip().partition("\n")[0].split(",")
        found = ", ".join(name.strip() for name in names)
        raise ValueError(
            f"{source.name} must have the column text (and may have {', '.join(COLUMNS[1:])}) or MELD's columns, found "
            f"{found:.120}; rename its columns."
        )
    check_count(source, len(sheet.rows))
    _check_one_dialogue(source, sheet)
    is_own = set(sheet.names) >= OWN_COLUMNS
    if is_own:
        for row in sheet.rows:
            row.cells = {name: from_words(cell) for name, cell in row.cells.items()}
    times = [tuple(_time(source, sheet, row, role) for role in ("start", "end", "duration")) for row in sheet.rows]
    starts, ends, remarks = _seconds(source, sheet, times)
    said = [
        Said(
            f"line {row.line}",
            sheet.cell(row, "text"),
            _speaker(sheet.cell(row, "speaker")),
            start,
            end,
            {role: sheet.cell(row, role) for role in ("label", "id")},
        )
        for row, start, end in zip(sheet.rows, starts, ends, strict=True)
    ]
    if "speaker" not in sheet.columns:
        said, notes = with_speakers(said)
        remarks += notes
    return Draft(said, [*([] if is_own else name_unused("column", sheet.unused)), *remarks])


def _sheet(text: str, name: str) -> Sheet | None:
    """The table, with the header that it lacks, the words that it calls dialogue and the times that it has in one."""
    text = text.lstrip("\n")
    first = text.partition("\n")[0]
    for delimiter in DELIMITERS:
        header = HEADERS.get(len(first.split(delimiter)))
        if header and all(map(_is_time, first.split(delimiter)[:2])):
            return read_sheet(f"{delimiter.join(header)}\n{text}", name, ROLES)
    sheet = read_sheet(text, name, ROLES)
    if sheet is None:
        return None
    if "text" not in sheet.columns and any(" " in (sheet.cell(row, "dialogue") or "") for row in sheet.rows):
        sheet.columns["text"] = sheet.columns.pop("dialogue")
    if "start" in sheet.columns and not {"end", "duration"} & sheet.columns.keys():
        _part_spans(sheet)
    return sheet


def _is_time(cell: str) -> bool:
    try:
        return read_time(cell.strip('" ')) is not None
    except ValueError:
        return False


def _part_spans(sheet: Sheet) -> None:
    """`0:01 - 0:03` in one column to two."""
    name, column = sheet.columns["start"]
    spans = {row.line: _SPAN.fullmatch(row.cells[name]) for row in sheet.rows if row.cells[name].strip()}
    if not spans or not all(spans.values()):
        return
    sheet.columns["end"] = (f"end of {name}", column._replace(role="end"))
    for row in sheet.rows:
        span = spans.get(row.line)
        row.cells[name], row.cells[f"end of {name}"] = span.groups() if span else ("", "")


def with_speakers(said: list[Said]) -> tuple[list[Said], list[str]]:
    """What is said, with the speakers that stand before the words of most of it."""
    turns, notes = split_turns([one.text or "" for one in said])
    named = sum(bool(some) and some[0][0] is not None for some in turns)
    if named < 2 or 2 * named < len(said):
        return said, []
    parted = [
        Said(one.place, text, speaker, one.start, one.end, one.others)
        for one, some in zip(said, turns, strict=True)
        for speaker, text in some
    ]
    return parted, notes


def _check_one_dialogue(source: Source, sheet: Sheet) -> None:
    dialogues = {sheet.cell(row, "dialogue") for row in sheet.rows}
    if len(dialogues) > 1:
        raise ValueError(
            f"{source.name} holds {len(dialogues)} dialogues, expected one; give a whole data set with `--data`, or "
            "keep the rows of one dialogue."
        )


def _time(source: Source, sheet: Sheet, row: Row, role: str) -> Time | None:
    cell = sheet.cell(row, role)
    if cell is None:
        return None
    try:
        time = read_time(cell)
        if time is not None and time.value < 0:
            raise ValueError(f"A time must be in seconds or HH:MM:SS.mmm, found {cell!r}.")
        return time
    except ValueError as error:
        column = sheet.columns[role][0]
        said = str(error).rstrip(".")
        raise ValueError(f"{source.name}, line {row.line}: {said}; correct it in the column {column}.") from None


def _seconds(
    source: Source, sheet: Sheet, times: list[tuple[Time | None, ...]]
) -> tuple[list[float | None], list[float | None], list[str]]:
    """Starts and ends in seconds."""
    named = {role: sheet.columns[role][1].unit for role in ("start", "end", "duration") if role in sheet.columns}
    lengths = [len(sheet.cell(row, "text") or "") for row in sheet.rows]
    told = next((unit for unit in named.values() if unit is not None), None)
    spans = [(start, end) for start, end, _ in times]
    try:
        unit = find_unit(spans, lengths, told, source.duration, source.frame_rate)
    except ValueError as error:
        raise ValueError(f"{source.name}: {error}") from None
    starts = [unit.to_seconds(start) for start, _, _ in times]
    ends = [unit.to_seconds(end) for _, end, _ in times]
    if "end" not in named and "duration" in named:
        lasting = [unit.to_seconds(duration) for *_, duration in times]
        ends = [
            None if start is None or more is None else start + more for start, more in zip(starts, lasting, strict=True)
        ]
    return starts, ends, [unit.remark] if unit.remark else []


def _speaker(cell: str | None) -> str | None:
    if cell is None or is_empty(cell):
        return None
    # pandas makes numbers with gaps to 0.0.
    return speaker_name(cell[:-2] if re.fullmatch(r"\d+\.0", cell) else cell)


def _read_meld(source: Source) -> Draft:
    dialogues = read_meld_csv(source.path)
    if len(dialogues) > 1:
        raise ValueError(
            f"{source.name} holds {len(dialogues)} dialogues, expected one; give a whole data set with `--meld`, or "
            "keep the rows of one dialogue."
        )
    return Draft(
        [
            Said("", one.text, one.speaker, one.start, one.end, {"label": one.label, "id": one.id})
            for one in dialogues[0]
        ]
    )
