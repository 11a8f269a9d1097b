"""A document to look at."""

from core.listing import listing

DOCUMENT = {
    "code": 3,
    "userInn": "7700123459  ",
    "dateTime": 1795442700,
    "totalSum": 105,
    "items": [{"name": "Frame", "quantity": 1.5, "sum": 5}, {"sum": 100}],
}


def test_rows():
    assert [(row.depth, row.number, row.value, row.data.hex()) for row in listing(DOCUMENT)] == [
        (0, 1018, "7700123459", "fa030c00" + b"7700123459  ".hex()),
        (0, 1012, "23.11.2026 14:05:00", "f40304000c48046b"),
        (0, 1020, "1.05", "fc03010069"),
        (0, 1059, "", "23041400"),
        (1, 1030, "Frame", "06040500" + b"Frame".hex()),
        (1, 1023, "1.5", "ff030200010f"),
        (1, 1043, "0.05", "1304010005"),
        (0, 1059, "", "23040500"),
        (1, 1043, "1.00", "1304010064"),
    ]
    assert next(listing(DOCUMENT)).title == "ИНН пользователя"
