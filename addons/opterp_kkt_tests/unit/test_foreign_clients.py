"""Clients that others wrote for the same services talk to the emulated ones without a change, and get the answers they expect.

They are no part of what the tests need: `docker/test.sh clients` installs them apart (`requirements-clients.txt`).
"""

from decimal import Decimal
from uuid import uuid4

import pytest
from harness.stack import Emulator
from unit.transport_peer import TOKEN, pem_of, public_numbers

atol = pytest.importorskip("atol", reason="atol-client is not installed")
orange = pytest.importorskip("OrangeData.client", reason="OrangeData is not installed")

ITEM = {
    "type": "position",
    "name": "Оправа",
    "price": 100,
    "quantity": 2,
    "amount": 200,
    "paymentMethod": "fullPayment",
    "tax": {"type": "none"},
}


@pytest.fixture(scope="module")
def open_emulator():
    """One that asks nobody who he is: the client of the driver's web server knows no passwords."""
    with Emulator() as emulator:
        yield emulator


def test_the_web_server_of_the_driver(open_emulator):
    client = atol.WebClient(f"{open_emulator.url}/api/v2/requests", 0.05, 10, lambda *_words: None)
    [info] = client.get_device_info()
    assert info["result"]["deviceInfo"]["modelName"]
    client.open_shift(operator={"name": "Иванова"})
    [sold] = client.sell([ITEM], [{"type": "cash", "sum": 200}], taxationType="osn", total=200)
    assert sold["result"]["fiscalParams"]["fiscalDocumentNumber"] == 2
    results = [*client.report_x(), *client.cash_in(100.5), *client.cash_out(50)]
    assert [result["status"] for result in results] == ["ready"] * 3
    open_emulator.device(paper=False)
    with pytest.raises(atol.errors.TaskError) as refused:
        client.sell([ITEM], [{"type": "cash", "sum": 200}], taxationType="osn", total=200)
    assert refused.value.args[0][0]["errorCode"] == 44
    open_emulator.device(paper=True)
    client.close_shift()
    done = [(record["document_type"], record["total_sum"]) for record in open_emulator.history() if record["accepted"]]
    assert done == [("openShift", None), ("sell", 20000), ("closeShift", None)]


def test_the_data_centre(open_emulator, tmp_path):
    key = tmp_path / "key.pem"
    key.write_text(pem_of(TOKEN))
    open_emulator.orange(**public_numbers(TOKEN))
    client = orange.OrangeDataClient("7700123459", open_emulator.url, str(key), None, None)
    name = uuid4().hex
    sell_at(client, name)
    open_emulator.cloud(queue_for=3600)
    assert client.send_order()["code"] == 201
    assert client.get_order_status(name)["code"] == 202
    assert client.send_order()["code"] == 409, "this id is known"
    open_emulator.cloud(queue_for=0)
    told = client.get_order_status(name)
    assert told["code"] == 200 and f'"id": "{name}"' in told["data"] and '"fp": ' in told["data"]
    assert client.get_order_status(uuid4().hex)["code"] == 404
    key.write_text(pem_of("another"))
    sell_at(client, uuid4().hex)
    assert client.send_order()["code"] == 400, "it is not signed with the key that is registered"


def sell_at(client, name):
    client.create_order(name, 1, "buyer@example.com", 0)
    client.add_position_to_order(2, Decimal("100.00"), 6, "Оправа")
    client.add_payment_to_order(1, Decimal("200.00"))
