import { describe, expect, test } from "@odoo/hoot";
import { getClockError, getLevel, isClockOff } from "@opterp_kkt/app/utils/kkt_health";

describe("the clock of this device", () => {
    test("is off by what can't be the answer's way", () => {
        for (const [askedAt, answeredAt, error] of [
            [1000, 1001, 0],
            [999, 1000, 0],
            [960, 1040, 0],
            [1600, 1601, 600],
            [1600, 1700, 600],
            [300, 390, -610],
        ]) {
            expect(getClockError(1000, askedAt, answeredAt)).toBe(error);
        }
    });

    test("is wrong beyond five minutes, either way", () => {
        expect([300, -300, 0].map(isClockOff)).toEqual([false, false, false]);
        expect([301, -301].map(isClockOff)).toEqual([true, true]);
        expect(getLevel({ age: 0, clockOff: true })).toBe(1);
        expect(getLevel({ age: 0, clockOff: false })).toBe(0);
    });
});
