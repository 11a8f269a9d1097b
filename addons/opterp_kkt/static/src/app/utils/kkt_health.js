import { _t } from "@web/core/l10n/translation";

const LATE = 5 * 60; // s of waiting: amber
const OVERDUE = 60 * 60; // s: red
const CLOCK_OFF = 5 * 60; // s: amber

/**
 * How the receipts of this till are doing, as the server said last. What waited then is taken to wait still, so that the
 * age of what waits goes on growing whoever is dead.
 */
export class KktHealth {
    waiting = 0;
    rejected = 0;
    oldest = 0; // s, when the server answered
    obstacle = false;
    shift = false; // number, age (s, when the server answered), and whether the till stops when it is over
    clockError = 0; // s that this device's clock is ahead of the server's
    answeredAt = seconds();
    asking = false;

    /** One question at a time: a server that hangs must not use up the browser's connections. */
    async ask(call) {
        if (this.asking) {
            return;
        }
        this.asking = true;
        const askedAt = Date.now() / 1000;
        try {
            const { time, ...answer } = await call();
            const clockError = getClockError(time, askedAt, Date.now() / 1000);
            Object.assign(this, answer, { clockError, answeredAt: seconds() });
        } catch {
            // No connection, or a server in trouble: the answer grows old, and the icon says so.
        } finally {
            this.asking = false;
        }
    }

    /** Seconds since the server answered, and that the oldest document waits; `now` as of `seconds`. */
    getSilence(now) {
        return now - this.answeredAt;
    }

    getAge(now) {
        return this.waiting ? this.oldest + this.getSilence(now) : 0;
    }
}

/** This browser's clock that nobody sets. */
export function seconds() {
    return performance.now() / 1000;
}

/** The server's clock said `time` somewhen between the question and its answer: only what is beyond both is certain. */
export function getClockError(time, askedAt, answeredAt) {
    return Math.max(askedAt - time, 0) + Math.min(answeredAt - time, 0);
}

export function isClockOff(clockError) {
    return Math.abs(clockError) > CLOCK_OFF;
}

/** 0: all is well, 1: amber, 2: red. */
export function getLevel({ age, silence, unsynced, rejected, clockOff }) {
    if (rejected || age >= OVERDUE) {
        return 2;
    }
    return unsynced || clockOff || age >= LATE || silence >= LATE ? 1 : 0;
}

/** A span of time in words, as coarse as people say it. */
export function toWords(span) {
    const minutes = Math.floor(span / 60);
    if (minutes < 60) {
        return _t("%s min", minutes);
    }
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? _t("%s h", hours) : _t("%s days", Math.floor(hours / 24));
}
