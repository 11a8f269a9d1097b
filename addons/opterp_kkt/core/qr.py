"""The text of the QR code on a fiscal receipt (tag 1196; order ED-7-20/662@ of the Federal Tax Service)."""

from datetime import datetime
from urllib.parse import parse_qs


def moment_of(text: str) -> datetime | None:
    """When the settlement was that a QR code tells of, in the register's local time; None where it does not say."""
    try:
        return datetime.fromisoformat(parse_qs(text)["t"][0])
    except (KeyError, ValueError):
        return None


def qr_text(document: dict, moment: datetime) -> str:
    """Return the text that the buyer's phone and the tax service's application read.

    :param document: a numbered and signed document, by FNS JSON names, money in kopecks
    :param moment: local time of the settlement (tag 1012)
    """
    roubles, kopecks = divmod(document["totalSum"], 100)
    return (
        f"t={moment:%Y%m%dT%H%M}&s={roubles}.{kopecks:02d}&fn={document['fiscalDriveNumber']}"
        f"&i={document['fiscalDocumentNumber']}&fp={document['fiscalSign']}&n={document['operationType']}"
    )
