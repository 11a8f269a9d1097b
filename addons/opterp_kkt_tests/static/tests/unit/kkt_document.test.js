import { describe, expect, test } from "@odoo/hoot";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { getFilledOrder, setupPosEnv } from "@point_of_sale/../tests/unit/utils";
import {
    isContact,
    isInn,
    LARGEST_DOCUMENT,
    leastSize,
    leastSizes,
} from "@opterp_kkt/app/utils/kkt_document";

definePosModels();

const line = (name, qty = 1, price_unit = 1, combo_line_ids = []) => ({
    getFullProductName: () => name,
    qty,
    price_unit,
    combo_line_ids,
});

describe("size of a document", () => {
    test("grows with its lines and their names, which are cut", () => {
        expect(leastSize([])).toBe(187);
        expect(leastSize([" Frame "])).toBe(187 + 44 + 5);
        expect(leastSize(["x".repeat(128)])).toBe(187 + 172);
        expect(leastSize(["x".repeat(500), "x"])).toBe(187 + 172 + 45);
    });

    test("what is sold and what is taken back are two documents; discounts and combos are no items", () => {
        const lines = [
            line("Frame"),
            line("Lens", -2),
            line("Off", 1, -5),
            line("Set", 1, 0, [line("x")]),
        ];
        expect(leastSizes(lines)).toEqual([187 + 49, 187 + 48]);
    });
});

test("INN", () => {
    for (const inn of ["7702203276", "7700123459", "500100732259"]) {
        expect(isInn(inn)).toBe(true);
    }
    for (const text of ["7702203277", "500100732258", "500100732269", "0000000000", "123", false]) {
        expect(isInn(text)).toBe(false);
    }
});

test("a buyer's contact", () => {
    for (const [email, phone] of [
        [" ivan@example.com ", ""],
        ["ivan@", "+7 (916) 123-45-67"],
        [false, "8 916 123 45 67"],
        [false, "9161234567"],
        ["a".repeat(52) + "@example.com", false],
    ]) {
        expect(isContact(email, phone)).toBe(true);
    }
    for (const [email, phone] of [
        ["ivan@", "123"],
        ["ivan@example", false],
        ["a b@example.com", "+123456"],
        ["a".repeat(53) + "@example.com", "916-CALL-NOW"],
        [false, false],
    ]) {
        expect(isContact(email, phone)).toBe(false);
    }
});

describe("before payment", () => {
    /** The checks of an order at a till of that company; `answer` is what the cashier does with a question. */
    const open = async (vat, { register = true, answer = "cancel" } = {}) => {
        const store = await setupPosEnv();
        const order = await getFilledOrder(store);
        const pos = Object.create(store, {
            hasKktRegister: { value: register },
            company: { value: { name: "Shop", vat } },
            dialog: { value: { add: (_component, props) => props[answer]?.() } },
        });
        return new OrderPaymentValidation({ pos, orderUuid: order.uuid });
    };

    test("an order that fits goes on", async () => {
        const validation = await open("7702203276");
        expect(await validation.askBeforeValidation()).toBe(true);
    });

    test("too many lines are refused", async () => {
        const validation = await open("7702203276");
        const most = Math.floor((LARGEST_DOCUMENT - 187) / 172);
        const lines = Array.from({ length: most + 1 }, () => line("x".repeat(128)));
        Object.defineProperty(validation, "order", { value: { lines } });
        expect(await validation.askBeforeValidation()).toBe(false);
        lines.pop();
        expect(await validation.askBeforeValidation()).toBe(true);
    });

    test("of a wrong INN the cashier is asked, and stops", async () => {
        const validation = await open("7702203277", { answer: "cancel" });
        expect(await validation.askBeforeValidation()).toBe(false);
    });

    test("of a wrong INN the cashier is asked, and sells", async () => {
        const validation = await open("7702203277", { answer: "confirm" });
        expect(await validation.askBeforeValidation()).toBe(true);
    });

    test("without a register nobody is bothered", async () => {
        const validation = await open("", { register: false });
        expect(await validation.askBeforeValidation()).toBe(true);
    });

    test("of a contact that can't be used the cashier hears, and sells", async () => {
        const validation = await open("7702203276");
        const told = [];
        validation.pos.notification = { add: (text) => told.push(text) };
        for (const [email, times] of [
            ["ivan@", 1],
            ["ivan@example.com", 1],
            ["", 1],
        ]) {
            const order = { lines: [], partner_id: { name: "Ivan", email, phone: "" } };
            Object.defineProperty(validation, "order", { value: order, configurable: true });
            expect(await validation.askBeforeValidation()).toBe(true);
            expect(told.length).toBe(times);
        }
    });
});
