"""The Russian translation says everything, and says it with the same placeholders and markup."""

import re
from collections import Counter
from pathlib import Path

import polib
import pytest

I18N = Path(__file__).parents[2] / "opterp_kkt" / "i18n"
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-+#0]*\d*(?:\.\d+)?[a-zA-Z]|%%")
TAG = re.compile(r"<[^<>]*>")
READ = re.compile(r'\b(title|aria-label|alt|placeholder)="[^"]*"')  # attributes that are translated, too
SYMBOLS = re.compile(r"[\W\d]*")
TECHNICAL = {
    "HLC",
    "Redis",
    "HTTP",
    "HTTP (JSON)",
    "ID",
    "OrangeData (v2)",
    "https://ofd.example.com",
}  # the same in every language
LAWS_WORDS = {
    "Sale": "Приход",
    "Refund of a sale": "Возврат прихода",
    "FD": "ФД",
}


def placeholders(text: str) -> Counter:
    return Counter(PLACEHOLDER.findall(text))


def markup(text: str) -> Counter:
    return Counter(READ.sub(r"\1", tag) for tag in TAG.findall(text))


@pytest.fixture(scope="module")
def template():
    return polib.pofile(str(I18N / "opterp_kkt.pot"))


@pytest.fixture(scope="module")
def russian():
    return polib.pofile(str(I18N / "ru.po"), check_for_duplicates=True)


def test_every_term_is_there(template, russian):
    assert {entry.msgid for entry in russian} == {entry.msgid for entry in template}
    assert len(template) > 500


def test_every_term_is_said(russian):
    assert [entry.msgid for entry in russian if entry.fuzzy or entry.obsolete or not entry.msgstr.strip()] == []


def test_every_term_is_said_in_russian(russian):
    def is_said(entry):
        expression = entry.msgid.startswith("{{")
        return expression or entry.msgid in TECHNICAL or SYMBOLS.fullmatch(entry.msgid) or entry.msgstr != entry.msgid

    assert [entry.msgid for entry in russian if not is_said(entry)] == []


def test_placeholders_are_kept(russian):
    wrong = [entry.msgid for entry in russian if is_code(entry) and placeholders(entry.msgid) != placeholders(entry.msgstr)]
    assert wrong == []


def is_code(entry) -> bool:
    """Elsewhere a percent sign is one: "20 % (until 2025)"."""
    return any(path.startswith("code:") for path, _line in entry.occurrences)


def test_markup_is_kept(russian):
    assert [entry.msgid for entry in russian if markup(entry.msgid) != markup(entry.msgstr)] == []


def test_edges_are_kept(russian):
    """A message whose text ends with a line break, or begins with the full stop of what stands before it, goes on doing so."""

    def edges(text):
        return text.startswith("\n"), text.endswith("\n"), text.startswith(".")

    assert [entry.msgid for entry in russian if edges(entry.msgid) != edges(entry.msgstr)] == []


@pytest.mark.parametrize("english, words", LAWS_WORDS.items())
def test_screens_have_the_laws_words(russian, english, words):
    assert russian.find(english).msgstr == words
