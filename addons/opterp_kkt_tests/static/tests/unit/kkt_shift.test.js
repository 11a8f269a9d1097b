import { describe, expect, test } from "@odoo/hoot";
import { isShiftLate, isShiftRefused } from "@opterp_kkt/app/utils/kkt_shift";

const HOUR = 3600;

function health(hours, refuses = true) {
    return { shift: { number: 1, age: hours * HOUR, refuses }, answeredAt: 100 };
}

describe("the age of the shift", () => {
    test("goes on growing after the server's last answer", () => {
        expect(isShiftLate(health(22), 100 + HOUR - 1)).toBe(false);
        expect(isShiftLate(health(22), 100 + HOUR)).toBe(true);
        expect(isShiftLate({ shift: false, answeredAt: 0 }, 100 * HOUR)).toBe(false);
    });

    test("stops the till where the shop has chosen so", () => {
        expect(isShiftRefused(health(23), 100 + HOUR - 1)).toBe(false);
        expect(isShiftRefused(health(24), 100)).toBe(true);
        expect(isShiftRefused(health(24, false), 100)).toBe(false);
        expect(isShiftRefused({ shift: false, answeredAt: 0 }, 100 * HOUR)).toBe(false);
    });
});
