import { _t } from "@web/core/l10n/translation";

const LATE = 60; // s of waiting: amber
const OVERDUE = 60 * 60; // s: red
const NEAR_DEADLINE = 25 * 24 * 60 * 60; // s, of the 30 days that the law gives
const SILENT = 5 * 60; // s without an answer of the server: amber
const CLOCK_OFF = 5 * 60; // s: amber
const STOPPED = ["no_delivery_job", "delivery_silent", "delivery_fails"]; // the server sends nothing at all

export const OPEN_PERIOD = 30; // s between two questions while something is open, and up to half as much again
export const IDLE_PERIOD = 120; // s, while all is well: a message tells of changes
const COLORS = ["text-success", "text-warning", "text-danger"];
const ICONS = ["fa-check-circle", "fa-clock-o", "fa-exclamation-triangle"];

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
    lease_missing = false;
    delivered = false; // s since the last delivery, when the server answered
    next_in = null; // s until the next try, when the server answered
    words = false; // the OFD's
    may_deliver = false;
    rates = false; // of VAT, that a receipt of today may state
    clockError = 0; // s that this device's clock is ahead of the server's
    answeredAt = seconds();
    askedAt = -Infinity;
    asking = false;
    askAgain = false;

    /** One question at a time: a server that hangs must not use up the browser's connections. What comes up meanwhile is asked next. */
    async ask(call) {
        this.askAgain = this.asking;
        if (this.asking) {
            return;
        }
        this.asking = true;
        this.askedAt = seconds();
        const askedAt = Date.now() / 1000;
        try {
            const report = await call();
            this.take(report, askedAt);
            return report;
        } catch {
            // No connection, or a server in trouble: the answer grows old, and the icon says so.
        } finally {
            this.asking = false;
        }
    }

    /** What the server said to a question of this moment, in ms since 1970 / 1000 of this device. */
    take({ time, orders, ...report }, askedAt) {
        const clockError = getClockError(time, askedAt, Date.now() / 1000);
        Object.assign(this, report, { clockError, answeredAt: seconds() });
    }

    /** Seconds since the server answered, and that the oldest document waits; `now` as of `seconds`. */
    getSilence(now) {
        return now - this.answeredAt;
    }

    getAge(now) {
        return this.waiting ? this.oldest + this.getSilence(now) : 0;
    }

    /** Whether the server should be asked again; `spread` (0…1) keeps tills from asking in step. */
    isDue(now, isOpen, spread) {
        const period = isOpen ? OPEN_PERIOD * (1 + spread / 2) : IDLE_PERIOD * (1 + spread);
        return now - this.askedAt >= period;
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

/**
 * What there is to say, the worst first: [whether it is so, level, words, how many]. A further fact is a further line.
 *
 * @param {{waiting: number, age: number, rejected: number, obstacle: string|false, leaseMissing: boolean, unsynced: number,
 *     unsyncedAge: number, silence: number, clockOff: boolean, shiftLate: boolean}} facts ages in seconds
 */
function getFindings(facts) {
    const { waiting, age, rejected, obstacle, leaseMissing, unsynced, unsyncedAge } = facts;
    const wait = Math.max(waiting && age, unsynced && unsyncedAge);
    return [
        [rejected, 2, _t("Receipts rejected"), rejected],
        [obstacle === "held", 2, _t("Register is held"), waiting],
        [STOPPED.includes(obstacle), 2, _t("Server does not send"), waiting],
        [waiting && age >= NEAR_DEADLINE, 2, _t("30 days nearly over"), waiting],
        [wait >= OVERDUE, 2, _t("Receipts wait"), waiting + unsynced],
        [unsynced, 1, _t("Only in this browser"), unsynced],
        [facts.shiftLate, 1, _t("Shift nearly over"), 0],
        [obstacle === "open", 1, _t("OFD does not answer"), waiting],
        [obstacle, 1, _t("Sending is paused"), waiting],
        [waiting && age >= LATE, 1, _t("Receipts wait"), waiting],
        [facts.clockOff, 1, _t("Clock is wrong"), 0],
        [facts.silence >= SILENT, 1, _t("No answer"), 0],
        [leaseMissing, 1, _t("Redis is missing"), 0],
    ];
}

/** From facts to what the icon shows: level (0: all is well, 1: amber, 2: red), colour, shape, count and words. */
export function judge(facts) {
    const [, level, label, count] = getFindings(facts).find(([isSo]) => isSo) || [true, 0, "", 0];
    return { level, color: COLORS[level], icon: ICONS[level], count, label };
}

/** What the cashier does about it. */
export function getAdvice(facts) {
    const { level } = judge(facts);
    if (!level) {
        return _t("There is nothing to do.");
    }
    return [
        _t("Sales go on."),
        facts.unsynced &&
            _t(
                "Leave this window open, or open it again later: what is only here is sent by itself."
            ),
        facts.shiftLate && _t("Please close the session soon."),
        facts.clockOff && _t("Please set this device's clock."),
        (level === 2 || facts.obstacle === "forced_open") && _t("Please tell the administrator."),
    ]
        .filter(Boolean)
        .join(" ");
}

/** Why documents wait, for the cashier. */
export function explainObstacle(obstacle) {
    return {
        held: _t("The administrator has to look at one of them first."),
        forced_open: _t("Sending is switched off in the settings."),
        paused: _t("The OFD does not take them at the moment."),
        open: _t("The OFD does not answer."),
        no_delivery_job: _t("The server does not send them."),
        delivery_silent: _t("The server does not send them."),
        delivery_fails: _t("The server does not send them."),
    }[obstacle];
}

/** A span of time in words, as coarse as people say it. */
export function toWords(span) {
    const minutes = Math.floor(span / 60);
    if (minutes < 1) {
        return _t("%s s", Math.floor(span));
    }
    if (minutes < 60) {
        return _t("%s min", minutes);
    }
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? _t("%s h", hours) : _t("%s days", Math.floor(hours / 24));
}
