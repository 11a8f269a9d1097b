import { patch } from "@web/core/utils/patch";
import { _t } from "@web/core/l10n/translation";
import { ClosePosPopup } from "@point_of_sale/app/components/popups/closing_popup/closing_popup";

patch(ClosePosPopup.prototype, {
    /** What is not at the OFD yet. To close is allowed: what waits is sent all the same. */
    get kktNotice() {
        const { waiting, rejected } = this.pos.kktHealth;
        const unsynced = this.pos.unsyncedKktOrders.length;
        return [
            waiting &&
                _t(
                    "Receipts that wait for the OFD: %s. You may close: they are sent by themselves.",
                    waiting
                ),
            rejected && _t("Rejected receipts: %s. Please tell the administrator.", rejected),
            unsynced &&
                _t(
                    "Sales that are only in this browser: %s. They are sent first, and without them the register is not closed.",
                    unsynced
                ),
        ]
            .filter(Boolean)
            .join(" ");
    },
});
