import { patch } from "@web/core/utils/patch";
import { _t } from "@web/core/l10n/translation";
import { ClosePosPopup } from "@point_of_sale/app/components/popups/closing_popup/closing_popup";
import { KktShiftReport } from "@opterp_kkt/app/components/kkt_shift_report/kkt_shift_report";

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

    get mayReportOnKktShift() {
        return this.props.is_manager && Boolean(this.pos.kktHealth.shift);
    },

    async showKktShift(shift = this.pos.kktHealth.shift) {
        const slip = await this.pos.data.call("kkt.shift", "get_till_slip", [[shift.id]]);
        await new Promise((resolve) =>
            this.dialog.add(KktShiftReport, { slip }, { onClose: resolve })
        );
    },

    /** Once the session is closed, its Z report is shown before the page is left. */
    async closeSession() {
        const { shift } = this.pos.kktHealth;
        const isShown = this.mayReportOnKktShift;
        this.pos.router.kktBeforeClose = async () => {
            if (isShown && this.pos.session.state === "closed") {
                await this.showKktShift(shift);
            }
        };
        return await super.closeSession(...arguments);
    },
});
