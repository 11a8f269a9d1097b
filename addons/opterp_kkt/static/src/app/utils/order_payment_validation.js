import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { ask } from "@point_of_sale/app/utils/make_awaitable_dialog";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { seconds } from "@opterp_kkt/app/utils/kkt_health";
import { isShiftRefused } from "@opterp_kkt/app/utils/kkt_shift";
import { isContact, isInn } from "@opterp_kkt/app/utils/kkt_document";

patch(OrderPaymentValidation.prototype, {
    /** What would leave the sale without its fiscal receipt is said before it is paid. */
    async askBeforeValidation() {
        if (
            this.pos.hasKktRegister &&
            !(
                (await this._checkKktShift()) &&
                (await this.pos.askDespiteKktFault(this.order)) &&
                (await this._askDespiteWrongInn())
            )
        ) {
            return false;
        }
        if (this.pos.hasKktRegister) {
            this._tellOfUnusableContact();
        }
        return await super.askBeforeValidation(...arguments);
    },

    /** A shift that is over is closed first, where the shop has chosen so. Somebody may have closed it meanwhile. */
    async _checkKktShift() {
        if (isShiftRefused(this.pos.kktHealth, seconds())) {
            await this.pos.refreshKkt();
        }
        if (!isShiftRefused(this.pos.kktHealth, seconds())) {
            return true;
        }
        this.pos.dialog.add(AlertDialog, {
            title: _t("The shift is over"),
            body: _t(
                "Shift %s is open for 24 hours, the law's limit. Close the session and open it again, or ask the administrator to press Close Shift on the register. Then pay this order.",
                this.pos.kktHealth.shift.number
            ),
        });
        return false;
    },

    /** The sale goes on: its receipt is then on paper alone. */
    _tellOfUnusableContact() {
        const { name, email, phone } = this.order.partner_id || {};
        if ((email || phone) && !isContact(email, phone)) {
            this.pos.notification.add(
                _t(
                    "The fiscal receipt will not state how to reach %(name)s: neither e-mail nor phone is written in full, as in ivan@example.com or +79161234567. Correct it on the customer before payment, or print the receipt.",
                    { name }
                ),
                { type: "warning" }
            );
        }
    },

    async _askDespiteWrongInn() {
        const { name, vat } = this.pos.company;
        return (
            isInn(vat) ||
            (await ask(this.pos.dialog, {
                title: _t("No fiscal receipts at present"),
                body: _t(
                    "%(company)s has no valid INN, so this sale is stored without a fiscal receipt until the INN is corrected. Please tell the administrator.",
                    { company: name }
                ),
                confirmLabel: _t("Sell Anyway"),
            }))
        );
    },

    /** Stamp the sale before it leaves the browser: once, however often its payment is tried again. */
    async finalizeValidation() {
        if (this.pos.hasKktRegister && !this.order.kkt_hlc) {
            this.order.kkt_hlc = this.pos.kktClock.tick();
        }
        const result = await super.finalizeValidation(...arguments);
        this.pos.keepKktSales(); // what the server refused is a draft again
        return result;
    },
});
