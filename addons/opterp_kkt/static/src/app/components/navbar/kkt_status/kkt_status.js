import { Component } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { useService } from "@web/core/utils/hooks";
import { ConnectionLostError } from "@web/core/network/rpc";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";

/** How the fiscal receipts of this till are doing, from the orders that this browser holds; a click asks the server. */
export class KktStatus extends Component {
    static template = "opterp_kkt.KktStatus";
    static props = {};

    setup() {
        this.pos = usePos();
        this.dialog = useService("dialog");
    }

    get unsynced() {
        return this.pos.models["pos.order"].filter((order) => order.isAwaitingKkt).length;
    }

    get pending() {
        return this.count("pending");
    }

    get rejected() {
        return this.count("rejected");
    }

    count(state) {
        return this.pos.models["pos.order"].filter((order) => order.kkt_state === state).length;
    }

    get color() {
        return this.rejected ? "text-danger" : this.unsynced ? "text-warning" : "text-success";
    }

    get messages() {
        return [
            this.unsynced &&
                _t(
                    "Sales go on. Receipts that wait in this browser for the connection: %s. Leave this window open, or open it again later: they are sent by themselves.",
                    this.unsynced
                ),
            this.rejected &&
                _t("Rejected receipts: %s. Please tell the administrator.", this.rejected),
            this.pending &&
                _t(
                    "Receipts that are on their way to the operator: %s. There is nothing to do.",
                    this.pending
                ),
        ].filter(Boolean);
    }

    get message() {
        return this.messages.join("\n\n") || _t("All fiscal receipts of this till are issued.");
    }

    async onClick() {
        try {
            await this.pos.refreshKktStates();
        } catch (error) {
            if (!(error instanceof ConnectionLostError)) {
                throw error;
            }
        }
        this.dialog.add(AlertDialog, { title: _t("Fiscal receipts"), body: this.message });
    }
}
