/** What the browser can know of a sale's fiscal documents before it is paid. Sizes are bytes of the binary format (FFD 1.2). */

export const LARGEST_DOCUMENT = 32768;
const LONGEST_NAME = 128;
// Of each field its tag, its length and as much of its value as is always there.
export const LEAST_HEAD = 187;
export const LEAST_ITEM = 44;
const EMAIL = /^(?=.{1,64}$)[^\s@<>,;"]+@[^\s@<>,;"]+\.[^\s@<>,;".]{2,}$/;
const INN_WEIGHTS = [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8];

/** A line of fiscal paper, which is sent without what it lacks at its end. */
export const asLine = ([text, right = "", style = ""]) => ({ text, right, style });

/** A document with items of these names has so many bytes, or more. */
export function leastSize(names) {
    const bytes = names.map((name) => LEAST_ITEM + Math.min(name.trim().length, LONGEST_NAME));
    return bytes.reduce((size, item) => size + item, LEAST_HEAD);
}

/** Sizes of the documents of what is sold, and of what is taken back. Discounts are no items, nor is a combo beside its parts. */
export function leastSizes(lines) {
    const items = lines.filter((line) => line.price_unit >= 0 && !line.combo_line_ids.length);
    return [1, -1].map((sign) =>
        leastSize(
            items.filter((line) => sign * line.qty > 0).map((line) => line.getFullProductName())
        )
    );
}

/** Whether a receipt can state one of these as the buyer's contact, as `core/contact.py` has it. */
export function isContact(email, phone) {
    const number = (phone || "").replace(/[\s()./-]/g, "");
    return EMAIL.test((email || "").trim()) || /^(8\d{10}|9\d{9}|\+\d{7,15})$/.test(number);
}

/** Whether this is an INN, with the right check digits; zeros have them, but are nobody's. */
export function isInn(text) {
    if (!/^(\d{10}|\d{12})$/.test(text) || !Number(text)) {
        return false;
    }
    const digits = [...text].map(Number);
    const right = (place) =>
        (INN_WEIGHTS.slice(-place).reduce((sum, weight, at) => sum + weight * digits[at], 0) % 11) %
        10;
    const places = digits.length === 10 ? [9] : [10, 11];
    return places.every((place) => digits[place] === right(place));
}
