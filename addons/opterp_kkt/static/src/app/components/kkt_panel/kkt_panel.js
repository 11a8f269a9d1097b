import { Component, onMounted, onWillUnmount, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { ConnectionLostError } from "@web/core/network/rpc";
import { Dialog } from "@web/core/dialog/dialog";
import { useService } from "@web/core/utils/hooks";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import {
    explainObstacle,
    getAdvice,
    judge,
    seconds,
    toWords,
} from "@opterp_kkt/app/utils/kkt_health";
import { getShiftAge, LONGEST } from "@opterp_kkt/app/utils/kkt_shift";

/** Behind the icon, at one glance: what waits and why, what comes next, and what the cashier has to do. */
export class KktPanel extends Component {
    static template = "opterp_kkt.KktPanel";
    static components = { Dialog };
    static props = { close: Function };

    setup() {
        this.pos = usePos();
        this.notification = useService("notification");
        this.state = useState({ now: seconds(), delivering: false });
        onMounted(() => {
            this.timer = setInterval(() => (this.state.now = seconds()), 1000);
        });
        onWillUnmount(() => clearInterval(this.timer));
    }

    get facts() {
        return this.pos.getKktFacts(this.state.now);
    }

    get verdict() {
        return judge(this.facts);
    }

    get headline() {
        const { waiting } = this.facts;
        return (
            this.verdict.label ||
            (waiting
                ? _t("Receipts are on their way to the OFD")
                : _t("All fiscal receipts of this till are issued."))
        );
    }

    get advice() {
        return getAdvice(this.facts);
    }

    /** What there is to tell, as [name, label, value]; a line without a value is left out. A further fact is a further line. */
    get lines() {
        return [
            ["waiting", _t("Waiting for the OFD"), this.waiting],
            ["obstacle", _t("Why"), this.facts.waiting && explainObstacle(this.facts.obstacle)],
            ["rejected", _t("Rejected"), this.facts.rejected],
            ["unsynced", _t("Only in this browser"), this.unsynced],
            ["delivered", _t("Last delivery"), this.delivered],
            ["next_try", _t("Next try"), this.nextTry],
            ["words", _t("The OFD said"), this.pos.kktHealth.words],
            ["shift", _t("Shift"), this.shift],
            ["redis", _t("Redis"), this.redis],
            ["server", _t("Server"), this.server],
            ["clock", _t("Clock"), this.facts.clockOff && this.clock],
            ["storage", _t("Storage of this browser"), this.storage],
            ["tab", _t("Windows"), this.otherTab],
        ].filter(([, , value]) => value);
    }

    get waiting() {
        const { waiting, age } = this.facts;
        const since = new Date(Date.now() - (age + this.pos.kktHealth.clockError) * 1000);
        return (
            waiting &&
            _t("%(count)s, since %(time)s (%(age)s)", {
                count: waiting,
                time: luxon.DateTime.fromJSDate(since).toFormat(
                    age < 86400 ? "HH:mm" : "dd.MM.yyyy HH:mm"
                ),
                age: toWords(age),
            })
        );
    }

    get unsynced() {
        const { unsynced, unsyncedAge } = this.facts;
        return (
            unsynced && _t("%(count)s, for %(age)s", { count: unsynced, age: toWords(unsyncedAge) })
        );
    }

    get delivered() {
        const { delivered } = this.pos.kktHealth;
        return delivered !== false && _t("%s ago", toWords(delivered + this.facts.silence));
    }

    /** Counted down from what the server said: it is PostgreSQL's clock that waits. */
    get nextTry() {
        const { next_in } = this.pos.kktHealth;
        if (!this.facts.waiting || next_in === null || !this.verdict.level) {
            return false;
        }
        const left = Math.ceil(next_in - this.facts.silence);
        return left > 0 ? _t("in %s s", left) : _t("now");
    }

    get shift() {
        const { shift } = this.pos.kktHealth;
        const left = LONGEST - getShiftAge(this.pos.kktHealth, this.state.now);
        if (!shift) {
            return false;
        }
        return left > 0
            ? _t("%(number)s, %(left)s left", { number: shift.number, left: toWords(left) })
            : _t("%s: its 24 hours are over", shift.number);
    }

    get redis() {
        return (
            this.facts.leaseMissing &&
            _t(
                "It does not answer. Receipts are sent all the same; a system administrator should start it."
            )
        );
    }

    get server() {
        const { silence } = this.facts;
        return (
            (silence >= 120 || this.pos.data.network.offline) &&
            _t("It has not answered for %s: what is said here is as old.", toWords(silence))
        );
    }

    get clock() {
        const error = this.pos.kktHealth.clockError;
        return [
            error > 0
                ? _t("The clock of this device is fast by %s.", toWords(error))
                : _t("The clock of this device is slow by %s.", toWords(-error)),
            _t("Fiscal receipts state the time of the cash register, which is right."),
        ].join(" ");
    }

    get storage() {
        return {
            kept: _t("It keeps sales until they are sent."),
            may_be_cleared: _t(
                "This browser may clear it when its disk is full: do not let sales wait here for long."
            ),
        }[this.pos.kktKeeper.persistence];
    }

    get otherTab() {
        return (
            this.pos.kktKeeper.isOpenTwice &&
            _t("This till is open in another window, too. That does no harm, but one is enough.")
        );
    }

    get mayDeliver() {
        const { kktHealth, data } = this.pos;
        return kktHealth.may_deliver && this.facts.waiting && !data.network.offline;
    }

    async deliverNow() {
        this.state.delivering = true;
        try {
            const { params } = await this.pos.deliverKktNow();
            this.notification.add(params.message, { type: params.type, title: params.title });
        } catch (error) {
            if (!(error instanceof ConnectionLostError)) {
                throw error;
            }
        } finally {
            this.state.delivering = false;
        }
    }
}
