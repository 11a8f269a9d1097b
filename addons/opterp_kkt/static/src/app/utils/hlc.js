import { browser } from "@web/core/browser/browser";
import { uuidv4 } from "@point_of_sale/utils";

const MAX_LOGICAL_COUNTER = 0xffff;

/**
 * The stamp after `last` and after every stamp in `seen`; the same algorithm as core/hlc.py.
 *
 * @param {{local_time: number, logical_counter: number, node: string}} last local_time in ms since 1970
 * @param {number} now this browser's clock, ms since 1970: it may stand still or run backwards
 */
export function tick(last, now, ...seen) {
    const stamps = [last, ...seen];
    const local_time = Math.max(now, ...stamps.map((stamp) => stamp.local_time));
    const counters = stamps
        .filter((stamp) => stamp.local_time === local_time)
        .map((stamp) => stamp.logical_counter);
    const logical_counter = Math.max(-1, ...counters) + 1;
    return logical_counter > MAX_LOGICAL_COUNTER
        ? { local_time: local_time + 1, logical_counter: 0, node: last.node }
        : { local_time, logical_counter, node: last.node };
}

/**
 * The hybrid logical clock of this browser at one point of sale.
 *
 * Its last stamp stays in the browser's storage, so that stamps only grow: across reloads, and when somebody sets the
 * computer's clock back.
 */
export class HybridClock {
    constructor(key) {
        this.key = key;
        this.last = this.load() || { local_time: 0, logical_counter: 0, node: newNode() };
    }

    /** The next stamp, later than all given so far and than those in `seen`. */
    tick(...seen) {
        this.last = tick(this.last, Date.now(), ...seen);
        this.save();
        return { ...this.last };
    }

    load() {
        try {
            const last = JSON.parse(browser.localStorage.getItem(this.key));
            return isStamp(last) && last;
        } catch {
            return null; // nothing stored yet, or not by us
        }
    }

    save() {
        try {
            browser.localStorage.setItem(this.key, JSON.stringify(this.last));
        } catch {
            // A full storage must not stop a sale: the clock then lives until the next reload.
        }
    }
}

function newNode() {
    return `till-${uuidv4().slice(-12)}`;
}

export function isStamp(value) {
    return [value?.local_time, value?.logical_counter].every(Number.isSafeInteger);
}

/** For sorting: negative when the first stamp is the earlier one. */
export function compareStamps(a, b) {
    return a.local_time - b.local_time || a.logical_counter - b.logical_counter;
}
