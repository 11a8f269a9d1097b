import { patch } from "@web/core/utils/patch";
import { CriticalPOSError } from "@point_of_sale/app/components/loader/critical_pos_error/critical_pos_error";
import { isJournal } from "@opterp_kkt/app/utils/kkt_journal";

patch(CriticalPOSError.prototype, {
    /** "Reload data" of a page that has failed deletes every database: sales that only this browser has are found again. */
    async fullReset() {
        const databases = window.indexedDB.databases.bind(window.indexedDB);
        window.indexedDB.databases = async () =>
            (await databases()).filter(({ name }) => !isJournal(name));
        return await super.fullReset(...arguments);
    },
});
