"""The page at /: what the emulator got, for people."""

from __future__ import annotations

import time
from html import escape
from string import Template
from typing import Any

from .history import Record

BUTTONS = {  # name -> its order to /_control/mode
    "ok": {"mode": "ok"},
    "fail_5": {"mode": "fail", "count": 5},
    "reset": {"mode": "reset"},
    "slow_3": {"mode": "slow", "seconds": 3},
    "hang": {"mode": "hang"},
}
COUNTERS = {  # name -> the outcomes it adds up, their colour
    "n_duplicates": (["duplicate"], "calm"),
    "n_refused": (["refused", "conflict", "unauthorized"], "bad"),
    "n_failed": (["failed", "dropped", "throttled"], "warn"),
}
COLOURS = {"accepted": "good"}
COLOURS.update({outcome: colour for outcomes, colour in COUNTERS.values() for outcome in outcomes})
COLUMNS = ("time", "outcome", "fiscal_drive", "fd_number", "type", "sum", "hlc", "epoch")
NUMBERS = ("fd_number", "sum", "epoch")
NO_BREAK_SPACE = "\u00a0"

WORDS = {
    "title": ("Эмулятор ОФД: не настоящий ОФД", "OFD emulator: not a real OFD"),
    "note": ("Документы отсюда никуда не передаются.", "Documents go nowhere from here."),
    "language": ("English", "Русский"),
    "mode": ("Режим", "Mode"),
    "second": ("с", "s"),
    "left": ("осталось: {}", "{} left"),
    "latest": ("Последние документы", "Latest documents"),
    "empty": ("Документов пока нет", "No documents yet"),
    # modes and buttons
    "ok": ("Норма", "Normal"),
    "fail": ("Ошибка", "Fail"),
    "fail_5": ("Ошибка ×5", "Fail ×5"),
    "reset": ("Нет связи", "Down"),
    "slow": ("Медленно", "Slow"),
    "slow_3": ("Медленно, 3 с", "Slow, 3 s"),
    "hang": ("Не отвечает", "Hang"),
    "wait": ("Медлит до следующего указания", "Waits for the next order"),
    "drop": ("Принимает, но ответ теряется", "Accepts, but loses the answer"),
    "drip": ("Ответ по байту", "Answers byte by byte"),
    "page": ("Страница посредника", "A proxy's page"),
    "fail_lookups": ("Ошибка на запросы о документах", "Look-ups fail"),
    "garbage": ("Мусор вместо ответа", "Garbage for an answer"),
    "other_key": ("Ответ на чужой ключ", "Answers for another key"),
    "throttle": ("Ограничение частоты", "Throttled"),
    # counters
    "n_requests": ("Запросы", "Requests"),
    "n_accepted": ("Принято", "Accepted"),
    "n_duplicates": ("Повторы", "Duplicates"),
    "n_refused": ("Отказы", "Refused"),
    "n_failed": ("Сбои", "Failed"),
    # columns
    "time": ("Время", "Time"),
    "fiscal_drive": ("ФН", "Fiscal drive"),
    "fd_number": ("ФД №", "FD No."),
    "type": ("Документ", "Document"),
    "sum": ("Сумма", "Sum"),
    "hlc": ("HLC", "HLC"),
    "epoch": ("Эпоха", "Epoch"),
    "outcome": ("Итог", "Outcome"),
    # documents
    "receipt": ("Чек", "Receipt"),
    "correction": ("Чек коррекции", "Correction"),
    "shift_open": ("Открытие смены", "Shift opened"),
    "shift_close": ("Закрытие смены", "Shift closed"),
    "operation_1": ("приход", "sale"),
    "operation_2": ("возврат прихода", "refund of a sale"),
    "operation_3": ("расход", "purchase"),
    "operation_4": ("возврат расхода", "refund of a purchase"),
    # outcomes
    "accepted": ("принят", "accepted"),
    "duplicate": ("повтор", "duplicate"),
    "conflict": ("конфликт", "conflict"),
    "refused": ("отказ", "refused"),
    "failed": ("сбой", "failed"),
    "dropped": ("обрыв", "dropped"),
    "throttled": ("ограничен", "throttled"),
    "unauthorized": ("нет доступа", "unauthorized"),
    "in_flight": ("в работе", "in flight"),
}

PAGE = Template("""<!doctype html>
<html lang="$lang"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><link rel="icon" href="data:,"><style>
:root{color-scheme:light;--ink:#1f2933;--soft:#61707f;--line:#e3e8ee;--good:#1b7f4b;--calm:#2c6cb0;--bad:#b3261e;
--warn:#a15c00}
*{box-sizing:border-box}body{margin:0;background:#f5f7f9;color:var(--ink);font:15px/1.45 system-ui,sans-serif}
header{background:#243b53;color:#fff}header div,main{max-width:1280px;margin:0 auto;padding:16px 24px}
header div{display:flex;flex-wrap:wrap;gap:4px 16px;align-items:baseline}
h1{font-size:20px;margin:0}header p{margin:0;color:#c5d1de;flex:1}header a{color:#fff}
h2{font-size:16px;margin:24px 0 8px}form{display:inline}
.mode{display:flex;flex-wrap:wrap;gap:8px;align-items:center;margin:8px 0 16px}.mode strong{margin-right:12px}
button{font:inherit;padding:6px 14px;border:1px solid #b8c4d0;border-radius:6px;background:#fff;
color:var(--ink);cursor:pointer}button:hover{border-color:var(--calm)}
button.on{background:#243b53;border-color:#243b53;color:#fff}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:12px;margin:0}
dl div{background:#fff;border:1px solid var(--line);border-radius:8px;padding:10px 16px}
dt{color:var(--soft)}dd{margin:0;font-size:26px;font-weight:600;font-variant-numeric:tabular-nums}
.frame{background:#fff;border:1px solid var(--line);border-radius:8px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:left;white-space:nowrap;border-bottom:1px solid var(--line)}
tr:last-child td{border-bottom:0}th{color:var(--soft);font-weight:500}.number{text-align:right}
td small{color:var(--soft);font-size:12px}
.empty{padding:28px;text-align:center;color:var(--soft)}.tag{font-weight:600}
.good{color:var(--good)}.calm{color:var(--calm)}.bad{color:var(--bad)}.warn{color:var(--warn)}
</style></head><body>
<header><div><h1>$title</h1><p>$note</p><a href="$other">$language</a></div></header>
<main>$main</main>
<script>
setInterval(async () => {
  try {
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    document.querySelector("main").innerHTML = page.querySelector("main").innerHTML;
  } catch { /* the emulator is down: keep the last picture */ }
}, 2000);
</script></body></html>
""")


def render(status: dict[str, Any], latest: list[Record], lang: str) -> str:
    """The whole page, in Russian unless `lang` is "en"."""
    words = _Words(lang == "en")
    main = _mode(status["fault"], words) + _counters(status, words) + _documents(latest, words)
    lang, other = ("en", "/") if words.english else ("ru", "/?lang=en")
    return PAGE.substitute(lang=lang, other=other, main=main, **{name: words[name] for name in ("title", "note", "language")})


class _Words:
    """WORDS of one language; an unknown word stands for itself, escaped."""

    def __init__(self, english: bool):
        self.english = english

    def __getitem__(self, name: str) -> str:
        return WORDS[name][self.english] if name in WORDS else escape(name)


def _mode(fault: dict[str, Any], words: _Words) -> str:
    settings = [words[fault["mode"]] + (f" {fault['status']}" if "status" in fault else "")]
    settings += [f"{fault['seconds']:g}{NO_BREAK_SPACE}{words['second']}"] if "seconds" in fault else []
    settings += [words["left"].format(fault["count"])] if "count" in fault else []
    buttons = "".join(_button(name, order, fault, words) for name, order in BUTTONS.items())
    text = f'<span>{words["mode"]}:</span><strong>{", ".join(settings)}</strong>'
    return f'<div class="mode">{text}{buttons}</div>'


def _button(label: str, order: dict[str, Any], fault: dict[str, Any], words: _Words) -> str:
    fields = {**order, "lang": "en" if words.english else "ru"}
    inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
    on = ' class="on"' if order["mode"] == fault["mode"] else ""
    return f'<form method="post" action="/_control/mode">{inputs}<button{on}>{words[label]}</button></form>'


def _counters(status: dict[str, Any], words: _Words) -> str:
    outcomes = status["outcomes"]
    rows = [("n_requests", status["requests"], ""), ("n_accepted", status["documents"], "good")]
    rows += [(name, sum(outcomes.get(outcome, 0) for outcome in added), colour) for name, (added, colour) in COUNTERS.items()]
    return (
        "<dl>"
        + "".join(
            f'<div><dt>{words[name]}</dt><dd class="{colour if count else ""}">{count}</dd></div>' for name, count, colour in rows
        )
        + "</dl>"
    )


def _documents(records: list[Record], words: _Words) -> str:
    head = "".join(f"<th{_align(column)}>{words[column]}</th>" for column in COLUMNS)
    body = "".join(_row(record, words) for record in records)
    if not records:
        body = f'<tr><td class="empty" colspan="{len(COLUMNS)}">{words["empty"]}</td></tr>'
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h2>{words["latest"]}</h2><div class="frame">{table}</div>'


def _row(record: Record, words: _Words) -> str:
    cells = {
        "time": _clock(record.arrived),
        "outcome": _outcome(record, words),
        "fiscal_drive": _text(record.register),
        "fd_number": _text(record.fd_number),
        "type": _document(record, words),
        "sum": _roubles(record.total_sum, words.english),
        "hlc": _hlc(record.hlc),
        "epoch": _text(record.epoch),
    }
    return "<tr>" + "".join(f"<td{_align(column)}>{cells[column]}</td>" for column in COLUMNS) + "</tr>"


def _outcome(record: Record, words: _Words) -> str:
    """The outcome, with the status of an error, or with the acceptance that the client was not told of."""
    note = str(record.status) if record.status not in (None, 200) else ""
    if record.accepted and record.status is None:
        note = words["accepted"]
    colour = COLOURS.get(record.outcome, "calm")
    return f'<span class="tag {colour}">{words[record.outcome]}</span> <small>{note}</small>'


def _align(column: str) -> str:
    return ' class="number"' if column in NUMBERS else ""


def _text(value: Any) -> str:
    return "" if value is None else escape(str(value))


def _document(record: Record, words: _Words) -> str:
    kind = words[str(record.document_type)] if record.document_type else ""
    operation = f"operation_{record.operation_type}"
    return f"{kind}, {words[operation]}" if operation in WORDS else kind


def _clock(milliseconds: float) -> str:
    local = time.strftime("%H:%M:%S", time.localtime(milliseconds / 1000))
    return f"{local}<small>.{int(milliseconds) % 1000:03}</small>"


def _hlc(hlc: dict[str, Any] | None) -> str:
    """The wall part as a time of day, the counter, the node: as a person compares them."""
    if not hlc or not isinstance(hlc["local_time"], int) or not 0 <= hlc["local_time"] < 1 << 48:
        return ""
    return f'{_clock(hlc["local_time"])} +{_text(hlc["logical_counter"])} <small>{_text(hlc["node"])}</small>'


def _roubles(kopecks: Any, english: bool) -> str:
    if not isinstance(kopecks, int):
        return ""
    roubles, rest = divmod(abs(kopecks), 100)
    text = f"{'−' if kopecks < 0 else ''}{roubles:,}.{rest:02}"
    if not english:
        text = text.replace(",", NO_BREAK_SPACE).replace(".", ",")
    return f"{text}{NO_BREAK_SPACE}₽"
