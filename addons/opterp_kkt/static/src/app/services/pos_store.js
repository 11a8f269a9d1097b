import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { HybridClock } from "@opterp_kkt/app/utils/hlc";
import { KktHealth, seconds } from "@opterp_kkt/app/utils/kkt_health";
import { isShiftLate } from "@opterp_kkt/app/utils/kkt_shift";

const ANSWER_FIELDS = ["id", "kkt_state", "kkt_qr", "kkt_documents"];

patch(PosStore.prototype, {
    async setup() {
        this.kktClock = new HybridClock(`kkt-hlc-${odoo.info?.db}-${odoo.pos_config_id}`);
        this.kktHealth = new KktHealth();
        await super.setup(...arguments);
    },

    get hasKktRegister() {
        return Boolean(this.config.raw.kkt_register_id);
    },

    /** The next stamp of this till is later than every receipt it has seen; of a rejected one the cashier hears at once. */
    postSyncAllOrders(orders) {
        const documents = orders.flatMap((order) => order.kkt_documents || []);
        const stamps = documents.map((document) => document.hlc).filter(Boolean);
        if (stamps.length) {
            this.kktClock.tick(...stamps);
        }
        if (orders.some((order) => order.kkt_state === "rejected")) {
            this.refreshKktHealth();
        }
        return super.postSyncAllOrders(...arguments);
    },

    canEditPayment(order) {
        return !order.kkt_state && !order.isAwaitingKkt && super.canEditPayment(...arguments);
    },

    /** Only prints of fiscal documents count: what is printed before there is one makes no copy of its first print. */
    async printReceipt({ basic = false, order = this.getOrder(), printBillActionTriggered } = {}) {
        const isDocument = !basic && order.kkt_documents?.some((document) => document.fd_number);
        const isCounted = isDocument || !this.hasKktRegister;
        return await super.printReceipt({
            basic,
            order,
            printBillActionTriggered: printBillActionTriggered || !isCounted,
        });
    },

    /** Ask the server how this till's receipts are doing. Nothing waits for the answer, and without one nobody is bothered. */
    async refreshKktHealth() {
        if (!this.data.network.offline) {
            const register = this.config.raw.kkt_register_id;
            await this.kktHealth.ask(() =>
                this.data.orm.silent.call("kkt.register", "get_health", [[register]])
            );
        }
        this._tellOfLateShift();
    },

    /** Once for each shift: it has to be closed within the hour. */
    _tellOfLateShift() {
        const { shift } = this.kktHealth;
        if (!isShiftLate(this.kktHealth, seconds()) || this.kktToldOfShift === shift.number) {
            return;
        }
        this.kktToldOfShift = shift.number;
        this.dialog.add(AlertDialog, {
            title: _t("The shift is almost over"),
            body: shift.refuses
                ? _t(
                      "Shift %s is open for 23 hours. After 24 hours this till stops until it is closed: close the session, or ask the administrator to press Close Shift on the register.",
                      shift.number
                  )
                : _t(
                      "Shift %s is open for 23 hours. Please close the session soon. Otherwise the first sale after 24 hours closes the shift and opens the next one.",
                      shift.number
                  ),
        });
    },

    /** Ask the server what became of the receipts that were on their way when their orders were synchronised. */
    async refreshKktStates() {
        const orders = this.models["pos.order"].filter((order) => order.kkt_state === "pending");
        const clean = orders.filter((order) => !order.isDirty());
        if (orders.length) {
            await this.data.read(
                "pos.order",
                orders.map((order) => order.id),
                ANSWER_FIELDS
            );
        }
        for (const order of clean) {
            order._dirty = false; // what was just read need not be written
        }
    },
});
