"""The house keeps its shape: who may import whom, how long things get, which words mean one thing."""

import ast
import re
from pathlib import Path

import pytest

PRODUCT = Path(__file__).parents[2] / "opterp_kkt"
FILES = sorted(path for path in PRODUCT.rglob("*.py") if "__pycache__" not in path.parts)
ROOMS = {  # what a room may import of the product: views and models above, core below
    "core": set(),
    "transports": {"core"},
    "drivers": {"core"},
    "delivery": {"core", "transports"},
    "models": {"core", "transports", "drivers", "delivery"},
    "wizard": {"core", "delivery", "models"},
    "controllers": {"core", "delivery", "models"},
}
WITHOUT_ODOO = ("core", "transports", "drivers", "delivery")
OUTSIDE = {"odoo", "psycopg2", "redis", "requests", "urllib3", "socket", "ssl", "subprocess", "threading", "time", "os", "random"}
SUFFIXES = {".py", ".xml", ".js", ".md", ".html", ".csv", ".sql"}
HOME = PRODUCT.parents[1]
SOURCES = sorted(
    path
    for path in [*PRODUCT.rglob("*"), *HOME.glob("*.md")]
    if path.suffix in SUFFIXES and "__pycache__" not in path.parts and path.name != "tags.py"
)
# Words that meant several things here, and what each would have to be called.
HOMONYMS = {
    r"(?i)\boperators?\b": "the OFD, or a system administrator",
    r"(?i)[a-z]_turn\b|\bturn_[a-z]": "the sale lock",
    r"\bclass Hold\b|\bdef (take|keep|let_go)_hold\b": "ownership: a hold is a register that stands still",
    r"\b(LONE|ANEW|TOLD)\b|\bdef _(watch|tell|note|pass)\b": "a name that says what it does",
    r"(?i)\bears?\b": "LISTEN",
}
# The law's own names: of the cashier, who is `operator` in the tax service's JSON, and of an OFD.
FNS_NAMES = re.compile(r"""['"]operator['"]|data\s+operator \(OFD\)""", re.IGNORECASE)
LONGEST_FUNCTION = 40
LONGEST_FILE = 350


def room_of(path: Path) -> str:
    return path.relative_to(PRODUCT).parts[0]


def imports_of(path: Path) -> set[str]:
    """Modules that a file imports at its top level or inside functions: those of the product by their path from its root."""
    package = path.relative_to(PRODUCT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.ImportFrom):
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
            base = tuple(part for part in base if part)
            found |= {".".join(("", *base, name.name)) for name in node.names} | {".".join(("", *base))}
    return found


def product_imports(path: Path) -> set[Path]:
    candidates = (PRODUCT.joinpath(*name[1:].split(".")) for name in imports_of(path) if name.startswith("."))
    files = (file for each in candidates for file in (each.with_suffix(".py"), each / "__init__.py"))
    return {file for file in files if file.exists() and file != path}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PRODUCT)))
def test_no_arrow_points_back(path):
    room = room_of(path)
    if room in ROOMS:
        assert {room_of(other) for other in product_imports(path)} - {room} <= ROOMS[room]
    if room in WITHOUT_ODOO:
        assert not {name for name in imports_of(path) if name.partition(".")[0] == "odoo"}
    if room == "core":
        assert not {name for name in imports_of(path) if name.partition(".")[0] in OUTSIDE}


def test_there_is_no_circle():
    """An `__init__` only lists what its room has."""
    graph = {path: {other for other in product_imports(path) if other.name != "__init__.py"} for path in FILES}
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]):
        assert path not in above, " → ".join(str(each.relative_to(PRODUCT)) for each in (*above, path))
        if path not in done:
            for other in graph[path]:
                visit(other, (*above, path))
            done.add(path)

    for path in FILES:
        if path.name != "__init__.py":
            visit(path, ())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PRODUCT)))
def test_nothing_gets_too_long(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{node.name} has too many lines"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(HOME)))
def test_words_that_mean_one_thing(path):
    text = FNS_NAMES.sub("", path.read_text())
    found = {word: meant for word, meant in HOMONYMS.items() if re.search(word, text)}
    assert found == {}
