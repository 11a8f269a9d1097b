import { patch } from "@web/core/utils/patch";
import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { ConnectionLostError } from "@web/core/network/rpc";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";

/** Filters of the order list: which orders each shows, and how the server finds those that are not loaded. */
const FILTERS = {
    KKT_WAITING: {
        shows: (order) => order.kkt_state === "pending",
        domain: [["kkt_receipt_ids.state", "in", ["pending", "sending"]]],
    },
    KKT_REJECTED: {
        shows: (order) => order.kkt_state === "rejected",
        domain: [
            [
                "kkt_receipt_ids",
                "any",
                [
                    ["state", "=", "rejected"],
                    ["handled_at", "=", false],
                ],
            ],
        ],
    },
    KKT_BROWSER: { shows: (order) => order.isAwaitingKkt },
};
const MOST_ORDERS = 100; // that a filter fetches

patch(TicketScreen.prototype, {
    /** A refund names the fiscal receipt that it takes back, so that one must exist. The server knows best. */
    async onDoRefund() {
        const order = this.getSelectedOrder();
        const obstacle = order && (await this.getKktRefundObstacle(order));
        if (obstacle) {
            this.dialog.add(AlertDialog, { title: _t("No refund at present"), body: obstacle });
            return;
        }
        return await super.onDoRefund(...arguments);
    },

    async getKktRefundObstacle(order) {
        if (order.isAwaitingKkt) {
            return _t(
                "This sale waits in this browser for the connection. It can be refunded as soon as its fiscal receipt is issued."
            );
        }
        if (!["pending", "rejected"].includes(order.kkt_state)) {
            return false;
        }
        try {
            return await this.pos.data.call("pos.order", "kkt_get_refund_obstacle", [[order.id]]);
        } catch (error) {
            if (error instanceof ConnectionLostError) {
                return this.getKnownKktRefundObstacle(order);
            }
            throw error;
        }
    },

    /** What is said without the server. */
    getKnownKktRefundObstacle(order) {
        const isNumbered = (order.kkt_documents || []).every((document) => document.fd_number);
        return (
            (order.kkt_state === "rejected" || !isNumbered) &&
            _t(
                "This sale has no fiscal receipt that a refund could refer to. Please tell the administrator."
            )
        );
    },

    /** The order's fiscal documents in a few words, for the list of orders. */
    getKktStatus(order) {
        if (order.isAwaitingKkt) {
            return _t("No fiscal receipt yet");
        }
        const documents = order.kkt_documents || [];
        const numbers = documents.map((document) => document.fd_number).filter(Boolean);
        return numbers.length ? _t("FD %s", numbers.join(", ")) : "";
    },

    /** The state of the order's fiscal receipts, when there is something to say about it. */
    getKktBadge(order) {
        if (order.isAwaitingKkt) {
            return { color: "warning", icon: "fa-laptop", text: _t("Only in this browser") };
        }
        return {
            pending: { color: "info", icon: "fa-clock-o", text: _t("Waits for the OFD") },
            rejected: {
                color: "danger",
                icon: "fa-exclamation-triangle",
                text: _t("Fiscal receipt rejected"),
            },
            handled: { color: "secondary", icon: "fa-check", text: _t("Rejected, handled") },
            delivered: { color: "success", icon: "fa-check", text: _t("At the OFD") },
        }[order.kkt_state];
    },

    _getFilterOptions() {
        const options = super._getFilterOptions(...arguments);
        if (this.pos.hasKktRegister) {
            options.set("KKT_WAITING", { text: _t("Waits for the OFD") });
            options.set("KKT_REJECTED", { text: _t("Fiscal receipt rejected") });
            options.set("KKT_BROWSER", { text: _t("Only in this browser") });
        }
        return options;
    },

    async onFilterSelected(filter) {
        await super.onFilterSelected(...arguments);
        const domain = FILTERS[filter]?.domain;
        if (domain && !this.pos.data.network.offline) {
            const mine = [["config_id", "=", this.pos.config.id], ...domain];
            const ids = await this.pos.data.orm.search("pos.order", mine, { limit: MOST_ORDERS });
            const unknown = ids.filter((id) => !this.pos.models["pos.order"].get(id));
            if (unknown.length) {
                await this.pos.data.loadServerOrders([["id", "in", unknown]]);
            }
        }
    },

    getFilteredOrderList() {
        const filter = FILTERS[this.state.filter];
        if (!filter) {
            return super.getFilteredOrderList(...arguments);
        }
        const orders = this.pos.models["pos.order"].filter(filter.shows);
        this.pos.screenState.ticketSCreen.totalCount = orders.length;
        const { page, nbrByPage } = this.state;
        return orders
            .sort((a, b) => b.date_order - a.date_order)
            .slice((page - 1) * nbrByPage, page * nbrByPage);
    },
});
