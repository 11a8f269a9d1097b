import { _t } from "@web/core/l10n/translation";

const LARGEST_QUANTITY = 2 ** 48 / 10 ** 6; // tag 1023, millionths in six bytes

/**
 * What keeps the fiscal receipt of an order from being built, in words that say where it is and what to do; false if nothing does.
 * The server has the last word (`core/`): what is found here would be rejected there, after the money has changed hands.
 *
 * @param {string[]|false} rates codes of tag 1199 that a receipt of today may state, as far as the server has said
 */
export function findFault(order, rates) {
    const lines = order.lines.filter((line) => line.qty && !line.combo_line_ids.length);
    for (const [number, line] of lines.entries()) {
        const words = findLineFault(line, rates);
        if (words) {
            const name = line.getFullProductName();
            return _t("Line %(number)s (%(name)s): %(words)s", { number: number + 1, name, words });
        }
    }
    return findPaymentFault(order) || false;
}

function findLineFault(line, rates) {
    if (!line.getFullProductName()?.trim()) {
        return _t("The product has no name. Name it, or sell another product.");
    }
    if (Math.abs(line.qty) > LARGEST_QUANTITY) {
        return _t("The quantity is larger than a fiscal receipt can state. Correct it.");
    }
    return !line.refunded_orderline_id && findTaxFault(line, rates);
}

/** A line without taxes is not subject to VAT. */
function findTaxFault(line, rates) {
    const stated = new Set(getTaxes(line).map((tax) => tax.kkt_vat_rate));
    stated.delete(undefined); // loaded before an upgrade
    if (stated.size > 1 || stated.has(false)) {
        return _t(
            "Its taxes name no VAT rate for fiscal receipts. Ask the administrator to set it on the tax."
        );
    }
    if (rates && [...stated].some((rate) => !rates.includes(rate))) {
        return _t(
            "A receipt of today can't state the VAT rate of its tax. Ask the administrator to set another one on the tax."
        );
    }
    return false;
}

function getTaxes({ order_id, tax_ids }) {
    const position = order_id.fiscal_position_id;
    const taxes = position ? position.getTaxesAfterFiscalPosition(tax_ids) : tax_ids;
    return taxes.flatMap((tax) => (tax.amount_type === "group" ? tax.children_tax_ids : [tax]));
}

function findPaymentFault(order) {
    const unnamed = order.payment_ids
        .map((payment) => payment.payment_method_id)
        .find((method) => method.kkt_payment_form === false);
    return (
        unnamed &&
        _t(
            "The payment method %s names no form of payment for fiscal receipts. Choose another one, or ask the administrator to set it there.",
            unnamed.name
        )
    );
}
