"""Texts of fiscal documents: CP866, one byte a character. What it lacks is replaced by what reads the same, or left out."""

import unicodedata
from functools import lru_cache

from .tags import BY_NAME

REPLACEMENTS = {
    **dict.fromkeys("«»“”„‟″", '"'),
    **dict.fromkeys("‘’‚‛′", "'"),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "…": "...",
    "×": "x",
    "•": "*",
    "₽": "руб.",
    "€": "EUR",
    **dict.fromkeys(map(chr, [*range(0x20), 0x7F]), None),  # control characters, which CP866 has
    **dict.fromkeys("\t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000", " "),
    **dict.fromkeys(map(chr, range(0x2000, 0x200B)), " "),
}
TRANSLATION = str.maketrans(REPLACEMENTS)


@lru_cache(maxsize=4096)  # a shop's texts are few, and come again in each document
def fit(text: str, length: int) -> str:
    """The text as a fiscal document states it, in up to `length` characters. Fitted once more, it stays the same."""
    text = unicodedata.normalize("NFC", text).translate(TRANSLATION)
    if not _representable(text):
        text = "".join(map(_nearest, text))
    return " ".join(text.split())[:length].rstrip()


def fit_texts(document: dict) -> dict:
    """The document with its texts as the format can hold them: mapped to CP866, cut to the length of their tag."""
    return {"code": document["code"], **_fit_texts({k: v for k, v in document.items() if k != "code"}, document["code"])}


def _fit_texts(fields, place):
    return {name: _fit_text(BY_NAME[place].get(name), value) for name, value in fields.items()}


def _fit_text(tag, value):
    if not tag or isinstance(value, int):
        return value
    if isinstance(value, str):
        return _fit_string(tag, value)
    if isinstance(value, list):
        return [_fit_text(tag, each) for each in value]
    return _fit_texts(value, tag.number) if isinstance(value, dict) else value


def _fit_string(tag, value):
    if tag.kind == "fixed":
        return fit(value, len(value)).ljust(tag.length)  # a number is never cut
    return fit(value, tag.length) if tag.kind == "string" else value


def _representable(text: str) -> bool:
    try:
        return bool(text.encode("cp866"))
    except UnicodeEncodeError:
        return False


def _nearest(character: str) -> str:
    """The character, or its letter without the accent, or nothing."""
    letter = unicodedata.normalize("NFD", character)[0]
    return character if _representable(character) else letter if _representable(letter) else ""


def lost(text: str) -> str:
    """The characters that a fiscal document can't hold, nor anything that reads the same."""
    text = unicodedata.normalize("NFC", text).translate(TRANSLATION)
    return "".join(dict.fromkeys(character for character in text if not _representable(character)))
