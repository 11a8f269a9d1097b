import { patch } from "@web/core/utils/patch";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";

patch(OrderPaymentValidation.prototype, {
    /** Stamp the sale before it leaves the browser: once, however often its payment is tried again. */
    async finalizeValidation() {
        if (this.pos.hasKktRegister && !this.order.kkt_hlc) {
            this.order.kkt_hlc = this.pos.kktClock.tick();
        }
        return await super.finalizeValidation(...arguments);
    },
});
