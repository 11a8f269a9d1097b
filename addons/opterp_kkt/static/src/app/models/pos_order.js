import { patch } from "@web/core/utils/patch";
import { PosOrder } from "@point_of_sale/app/models/pos_order";

patch(PosOrder.prototype, {
    /** Sold here, but its fiscal receipt is not known yet: the order has not reached the server, or its answer not us. */
    get isAwaitingKkt() {
        return this.state === "paid" && Boolean(this.kkt_hlc) && !this.kkt_state;
    },

    /** Core takes an order for written once it was put on its way, and would not send it again when it did not arrive. */
    isDirty() {
        return super.isDirty(...arguments) || this.isAwaitingKkt;
    },

    /** Core takes an order that has reached the server as a draft for sent, whatever was paid since. */
    get isUnsyncedPaid() {
        return super.isUnsyncedPaid || this.isAwaitingKkt;
    },

    /** What is shown of the documents, in short: the server answers when it knows something else. */
    get kktMark() {
        const numbers = (this.kkt_documents || []).map((document) => document.fd_number);
        return [this.kkt_state, numbers.filter(Boolean)];
    },

    /** What was just read need not be written. */
    takeKktValues(values) {
        const { _dirty } = this;
        this.update(values);
        this._dirty = _dirty;
    },
});
