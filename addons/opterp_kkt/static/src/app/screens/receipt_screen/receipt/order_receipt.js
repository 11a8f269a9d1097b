import { patch } from "@web/core/utils/patch";
import { _t } from "@web/core/l10n/translation";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { OrderReceipt } from "@point_of_sale/app/screens/receipt_screen/receipt/order_receipt";

// At least 20 mm on paper, where a dot is 1/203 inch or larger; 5 dots for each of the usual 33 modules.
const QR_SIZE = 165;

patch(OrderReceipt.prototype, {
    get kktDocuments() {
        const operations = { 1: _t("Sale"), 2: _t("Refund of a sale") };
        return (this.order.kkt_documents || []).map((document) => ({
            ...document,
            operation: operations[document.operation_type],
            image: generateQRCodeDataUrl(document.qr, { width: QR_SIZE, height: QR_SIZE }),
        }));
    },

    get kktNotice() {
        if (this.order.isAwaitingKkt) {
            return _t("The fiscal receipt will be issued when the connection is back.");
        }
        return this.order.kkt_state === "rejected" && !this.order.kkt_documents?.length
            ? _t("The fiscal receipt could not be issued. Please tell the administrator.")
            : "";
    },
});
