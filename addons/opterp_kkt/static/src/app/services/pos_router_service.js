import { patch } from "@web/core/utils/patch";
import { PosRouter } from "@point_of_sale/app/services/pos_router_service";

patch(PosRouter.prototype, {
    /** What is still to be shown before the page is left, if anything. */
    kktBeforeClose: false,

    async close() {
        try {
            await (this.kktBeforeClose && this.kktBeforeClose());
        } finally {
            super.close(...arguments);
        }
    },
});
