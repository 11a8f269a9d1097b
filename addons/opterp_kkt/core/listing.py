"""A fiscal document to look at: a row for each tag, with its name in the law's words, its value and its bytes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from .tags import BY_NAME
from .tlv import encode_field


class Row(NamedTuple):
    depth: int  # inside how many structures
    number: int
    title: str
    value: str  # empty for a structure, whose fields follow
    data: bytes  # tag, length and value; of a structure tag and length


def listing(document: dict) -> Iterator[Row]:
    """Rows of a document whose texts fit (`text.fit_texts`)."""
    return _rows({name: value for name, value in document.items() if name != "code"}, document["code"], 0)


def _rows(fields, place, depth):
    for name, value in fields.items():
        tag = BY_NAME[place][name]
        values = value if tag.repeats else [value]
        for each, data in zip(values, encode_field(name, value, place), strict=True):
            if tag.kind == "stlv":
                yield Row(depth, tag.number, tag.title, "", data[:4])
                yield from _rows(each, tag.number, depth + 1)
            else:
                yield Row(depth, tag.number, tag.title, readable(tag.kind, each), data)


class Counter(NamedTuple):
    path: tuple[int, ...]  # of tags
    depth: int
    title: str
    value: str  # empty for a structure, whose counters follow


def counters(values: dict, place: int = 1194, path: tuple[int, ...] = ()) -> Iterator[Counter]:
    """Rows of counters (tags 1194, 1157), in the order of the format's tables."""
    for name, tag in BY_NAME[place].items():
        if name not in values:
            continue
        value = values[name]
        here = (*path, tag.number)
        yield Counter(here, len(path), tag.title, "" if tag.kind == "stlv" else readable(tag.kind, value))
        if tag.kind == "stlv":
            yield from counters(value, tag.number, here)


def readable(kind, value):
    if kind == "vln":
        return f"{value // 100}.{value % 100:02}"
    if kind == "time":
        return f"{datetime.fromtimestamp(value, UTC):%d.%m.%Y %H:%M:%S}"
    return str(value).strip()
