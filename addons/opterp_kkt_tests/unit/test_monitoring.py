# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The alert rules and the dashboard speak of figures that there are, by labels that these have."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MONITORING = ROOT / "docker/monitoring"
MODEL = ROOT / "addons/opterp_kkt/models/kkt_metrics.py"
pytestmark = pytest.mark.skipif(not MONITORING.exists(), reason="the addon alone, without the checkout")


def _declared() -> set[str]:
    """Names of samples: a counter's end with _total."""
    found = re.findall(r"(_gauge|_counter|StateSetMetricFamily)\(\s*'(kkt_\w+)'", MODEL.read_text())
    return {f"{name}_total" if kind == "_counter" else name for kind, name in found}


def _expressions() -> list[str]:
    board = json.loads((MONITORING / "grafana/fiscal-receipts.json").read_text())
    rules = re.findall(r"expr: (.*)", (MONITORING / "alerts.yml").read_text())
    return rules + [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_there_is_something_to_look_at():
    assert len(_declared()) > 10
    assert len(_expressions()) > 15


@pytest.mark.parametrize("expression", _expressions())
def test_expression_names_what_there_is(expression):
    without_labels = re.sub(r"\{.*?\}|by \(.*?\)", "", expression)
    assert set(re.findall(r"kkt_\w+", without_labels)) <= _declared()
    assert re.search(r"kkt_\w+|up\{", expression)
