import { patch } from "@web/core/utils/patch";
import { PosData } from "@point_of_sale/app/services/data_service";

patch(PosData.prototype, {
    /** Core replaces what it finds in this browser by what the server has, which does not know yet that it is paid. */
    async checkAndDeleteMissingOrders(results) {
        const orders = results?.["pos.order"]?.filter((order) => !order.isAwaitingKkt);
        return await super.checkAndDeleteMissingOrders(orders && { "pos.order": orders });
    },
});
