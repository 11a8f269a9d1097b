import { beforeEach, describe, expect, test } from "@odoo/hoot";
import { allowTranslations } from "@web/../tests/web_test_helpers";
import {
    getAdvice,
    getClockError,
    IDLE_PERIOD,
    isClockOff,
    judge,
    seconds,
    KktHealth,
    OPEN_PERIOD,
} from "@opterp_kkt/app/utils/kkt_health";
import { getPause, KktKeeper } from "@opterp_kkt/app/utils/kkt_keeper";

const WELL = {
    waiting: 0,
    age: 0,
    rejected: 0,
    obstacle: false,
    leaseMissing: false,
    unsynced: 0,
    unsyncedAge: 0,
    silence: 0,
    clockOff: false,
    shiftLate: false,
};
const DAY = 24 * 60 * 60;

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
    });
});

describe("the icon", () => {
    beforeEach(allowTranslations);

    test("says the worst that is so, by level, shape, count and words", () => {
        for (const [facts, level, count, label] of [
            [{}, 0, 0, ""],
            [{ waiting: 3, age: 59 }, 0, 0, ""],
            [{ waiting: 3, age: 60 }, 1, 3, "Receipts wait"],
            [{ waiting: 3, age: 3600 }, 2, 3, "Receipts wait"],
            [{ waiting: 3, age: 25 * DAY }, 2, 3, "30 days nearly over"],
            [{ obstacle: "open" }, 1, 0, "OFD does not answer"],
            [{ obstacle: "open", waiting: 2, age: 1 }, 1, 2, "OFD does not answer"],
            [{ obstacle: "paused" }, 1, 0, "Sending is paused"],
            [{ obstacle: "forced_open" }, 1, 0, "Sending is paused"],
            [{ obstacle: "held", waiting: 1 }, 2, 1, "Register is held"],
            [{ obstacle: "no_delivery_job" }, 2, 0, "Server does not send"],
            [{ obstacle: "delivery_silent" }, 2, 0, "Server does not send"],
            [{ obstacle: "delivery_fails" }, 2, 0, "Server does not send"],
            [{ leaseMissing: true }, 1, 0, "Redis is missing"],
            [{ unsynced: 2, unsyncedAge: 1 }, 1, 2, "Only in this browser"],
            [{ unsynced: 2, unsyncedAge: 3600 }, 2, 2, "Receipts wait"],
            [{ rejected: 1, unsynced: 1, waiting: 1, age: 61 }, 2, 1, "Receipts rejected"],
            [{ shiftLate: true }, 1, 0, "Shift nearly over"],
            [{ clockOff: true }, 1, 0, "Clock is wrong"],
            [{ silence: 299 }, 0, 0, ""],
            [{ silence: 300 }, 1, 0, "No answer"],
        ]) {
            const verdict = judge({ ...WELL, ...facts });
            expect([verdict.level, verdict.count, String(verdict.label)]).toEqual([
                level,
                count,
                label,
            ]);
        }
    });

    test("never differs by colour alone", () => {
        const facts = [{}, { leaseMissing: true }, { rejected: 1 }];
        const verdicts = facts.map((each) => judge({ ...WELL, ...each }));
        for (const name of ["color", "icon", "label"]) {
            expect(new Set(verdicts.map((verdict) => String(verdict[name]))).size).toBe(3);
        }
    });

    test("comes with what the cashier does", () => {
        expect(String(getAdvice(WELL))).toMatch("There is nothing to do.");
        expect(getAdvice({ ...WELL, rejected: 1 })).toMatch(/tell the administrator/);
        expect(getAdvice({ ...WELL, unsynced: 1 })).toMatch(/Leave this window open/);
        expect(getAdvice({ ...WELL, obstacle: "open" })).toMatch("Sales go on.");
    });
});

describe("the server", () => {
    test("is asked every half minute at most, and hardly while all is well", () => {
        const health = new KktHealth();
        expect(health.isDue(0, false, 0)).toBe(true);
        health.askedAt = 100;
        expect(health.isDue(100 + OPEN_PERIOD - 1, true, 0)).toBe(false);
        expect(health.isDue(100 + OPEN_PERIOD, true, 0)).toBe(true);
        expect(health.isDue(100 + OPEN_PERIOD, true, 1)).toBe(false);
        expect(health.isDue(100 + IDLE_PERIOD - 1, false, 0)).toBe(false);
    });

    test("is asked once at a time, and again for what came up meanwhile", async () => {
        const health = new KktHealth();
        let answer;
        const first = health.ask(() => new Promise((resolve) => (answer = resolve)));
        expect(await health.ask(() => expect.step("second"))).toBe(undefined);
        expect(health.askAgain).toBe(true);
        answer({ time: Date.now() / 1000, waiting: 2 });
        await first;
        expect(health.waiting).toBe(2);
        expect.verifySteps([]);
    });

    test("that fails leaves what was known", async () => {
        const health = new KktHealth();
        health.waiting = 1;
        expect(await health.ask(() => Promise.reject(new Error("gone")))).toBe(undefined);
        expect([health.waiting, health.asking]).toEqual([1, false]);
    });
});

describe("what only this browser has", () => {
    test("is sent again after pauses that grow, and never by all tills at once", () => {
        expect([0, 1, 2].map((tries) => getPause(tries, 1))).toEqual([5, 10, 20]);
        expect(getPause(20, 1)).toBe(300);
        expect(getPause(3, 0)).toBe(20);
    });

    test("is not sent while it may be on its way, and no more when it has arrived", () => {
        const keeper = new KktKeeper("kkt-test");
        expect(keeper.isDue(true)).toBe(false);
        keeper.nextTryAt = 0;
        expect(keeper.isDue(true)).toBe(true);
        keeper.noteTry();
        expect(keeper.isDue(true)).toBe(false);
        expect(keeper.tries).toBe(1);
        expect(keeper.isDue(false)).toBe(false);
        expect(keeper.tries).toBe(0);
    });

    test("is sent within seconds when the server is there again", () => {
        const keeper = new KktKeeper("kkt-test");
        keeper.isLost = true;
        [1, 2, 3, 4, 5, 6].forEach(() => keeper.noteTry());
        expect(keeper.nextTryAt - seconds()).toBeGreaterThan(100);
        keeper.hurry();
        expect([keeper.isDue(true), keeper.isLost]).toEqual([false, false]);
        expect(keeper.nextTryAt - seconds()).toBeLessThan(6);
    });

    test("another window is noticed, and forgotten when it has left", () => {
        const keeper = new KktKeeper("kkt-test");
        const said = [];
        keeper.speak = (event) => said.push(event);
        keeper.hear({ id: 1, event: "entered" });
        expect([keeper.isOpenTwice, ...said]).toEqual([true, "here"]);
        keeper.hear({ id: 1, event: "left" });
        expect(keeper.isOpenTwice).toBe(false);
    });
});
