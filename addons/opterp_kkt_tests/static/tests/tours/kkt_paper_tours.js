/* global posmodel */
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
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

const slipHas = (...texts) =>
    texts.map((text) => ({ trigger: `.o_kkt_shift_report${hasLine(...[text].flat())}` }));
const printAndClose = (isLast) => [
    { trigger: ".o_kkt_shift_report .o_kkt_print", run: "click" },
    {
        trigger: ".o_kkt_shift_report .modal-footer .btn-primary",
        run: "click",
        expectUnloadPage: Boolean(isLast),
    },
];

addTour(
    "KktShiftReportTour",
    open(),
    sell(),
    ReceiptScreen.clickNextOrder(),
    Chrome.doCashMove("10", "change"),
    run(() => {
        window.print = (slip) => {
            const kept = JSON.parse(localStorage.getItem("kkt-test-prints") || "[]");
            localStorage.setItem("kkt-test-prints", JSON.stringify([...kept, slip.textContent]));
        };
    }, "a printer that keeps what it got, whatever page is loaded"),
    Chrome.clickMenuOption("Close Register"),
    { trigger: ".o_kkt_x_report", run: "click" },
    slipHas("X-ОТЧЕТ", "НЕ ЯВЛЯЕТСЯ ДОКУМЕНТОМ, СМЕНА НЕ ЗАКРЫТА", "СМЕНА 1"),
    slipHas(["СУММА ВСЕГО", "1.98"], "СПРАВОЧНО, В ОТЧЕТ НЕ ВХОДИТ"),
    slipHas(["ВЫПЛАТА change", "10.00"]),
    printAndClose(),
    { trigger: negate(".o_kkt_shift_report") },
    { trigger: ".close-pos-popup .fa-clone.btn-secondary", run: "click" },
    { trigger: ".close-pos-popup .btn-primary:contains(Close Register)", run: "click" },
    slipHas("ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ", "СМЕНА 1", ["ФД", "3"], ["ВЫПЛАТА change", "10.00"]),
    printAndClose(true),
    { content: "the page is left", trigger: "body:not(:has(.o_kkt_shift_report))" },
    run(() => {
        const kept = JSON.parse(localStorage.getItem("kkt-test-prints") || "[]");
        const titles = kept.map((text) => text.includes("X-ОТЧЕТ"));
        if (JSON.stringify(titles) !== "[true,false]") {
            throw new Error(`printed: ${kept}`);
        }
    }, "X and Z were printed")
);

addTour(
    "KktShiftReportCashierTour",
    open(),
    Chrome.clickMenuOption("Close Register"),
    { trigger: ".close-pos-popup" },
    { trigger: negate(".o_kkt_x_report") },
    { trigger: ".close-pos-popup .fa-clone.btn-secondary", run: "click" },
    {
        content: "it closes as ever",
        trigger: ".close-pos-popup .btn-primary:contains(Close Register)",
        run: "click",
        expectUnloadPage: true,
    },
    { trigger: "body:not(:has(.close-pos-popup))" }
);

addTour(
    "KktMailTour",
    open(),
    sell(),
    fiscalReceipt("ПРИХОД", 2),
    ReceiptScreen.setEmail("buyer@example.com"),
    ReceiptScreen.clickSend(),
    ReceiptScreen.emailIsSuccessful()
);

addTour(
    "KktUnbuiltTour",
    {
        content: "the till says before any sale what is wrong",
        trigger: `.modal:contains("This till is not ready for fiscal receipts"):contains("The tax Riddle of Desk Pad")`,
    },
    Dialog.confirm("Ok"),
    open(),
    ProductScreen.clickDisplayedProduct("Desk Pad"),
    ProductScreen.clickPayButton(false),
    {
        content: "and before the money changes hands, which line it is",
        trigger: `.modal:contains("no fiscal receipt"):contains("Line 1 (Desk Pad): Its taxes name no VAT rate")`,
    },
    Dialog.cancel(),
    { content: "nothing is paid", trigger: ".product-screen" },
    ProductScreen.clickPayButton(false),
    Dialog.confirm("Sell Anyway"),
    pay(),
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
