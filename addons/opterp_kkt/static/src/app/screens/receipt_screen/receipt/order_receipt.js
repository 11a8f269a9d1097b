import { patch } from "@web/core/utils/patch";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { OrderReceipt } from "@point_of_sale/app/screens/receipt_screen/receipt/order_receipt";
import { asLine } from "@opterp_kkt/app/utils/kkt_document";

// Fiscal paper is Russian whatever the user's language, so this is not translated.
const OFFLINE = [
    "КАССОВЫЙ ЧЕК ЕЩЁ НЕ СФОРМИРОВАН",
    "Нет связи. Продажа записана; чек будет сформирован, когда связь восстановится. Напечатать его можно будет здесь же, в списке заказов.",
    "Этот листок не является кассовым чеком.",
];

patch(OrderReceipt.prototype, {
    /** A slip for each fiscal document of the order, or for what the server says instead of it. */
    get kktSlips() {
        const printed = this.order.nb_print > 0;
        return (this.order.kkt_documents || []).map(
            ({ fd_number, paper_width, lines, is_copy }) => ({
                fd_number,
                paper_width,
                lines: lines
                    .map(asLine)
                    .filter(({ style }) => printed || is_copy || !style.includes("copy")),
            })
        );
    },

    /** The fiscal paper takes the place of core's receipt as soon as there is one. */
    get isKktPaper() {
        return !this.props.basic_receipt && this.kktSlips.some((slip) => slip.fd_number);
    },

    get kktOfflineNotice() {
        return this.order.isAwaitingKkt ? OFFLINE : [];
    },

    get kktTickets() {
        return this.paymentLines.map((line) => line.ticket).filter(Boolean);
    },

    getKktQr(text) {
        return generateQRCodeDataUrl(text);
    },
});
