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
});
