import { patch } from "@web/core/utils/patch";
import { DataServiceOptions } from "@point_of_sale/app/models/data_service_options";

const ORDER_OF = {
    "pos.order": (record) => record,
    "pos.order.line": (record) => record.order_id,
    "pos.payment": (record) => record.pos_order_id,
};

patch(DataServiceOptions.prototype, {
    /** Core forgets a paid order that has reached the server, be it as a draft: what was paid since is only here. */
    get databaseTable() {
        const table = super.databaseTable;
        for (const [model, orderOf] of Object.entries(ORDER_OF)) {
            const { condition } = table[model];
            table[model].condition = (record) =>
                !orderOf(record)?.isAwaitingKkt && condition(record);
        }
        return table;
    },
});
