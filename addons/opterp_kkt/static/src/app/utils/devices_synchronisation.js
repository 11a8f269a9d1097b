import { patch } from "@web/core/utils/patch";
import DevicesSynchronisation from "@point_of_sale/app/utils/devices_synchronisation";

patch(DevicesSynchronisation.prototype, {
    /** The server still has the draft of what was paid here meanwhile: it is not read over it. */
    async processDynamicRecords(records) {
        const isOurs = (id) => this.models["pos.order"].get(id)?.isAwaitingKkt;
        return await super.processDynamicRecords({
            ...records,
            "pos.order": (records["pos.order"] || []).filter(({ id }) => !isOurs(id)),
            "pos.order.line": (records["pos.order.line"] || []).filter(
                ({ order_id }) => !isOurs(order_id)
            ),
            "pos.payment": (records["pos.payment"] || []).filter(
                ({ pos_order_id }) => !isOurs(pos_order_id)
            ),
        });
    },
});
