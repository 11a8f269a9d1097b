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
import { findFault } from "@opterp_kkt/app/utils/kkt_fault";

definePosModels();

const line = (name, qty = 1, price_unit = 1, combo_line_ids = [], tax_ids = []) => ({
    getFullProductName: () => name,
    qty,
    price_unit,
    combo_line_ids,
    tax_ids,
    order_id: {},
});
const orderOf = (lines, payment_ids = []) => ({ lines, payment_ids, uiState: {} });

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

describe("what keeps a receipt from being built", () => {
    const vat = (...rates) => rates.map((kkt_vat_rate) => ({ kkt_vat_rate }));
    const fault = (tested, rates = ["11"], payments = []) =>
        String(findFault(orderOf([line("Frame"), tested], payments), rates));

    test("is told with the line that is at fault", async () => {
        await setupPosEnv();
        expect(fault(line("Lens", 1, 1, [], vat(false)))).toMatch(/Line 2 \(Lens\).*no VAT rate/);
        expect(fault(line("Lens", 1, 1, [], vat("11", "2")))).toMatch(/Line 2.*no VAT rate/);
        expect(fault(line("Lens", 1, 1, [], vat("1")))).toMatch(/Line 2.*of today/);
        expect(fault(line(" "))).toMatch(/Line 2.*no name/);
        expect(fault(line("Lens", 4_600_000_000_000))).toMatch(/Line 2.*quantity/);
        const group = [{ amount_type: "group", children_tax_ids: vat("11", "1") }];
        expect(fault(line("Lens", 1, 1, [], group))).toMatch(/Line 2/);
    });

    test("is not there", () => {
        expect(fault(line("Lens", 1, 1, [], vat("11")))).toBe("false");
        expect(fault(line("Lens", 1, 1, [], vat(undefined)))).toBe("false");
        expect(fault(line("Lens", 1, 1, [], vat("1")), false)).toBe("false");
        expect(fault(line(" ", 0))).toBe("false");
        const refund = { ...line("Lens", -1, 1, [], vat("1")), refunded_orderline_id: {} };
        expect(fault(refund)).toBe("false");
    });

    test("may be the payment method", async () => {
        await setupPosEnv();
        const pay = (kkt_payment_form) => [
            { payment_method_id: { name: "Chips", kkt_payment_form } },
        ];
        expect(fault(line("Lens"), ["11"], pay(false))).toMatch(/Chips/);
        expect(fault(line("Lens"), ["11"], pay("cash"))).toBe("false");
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
    /** The checks of an order at a till of that company; `answer` is what the cashier does with a question, or says it. */
    const open = async (vat, { register = true, answer = "cancel" } = {}) => {
        const store = await setupPosEnv();
        const order = await getFilledOrder(store);
        const pos = Object.create(store, {
            hasKktRegister: { value: register },
            company: { value: { name: "Shop", vat } },
            dialog: { value: { add: (_, props) => props[answer.call?.() || answer]?.() } },
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
        Object.defineProperty(validation, "order", { value: orderOf(lines) });
        expect(await validation.askBeforeValidation()).toBe(false);
        lines.pop();
        expect(await validation.askBeforeValidation()).toBe(true);
    });

    test("of a line that can't be stated the cashier is asked, once", async () => {
        const order = orderOf([line("Frame"), line("Lens", 1, 1, [], [{ kkt_vat_rate: false }])]);
        const answers = ["cancel", "cancel", "confirm"];
        const validation = await open("7702203276", { answer: () => answers.shift() });
        Object.defineProperty(validation, "order", { value: order });
        for (const goesOn of [false, false, true, true]) {
            expect(await validation.askBeforeValidation()).toBe(goesOn);
        }
        expect(answers).toEqual([]);
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
            const order = { ...orderOf([]), partner_id: { name: "Ivan", email, phone: "" } };
            Object.defineProperty(validation, "order", { value: order, configurable: true });
            expect(await validation.askBeforeValidation()).toBe(true);
            expect(told.length).toBe(times);
        }
    });
});
