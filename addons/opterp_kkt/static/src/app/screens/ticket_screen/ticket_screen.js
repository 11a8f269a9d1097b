import { patch } from "@web/core/utils/patch";
import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";

patch(TicketScreen.prototype, {
    /** A refund names the fiscal receipt that it takes back, so that one must exist. */
    async onDoRefund() {
        if (this.getSelectedOrder()?.isAwaitingKkt) {
            this.dialog.add(AlertDialog, {
                title: _t("No fiscal receipt yet"),
                body: _t(
                    "This sale waits in this browser for the connection. It can be refunded as soon as its fiscal receipt is issued."
                ),
            });
            return;
        }
        return await super.onDoRefund(...arguments);
    },

    /** The order's fiscal documents in a few words, for the list of orders. */
    getKktStatus(order) {
        if (order.isAwaitingKkt) {
            return _t("No fiscal receipt yet");
        }
        if (order.kkt_state === "rejected") {
            return _t("Fiscal receipt rejected");
        }
        const documents = order.kkt_documents || [];
        const numbers = documents.map((document) => document.fd_number).filter(Boolean);
        return numbers.length ? _t("FD %s", numbers.join(", ")) : "";
    },
});
