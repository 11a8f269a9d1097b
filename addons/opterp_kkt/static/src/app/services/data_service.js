import { patch } from "@web/core/utils/patch";
import { PosData } from "@point_of_sale/app/services/data_service";
import { KktJournal } from "@opterp_kkt/app/utils/kkt_journal";

patch(PosData.prototype, {
    async setup() {
        this.kktJournal = new KktJournal(`${odoo.pos_config_id}-${odoo.info?.db}`);
        return await super.setup(...arguments);
    },

    /** What core's database has lost, or has in part, is in the journal. */
    async getLocalDataFromIndexedDB(data) {
        const local = data || (await this.indexedDB.readAll(Object.keys(this.opts.databaseTable)));
        return await super.getLocalDataFromIndexedDB(
            await this.kktJournal.restoreInto(local || {})
        );
    },

    /** Core drops what it has read when it can't ask the server for what that refers to: a page loaded offline would know of no sale. */
    async missingRecursive(recordMap) {
        return this.network.offline ? recordMap : await super.missingRecursive(...arguments);
    },

    /** Core replaces what it finds in this browser by what the server has, which does not know yet that it is paid. */
    async checkAndDeleteMissingOrders(results) {
        const orders = results?.["pos.order"]?.filter((order) => !order.isAwaitingKkt);
        return await super.checkAndDeleteMissingOrders(orders && { "pos.order": orders });
    },
});
