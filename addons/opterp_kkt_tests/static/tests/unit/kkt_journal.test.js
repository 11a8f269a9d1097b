import { describe, expect, test } from "@odoo/hoot";
import { isJournal, KktJournal, restore } from "@opterp_kkt/app/utils/kkt_journal";

const ORDER = { uuid: "a", id: "a", state: "paid", lines: ["l"] };
const LINE = { uuid: "l", id: "l", order_id: "a" };
const PAYMENT = { uuid: "p", id: "p", pos_order_id: "a" };
const SALE = {
    uuid: "a",
    own: { "pos.order": [ORDER], "pos.order.line": [LINE], "pos.payment": [PAYMENT] },
    refunded: { "pos.order": [{ uuid: "z", id: 7, note: "old" }], "pos.order.line": [] },
};
const WHOLE = { "pos.order": [ORDER], "pos.order.line": [LINE], "pos.payment": [PAYMENT] };

describe("what core's database has lost is found in the journal", () => {
    test("a sale that is whole there is only replaced by itself", () => {
        const { data, found } = restore(WHOLE, [{ ...SALE, refunded: {} }]);
        expect(data).toEqual(WHOLE);
        expect(found).toBe(0);
    });

    test("a half-written sale is whole again", () => {
        for (const model of Object.keys(WHOLE)) {
            const { data, found } = restore({ ...WHOLE, [model]: [] }, [SALE]);
            expect(data[model].find((row) => row.uuid === SALE.own[model][0].uuid)).toEqual(
                SALE.own[model][0]
            );
            expect(found).toBe(1);
        }
        const draft = { ...ORDER, state: "draft" };
        const { data, found } = restore({ ...WHOLE, "pos.order": [draft] }, [SALE]);
        expect(data["pos.order"].find(({ uuid }) => uuid === "a").state).toBe("paid");
        expect(found).toBe(1);
    });

    test("of a sale that is taken back, what core has is newer", () => {
        const known = { uuid: "z", id: 7, note: "new" };
        const { data } = restore({ ...WHOLE, "pos.order": [ORDER, known] }, [SALE]);
        expect(data["pos.order"].find(({ uuid }) => uuid === "z").note).toBe("new");
        expect(restore({}, [SALE]).data["pos.order"].length).toBe(2);
    });

    test("what the server has answered for needs no journal", () => {
        const answered = { ...ORDER, id: 5, kkt_state: "pending" };
        const { data, found } = restore({ "pos.order": [answered] }, [SALE]);
        expect(data["pos.order"]).toEqual([answered]);
        expect(found).toBe(0);
    });
});

test("a sale is written whole, read again, and deleted once it is known", async () => {
    const record = (row) => ({ ...row, serializeForIndexedDB: () => row });
    const line = { ...record(LINE), pack_lot_ids: [], custom_attribute_value_ids: [] };
    const order = { ...record(ORDER), lines: [line], payment_ids: [record(PAYMENT)] };
    const name = `test-${Math.random()}`;
    const journal = new KktJournal(name);
    await journal.keepOnly([order]);
    const next = new KktJournal(name);
    const found = await next.restoreInto({ "pos.order": [] });
    expect(found["pos.payment"]).toEqual([PAYMENT]);
    expect(next.found).toBe(1);
    await next.keepOnly([]);
    expect(await next.readAll()).toEqual([]);
    journal.forget();
    await journal.keepOnly([order]);
    expect((await next.readAll()).length).toBe(1);
    expect(isJournal(next.name)).toBe(true);
    window.indexedDB.deleteDatabase(next.name);
});
