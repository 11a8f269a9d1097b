import { Component, onMounted, onWillUnmount, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { useService } from "@web/core/utils/hooks";
import { ConnectionLostError } from "@web/core/network/rpc";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import { getLevel, isClockOff, seconds, toWords } from "@opterp_kkt/app/utils/kkt_health";

const PERIOD = 30_000; // ms between two questions to the server, and up to as much again: tills must not ask in step
const COLORS = ["text-success", "text-warning", "text-danger"];
const ICONS = [null, "fa-clock-o", "fa-exclamation-triangle"];

/** How the fiscal receipts of this till are doing: by colour, shape and words, from the moment it is opened. */
export class KktStatus extends Component {
    static template = "opterp_kkt.KktStatus";
    static props = {};

    setup() {
        this.pos = usePos();
        this.dialog = useService("dialog");
        this.state = useState({ now: seconds() });
        onMounted(() => this.look());
        onWillUnmount(() => clearTimeout(this.timer));
    }

    /** The next look does not wait for this answer, which may never come. */
    look() {
        this.state.now = seconds();
        this.pos.refreshKktHealth();
        this.timer = setTimeout(() => this.look(), PERIOD * (1 + Math.random()));
    }

    get unsynced() {
        return this.pos.models["pos.order"].filter((order) => order.isAwaitingKkt);
    }

    /** Everything that colour and words depend on. */
    get facts() {
        const { kktHealth } = this.pos;
        const now = Math.max(this.state.now, kktHealth.answeredAt);
        const stamps = this.unsynced.map((order) => order.kkt_hlc.local_time);
        const age = kktHealth.getAge(now);
        return {
            age: Math.max(age, ...stamps.map((stamp) => (Date.now() - stamp) / 1000)),
            late: Boolean(getLevel({ age })),
            silence: kktHealth.getSilence(now),
            unsynced: stamps.length,
            waiting: kktHealth.waiting,
            rejected: kktHealth.rejected,
            clockOff: isClockOff(kktHealth.clockError),
        };
    }

    get level() {
        return getLevel(this.facts);
    }

    get color() {
        return COLORS[this.level];
    }

    get icon() {
        return ICONS[this.level];
    }

    get count() {
        const { unsynced, rejected, late, waiting } = this.facts;
        return unsynced + rejected + (late ? waiting : 0);
    }

    get label() {
        if (!this.level) {
            return "";
        }
        const { rejected, unsynced, late, clockOff } = this.facts;
        if (rejected) {
            return _t("Receipts rejected");
        }
        if (unsynced || late) {
            return _t("Receipts wait");
        }
        return clockOff ? _t("Clock is wrong") : _t("No answer");
    }

    get obstacle() {
        return {
            held: _t("The administrator has to look at one of them first."),
            forced_open: _t("Sending is switched off in the settings."),
            paused: _t("The OFD does not take them at the moment."),
            open: _t("The OFD does not answer."),
            no_delivery_job: _t("The server does not send them."),
            delivery_silent: _t("The server does not send them."),
            delivery_fails: _t("The server does not send them."),
        }[this.pos.kktHealth.obstacle];
    }

    get clockMessage() {
        const error = this.pos.kktHealth.clockError;
        return [
            error > 0
                ? _t("The clock of this device is fast by %s.", toWords(error))
                : _t("The clock of this device is slow by %s.", toWords(-error)),
            _t(
                "Fiscal receipts state the time of the cash register, which is right. Please set this device's clock."
            ),
        ].join(" ");
    }

    get messages() {
        const { age, late, silence, unsynced, waiting, rejected, clockOff } = this.facts;
        return [
            unsynced &&
                _t(
                    "Sales go on. Receipts that wait in this browser for the connection: %s. Leave this window open, or open it again later: they are sent by themselves.",
                    unsynced
                ),
            rejected && _t("Rejected receipts: %s. Please tell the administrator.", rejected),
            waiting &&
                late &&
                [
                    _t("Receipts that wait for the OFD: %s.", waiting),
                    _t("The longest waits for %s.", toWords(age)),
                    this.obstacle,
                    _t("Sales go on. Please tell the administrator."),
                ]
                    .filter(Boolean)
                    .join(" "),
            waiting &&
                !late &&
                _t(
                    "Receipts that are on their way to the OFD: %s. There is nothing to do.",
                    waiting
                ),
            getLevel({ silence }) &&
                _t(
                    "The server has not answered for %s: what is said here is as old.",
                    toWords(silence)
                ),
            clockOff && this.clockMessage,
        ].filter(Boolean);
    }

    get message() {
        return this.messages.join("\n\n") || _t("All fiscal receipts of this till are issued.");
    }

    async onClick() {
        try {
            await Promise.all([this.pos.refreshKktStates(), this.pos.refreshKktHealth()]);
        } catch (error) {
            if (!(error instanceof ConnectionLostError)) {
                throw error;
            }
        }
        this.state.now = seconds();
        this.dialog.add(AlertDialog, { title: _t("Fiscal receipts"), body: this.message });
    }
}
