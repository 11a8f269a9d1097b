/* global posmodel */
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as OfflineUtil from "@point_of_sale/../tests/generic_helpers/offline_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import * as TicketScreen from "@point_of_sale/../tests/pos/tours/utils/ticket_screen_util";
import { negate, run } from "@point_of_sale/../tests/generic_helpers/utils";
import { registry } from "@web/core/registry";

export const open = () => [Chrome.startPoS(), Dialog.confirm("Open Register")];
export const pay = () => [
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
];
export const sell = () => [
    ProductScreen.clickDisplayedProduct("Desk Pad"),
    ProductScreen.clickPayButton(),
    ...pay(),
];
const refund = (order) => [
    ...ProductScreen.clickRefund(),
    TicketScreen.filterIs("Paid"),
    TicketScreen.selectOrder(order),
    TicketScreen.confirmRefund(),
];
export const hasLine = (...texts) =>
    `:has(.o_kkt_line${texts.map((text) => `:has(span:contains(/^${text}$/))`).join("")})`;
export const fiscalReceipt = (operation, number) => [
    {
        content: `${operation}: fiscal requisites, QR code and test mark`,
        trigger: [
            `.pos-receipt .o_kkt_document`,
            hasLine("КАССОВЫЙ ЧЕК"),
            hasLine(operation),
            hasLine("ФД", number),
            hasLine("ТЕСТ, не является фискальным документом"),
            `:has(img.o_kkt_qr[src^="data:image/svg"])`,
        ].join(""),
    },
    { trigger: negate(".o_kkt_notice") },
    { content: "payments are final", trigger: negate(".receipt-screen .edit-order-payment") },
];
const nothingIsOnlyHere = () => ({
    content: "this browser has no sale that the server has not",
    trigger: negate(".o_kkt_status:contains(Only in this browser)"),
});
const statusShows = (text) => ({ trigger: `.o_kkt_status:contains("${text}")` });
const now = Date.now;
let stamped;

// Odoo gives each step ten seconds, which are too few on a busy machine: a minute is the most that it takes.
export const addTour = (name, ...steps) =>
    registry.category("web_tour.tours").add(name, {
        steps: () => steps.flat(Infinity).map((step) => ({ timeout: 60_000, ...step })),
    });

addTour(
    "KktSaleAndRefundTour",
    open(),
    run(() => {
        Date.now = () => now() + 30_000;
    }, "the computer's clock is half a minute ahead"),
    sell(),
    fiscalReceipt("ПРИХОД", 2),
    run(() => {
        Date.now = now;
    }, "somebody puts the computer's clock right"),
    ReceiptScreen.clickNextOrder(),
    refund("001"),
    PaymentScreen.isShown(),
    pay(),
    fiscalReceipt("ВОЗВРАТ ПРИХОДА", 3),
    nothingIsOnlyHere(),
    Chrome.clickOrders(),
    TicketScreen.selectFilter("Paid"),
    TicketScreen.contains("FD 2"),
    TicketScreen.contains("FD 3")
);

addTour(
    "KktOfflineTour",
    open(),
    OfflineUtil.setOfflineMode(),
    sell(),
    Dialog.confirm("Continue with limited functionality"),
    {
        trigger: `.pos-receipt .o_kkt_notice:contains("чек будет сформирован, когда связь восстановится")`,
    },
    { trigger: negate(".o_kkt_document") },
    run(() => {
        stamped = JSON.stringify(posmodel.getOrder().kkt_hlc);
    }, "the sale is stamped without the server"),
    statusShows("1"),
    { trigger: ".o_kkt_status", run: "click" },
    { trigger: `.o_kkt_unsynced:contains("1, for")` },
    { trigger: `.o_kkt_advice:contains("Leave this window open")` },
    { trigger: ".modal-footer .btn-primary", run: "click" },
    ReceiptScreen.clickNextOrder(),
    refund("001"),
    Dialog.is({ title: "No refund at present" }),
    Dialog.confirm("Ok"),
    Chrome.clickRegister(),
    OfflineUtil.setOnlineMode(),
    sell(),
    fiscalReceipt("ПРИХОД", 3),
    nothingIsOnlyHere(),
    run(() => {
        const order = posmodel.models["pos.order"].find(
            (o) => o.kkt_documents?.[0].fd_number === 2
        );
        if (JSON.stringify(order.kkt_hlc) !== stamped) {
            throw new Error(`stamped ${stamped}, now ${JSON.stringify(order.kkt_hlc)}`);
        }
    }, "the sale made offline keeps its stamp and has its receipt")
);

export const statusIs = (color, label) => [
    {
        content: `the icon is ${color} without a click`,
        trigger:
            `.o_kkt_status.text-${color}` +
            (label ? `:contains("${label}")` : ":not(:has(.o_kkt_count, .o_kkt_label))"),
    },
];
export const statusSays = (...texts) => [
    { trigger: ".o_kkt_status", run: "click" },
    ...texts.map((text) => ({ trigger: `.o_kkt_panel .modal-body:contains(${text})` })),
    { trigger: ".modal-footer .btn-primary", run: "click" },
];
export const statusTour = (name, ...steps) => addTour(name, Chrome.startPoS(), ...steps);

statusTour(
    "KktStatusGreenTour",
    Dialog.confirm("Open Register"),
    statusIs("success"),
    { trigger: ".o_kkt_status .fa-check-circle" },
    statusSays("Receipts are on their way to the OFD", "There is nothing to do.")
);

statusTour(
    "KktStatusAmberTour",
    Dialog.confirm("Open Register"),
    statusIs("warning", "1"),
    { trigger: ".o_kkt_status .fa-clock-o" },
    statusSays("Receipts wait", /1, since \d\d:\d\d \(\d\d min\)/, "Sales go on.")
);

statusTour(
    "KktStatusStoppedRussianTour",
    Dialog.confirm("Открыть кассу"),
    statusIs("danger", "Сервер не передаёт"),
    statusSays(/1, с \d\d:\d\d \(\d\d мин\)/, "Сервер их не передаёт")
);

statusTour(
    "KktStatusRedTour",
    Dialog.confirm("Open Register"),
    statusIs("danger", "1"),
    { trigger: ".o_kkt_status .fa-exclamation-triangle" },
    statusSays("Receipts wait", "(1 h)", "Please tell the administrator.")
);

statusTour(
    "KktStatusRejectedTour",
    Dialog.confirm("Open Register"),
    statusIs("danger", "Receipts rejected"),
    statusSays("Receipts rejected", "Please tell the administrator.")
);

statusTour(
    "KktStatusHandledTour",
    statusIs("success"),
    statusSays("Receipts are on their way to the OFD", "There is nothing to do.")
);

addTour(
    "KktWithoutRegisterTour",
    open(),
    sell(),
    ReceiptScreen.receiptIsThere(),
    { trigger: negate(".o_kkt_document") },
    { trigger: negate(".o_kkt_notice") },
    { trigger: negate(".o_kkt_status") }
);
