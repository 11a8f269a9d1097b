/* global posmodel */
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import { negate, run } from "@point_of_sale/../tests/generic_helpers/utils";
import {
    addTour,
    fiscalReceipt,
    hasLine,
    open,
    pay,
    sell,
    statusIs,
    statusSays,
    statusTour,
} from "@opterp_kkt_tests/../tests/tours/kkt_tours";

const now = Date.now;
const printed = [];
const print = () => [
    { trigger: ".receipt-screen .button.print:contains(Print Full Receipt)", run: "click" },
    { trigger: ".receipt-screen .button.print .fa-print" },
];
const isGone = (text) => ({
    content: `core's own "${text}" is gone`,
    trigger: negate(`.pos-receipt:contains("${text}")`),
});

addTour(
    "KktPaperTour",
    open(),
    run(() => {
        window.print = (slip) => printed.push(slip.textContent);
    }, "a printer that keeps what it got"),
    sell(),
    fiscalReceipt("ПРИХОД", 2),
    { trigger: `.pos-receipt:contains("Optics since 1999")` },
    { trigger: `.pos-receipt:contains("Come again")` },
    ["Served by", "Total", "Units", "Powered by"].map(isGone),
    { trigger: negate("#posqrcode") },
    { trigger: negate(`.pos-receipt:contains("КОПИЯ")`) },
    print(),
    { trigger: `.pos-receipt .o_kkt_document${hasLine("КОПИЯ")}` },
    print(),
    run(() => {
        const copies = printed.map((text) => text.includes("КОПИЯ"));
        if (JSON.stringify(copies) !== "[false,true]") {
            throw new Error(`printed as copies: ${copies}`);
        }
    }, "the second print alone is a copy"),
    ReceiptScreen.clickNextOrder(),
    ProductScreen.clickDisplayedProduct("Letter Tray"),
    ProductScreen.clickDisplayedProduct("Desk Pad"),
    run(() => posmodel.getOrder().getSelectedOrderline().setQuantity(-1), "it is taken back"),
    ProductScreen.clickPayButton(),
    pay(),
    fiscalReceipt("ПРИХОД", 3),
    fiscalReceipt("ВОЗВРАТ ПРИХОДА", 4),
    Object.entries({ ПРИХОД: "=5.28", "ВОЗВРАТ ПРИХОДА": "=1.98" }).map(([operation, total]) => ({
        content: "each slip has its own sum",
        trigger: `.o_kkt_document${hasLine(operation)}${hasLine("ИТОГ", total)}`,
    }))
);

addTour(
    "KktUnbuiltTour",
    open(),
    sell(),
    { trigger: `.pos-receipt .o_kkt_notice${hasLine("КАССОВЫЙ ЧЕК НЕ СФОРМИРОВАН")}` },
    { content: "the buyer has a list at least", trigger: `.pos-receipt:contains("Desk Pad")` },
    { trigger: negate("#posqrcode") },
    { trigger: negate(".o_kkt_document") }
);

statusTour(
    "KktClockTour",
    Dialog.confirm("Open Register"),
    statusIs("success"),
    run(async () => {
        Date.now = () => now() - 11.5 * 60_000;
        await posmodel.refreshKkt();
    }, "the computer's clock is set back"),
    statusSays("The clock of this device is slow by 11 min", "state the time of the cash register"),
    statusIs("warning", "Clock is wrong"),
    run(async () => {
        Date.now = now;
        await posmodel.refreshKkt();
    }, "and put right"),
    statusSays("Receipts are on their way to the OFD", "There is nothing to do."),
    statusIs("success")
);
