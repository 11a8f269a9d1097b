import { browser } from "@web/core/browser/browser";

const PREFIX = "kkt-sales-";
const STORE = "sales";
const PATIENCE = 2_000; // ms: a disk that hangs must not stop a sale

export const isJournal = (name) => name.startsWith(PREFIX);

/** What a sale consists of, as core writes it into its own database: rows by model. The sale that it takes back is only looked up. */
export function getRows(order) {
    const { lines, payment_ids } = order;
    const refunded = lines.map((line) => line.refunded_orderline_id).filter(Boolean);
    const records = {
        "pos.order": [order],
        "pos.order.line": lines,
        "pos.payment": payment_ids,
        "pos.pack.operation.lot": lines.flatMap((line) => line.pack_lot_ids),
        "product.attribute.custom.value": lines.flatMap((line) => line.custom_attribute_value_ids),
    };
    return {
        uuid: order.uuid,
        own: serialize(records),
        refunded: serialize({
            "pos.order": [...new Set(refunded.map((line) => line.order_id).filter(Boolean))],
            "pos.order.line": refunded,
        }),
    };
}

function serialize(records) {
    const rows = Object.entries(records).map(([model, list]) => [
        model,
        list.map((record) => record.serializeForIndexedDB()),
    ]);
    return JSON.parse(JSON.stringify(Object.fromEntries(rows)));
}

const keyOf = (row) => row.uuid || row.id;

/** Whether the server has answered for the sale, although it is still in the journal: the page ended in between. */
const isKnown = (row) => typeof row?.id === "number" && Boolean(row.kkt_state);

/**
 * What core found in its database, with the sales of the journal whole in it.
 *
 * @returns {{data: object, found: number}} `found`: sales that were not there, or not whole
 */
export function restore(data, sales) {
    const orders = new Map((data["pos.order"] || []).map((row) => [row.uuid, row]));
    const lost = sales.filter(({ uuid }) => !isKnown(orders.get(uuid)));
    const found = lost.filter(({ own }) => !isWhole(data, own)).length;
    const result = { ...data };
    for (const { own, refunded } of lost) {
        for (const [model, rows] of Object.entries(refunded)) {
            result[model] = merge(rows, result[model]);
        }
        for (const [model, rows] of Object.entries(own)) {
            result[model] = merge(result[model], rows);
        }
    }
    return { data: result, found };
}

/** The later rows win. */
function merge(...lists) {
    const rows = lists.flatMap((list) => list || []);
    return [...new Map(rows.map((row) => [keyOf(row), row])).values()];
}

function isWhole(data, own) {
    const [order] = own["pos.order"];
    return ["pos.order", "pos.order.line", "pos.payment"].every((model) => {
        const keys = new Map((data[model] || []).map((row) => [keyOf(row), row]));
        return own[model].every(
            (row) =>
                keys.has(keyOf(row)) && (row !== order || keys.get(keyOf(row)).state === row.state)
        );
    });
}

/**
 * Sales that are paid and not known to be at the server, each whole in one record of a database of its own, before it is sent.
 *
 * Core writes orders, lines and payments some time after a change, in a transaction each, and forgets them when it thinks that it
 * needs them no longer: when the session was closed or the settings changed meanwhile, after a reload of data, or when the draft had
 * been at the server. A browser that empties its storage closes the database: what is kept is then written anew.
 */
export class KktJournal {
    kept = new Set();
    found = 0; // sales that this page found here and not in core's database, or not whole

    constructor(till) {
        this.name = PREFIX + till;
    }

    /** Have the journal contain these orders, and of those that it was given before no others. Nothing is raised: a sale goes on. */
    async keepOnly(orders) {
        const uuids = new Set(orders.map((order) => order.uuid));
        const added = orders.filter((order) => !this.kept.has(order.uuid));
        const gone = [...this.kept].filter((uuid) => !uuids.has(uuid));
        if (!added.length && !gone.length) {
            return;
        }
        try {
            await withinPatience(this.write(added.map(getRows), gone));
            added.forEach((order) => this.kept.add(order.uuid));
            gone.forEach((uuid) => this.kept.delete(uuid));
        } catch {
            // No storage, or a full one: the sale is then kept as core keeps it.
        }
    }

    async restoreInto(data) {
        try {
            const sales = await withinPatience(this.readAll());
            const restored = restore(data, sales);
            sales.forEach(({ uuid }) => this.kept.add(uuid));
            this.found = restored.found;
            return restored.data;
        } catch {
            return data;
        }
    }

    async write(sales, gone) {
        const transaction = (await this.open()).transaction(STORE, "readwrite", {
            durability: "strict",
        });
        const store = transaction.objectStore(STORE);
        sales.forEach((sale) => store.put(sale));
        gone.forEach((uuid) => store.delete(uuid));
        await new Promise((resolve, reject) => {
            transaction.oncomplete = resolve;
            transaction.onabort = () => reject(transaction.error);
        });
    }

    async readAll() {
        const database = await this.open();
        return await asPromise(database.transaction(STORE).objectStore(STORE).getAll());
    }

    async open() {
        if (!this.database) {
            const request = window.indexedDB.open(this.name, 1);
            request.onupgradeneeded = () =>
                request.result.createObjectStore(STORE, { keyPath: "uuid" });
            this.database = await asPromise(request);
            this.database.onclose = () => this.forget();
        }
        return this.database;
    }

    /** The browser has emptied its storage: what is here is to be written anew. */
    forget() {
        this.database = null;
        this.kept.clear();
    }
}

const asPromise = (request) =>
    new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });

const withinPatience = (promise) =>
    Promise.race([
        promise,
        new Promise((resolve, reject) =>
            browser.setTimeout(() => reject(new Error("late")), PATIENCE)
        ),
    ]);
