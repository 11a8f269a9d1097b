import { describe, expect, test } from "@odoo/hoot";
import { mockDate } from "@odoo/hoot-mock";
import { patchWithCleanup } from "@web/../tests/web_test_helpers";
import { browser } from "@web/core/browser/browser";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { getFilledOrder, setupPosEnv } from "@point_of_sale/../tests/unit/utils";
import { HybridClock, tick } from "@opterp_kkt/app/utils/hlc";

definePosModels();

const stamp = (local_time, logical_counter, node = "till") => ({
    local_time,
    logical_counter,
    node,
});

describe("tick", () => {
    test("one history of send and receive events, as in unit/test_hlc.py (Kulkarni)", () => {
        const history = [
            [5, null, [5, 0]],
            [6, null, [6, 0]],
            [10, [10, 5], [10, 6]],
            [7, null, [10, 7]],
            [8, [10, 4], [10, 8]],
            [10, [10, 99], [10, 100]],
            [11, [10, 31], [11, 0]],
            [11, null, [11, 1]],
            [5, [20, 3], [20, 4]],
            [6, [15, 9], [20, 5]],
            [21, null, [21, 0]],
        ];
        let last = stamp(0, 0);
        for (const [now, seen, expected] of history) {
            last = tick(last, now, ...(seen ? [stamp(...seen, "register")] : []));
            expect(last).toEqual(stamp(...expected));
        }
    });

    test("a full counter carries into the time", () => {
        expect(tick(stamp(10, 65535), 9)).toEqual(stamp(11, 0));
        expect(tick(stamp(10, 65534), 9)).toEqual(stamp(10, 65535));
    });
});

describe("HybridClock", () => {
    const isLater = (a, b) =>
        a.local_time > b.local_time ||
        (a.local_time === b.local_time && a.logical_counter > b.logical_counter);

    test("a reload and a clock set back don't take it backwards", () => {
        mockDate("2026-11-23 12:00:00");
        const first = new HybridClock("kkt-hlc-test").tick();
        mockDate("2026-11-23 11:00:00");
        const second = new HybridClock("kkt-hlc-test").tick();
        expect(second).toEqual({ ...first, logical_counter: first.logical_counter + 1 });
    });

    test("what is not its stamp in the storage is not taken for one", () => {
        for (const nonsense of ["", "{", "null", "7", '{"local_time": "7"}']) {
            browser.localStorage.setItem("kkt-hlc-test", nonsense);
            const { local_time, logical_counter, node } = new HybridClock("kkt-hlc-test").tick();
            expect(Date.now() - local_time).toBeLessThan(1000);
            expect(logical_counter).toBe(0);
            expect(node).toMatch(/^till-[0-9a-f]{12}$/);
        }
    });

    test("it goes on when the storage is full", () => {
        const clock = new HybridClock("kkt-hlc-test");
        patchWithCleanup(browser.localStorage, {
            setItem: () => {
                throw new DOMException("full", "QuotaExceededError");
            },
        });
        const first = clock.tick();
        expect(isLater(clock.tick(), first)).toBe(true);
    });
});

describe("store", () => {
    test("a till's next stamp is later than the receipts that the server returned", async () => {
        const store = await setupPosEnv();
        const hlc = stamp(Date.now() + 60_000, 3, "register");
        store.postSyncAllOrders([{ kkt_documents: [{ fd_number: 1, hlc }] }, {}]);
        const { local_time, logical_counter } = store.kktClock.tick();
        expect([local_time, logical_counter]).toEqual([hlc.local_time, 5]);
    });

    test("a sale is sent again until its receipt is known", async () => {
        const store = await setupPosEnv();
        const order = await getFilledOrder(store);
        order.state = "paid";
        order.kkt_hlc = store.kktClock.tick();
        order.serializeForORM();
        expect(order._dirty).toBe(false);
        expect(order.isDirty()).toBe(true);
        order.update({ kkt_state: "pending" });
        order._dirty = false;
        expect(order.isDirty()).toBe(false);
    });

    test("a sale is stamped once, however often its payment is tried", async () => {
        const store = await setupPosEnv();
        const pos = Object.create(store, {
            hasKktRegister: { value: true },
            syncAllOrders: { value: () => false },
        });
        const order = await getFilledOrder(store);
        const validation = new OrderPaymentValidation({ pos, orderUuid: order.uuid });
        await validation.finalizeValidation();
        const stamped = { ...order.kkt_hlc };
        expect(Object.keys(stamped).sort()).toEqual(["local_time", "logical_counter", "node"]);
        await validation.finalizeValidation();
        expect(order.kkt_hlc).toEqual(stamped);
    });

    test("payments of a fiscalised order are final", async () => {
        const store = await setupPosEnv();
        expect(store.canEditPayment({ nb_print: 0 })).toBe(true);
        expect(store.canEditPayment({ nb_print: 0, isAwaitingKkt: true })).toBe(false);
        expect(store.canEditPayment({ nb_print: 0, kkt_state: "pending" })).toBe(false);
    });
});
