import { patch } from "@web/core/utils/patch";
import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { ConnectionLostError } from "@web/core/network/rpc";
import { ask } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { HybridClock, compareStamps, isStamp } from "@opterp_kkt/app/utils/hlc";
import { isClockOff, judge, KktHealth, seconds } from "@opterp_kkt/app/utils/kkt_health";
import { LARGEST_DOCUMENT, leastSizes } from "@opterp_kkt/app/utils/kkt_document";
import { findFault } from "@opterp_kkt/app/utils/kkt_fault";
import { isShiftLate } from "@opterp_kkt/app/utils/kkt_shift";
import { KktKeeper } from "@opterp_kkt/app/utils/kkt_keeper";

const byStamp = (a, b) => compareStamps(a.kkt_hlc, b.kkt_hlc);

patch(PosStore.prototype, {
    async setup() {
        const till = `${odoo.info?.db}-${odoo.pos_config_id}`;
        this.kktClock = new HybridClock(`kkt-hlc-${till}`);
        this.kktHealth = new KktHealth();
        this.kktKeeper = new KktKeeper(`kkt-till-${till}`);
        await super.setup(...arguments);
    },

    get hasKktRegister() {
        return Boolean(this.config.raw.kkt_register_id);
    },

    /** With what was loaded came how the register is doing; what changes later is told by the bus. */
    async afterProcessServerData() {
        if (this.hasKktRegister) {
            this.kktKeeper.askToPersist();
            this.kktKeeper.joinWindows();
            this.takeLoadedKktReport();
            this._tellOfFoundSales();
            this._setKktClock();
            this.data.connectWebSocket("KKT_CHANGED", () => this.refreshKkt());
            this.data.bus.addEventListener("BUS:CONNECT", () => this.noteKktBus(true));
            this.data.bus.addEventListener("BUS:RECONNECT", () => this.noteKktBus(true));
            this.data.bus.addEventListener("BUS:DISCONNECT", () => this.noteKktBus(false));
            window.addEventListener("pos-network-online", () => this.refreshKkt());
        }
        return await super.afterProcessServerData(...arguments);
    },

    /** What an earlier page has used already was kept in this browser since: a reload asks. */
    takeLoadedKktReport() {
        const report = this.config.raw._kkt_report;
        const key = `kkt-report-${odoo.info?.db}-${this.config.id}`;
        if (report && browser.localStorage.getItem(key) !== String(report.time)) {
            browser.localStorage.setItem(key, report.time);
            this.kktHealth.askedAt = seconds();
            this.kktHealth.take(report, performance.timeOrigin / 1000);
            this._tellOfKktProblems(report.problems);
        }
        if (!report || this.kktHealth.askedAt < 0 || this.openKktOrders.length) {
            this.refreshKkt();
        }
    },

    noteKktBus(isConnected) {
        const isBack = isConnected && this.isKktBusLost;
        this.isKktBusLost = !isConnected;
        if (isBack) {
            this.refreshKkt();
            this.kktKeeper.hurry();
        }
    },

    // -- what there is to know --------------------------------------------------------------------

    /** Sales that only this browser has, in the order in which they were made. */
    get unsyncedKktOrders() {
        return this.models["pos.order"].filter((order) => order.isAwaitingKkt).sort(byStamp);
    },

    /** Orders of which the server may have something new to say. */
    get openKktOrders() {
        return this.models["pos.order"].filter(
            (order) => order.isSynced && ["pending", "rejected"].includes(order.kkt_state)
        );
    },

    /** Everything that icon and panel depend on; times in seconds, `now` as of `seconds`. */
    getKktFacts(now) {
        const { kktHealth } = this;
        const moment = Math.max(now, kktHealth.answeredAt);
        const stamps = this.unsyncedKktOrders.map((order) => order.kkt_hlc.local_time);
        return {
            waiting: kktHealth.waiting,
            age: kktHealth.getAge(moment),
            rejected: kktHealth.rejected,
            obstacle: kktHealth.obstacle,
            leaseMissing: kktHealth.lease_missing,
            unsynced: stamps.length,
            unsyncedAge: Math.max(0, ...stamps.map((stamp) => (Date.now() - stamp) / 1000)),
            silence: kktHealth.getSilence(moment),
            clockOff: isClockOff(kktHealth.clockError),
            shiftLate: isShiftLate(kktHealth, moment),
        };
    },

    // -- asking and sending -----------------------------------------------------------------------

    /** Now and then: ask while something is open, send what only this browser has. */
    tickKkt() {
        const facts = this.getKktFacts(seconds());
        const isShown = facts.waiting > 0 || this.openKktOrders.length > 0;
        const isOpen = judge(facts).level > 0 || isShown || this.isKktBusLost;
        if (this.kktHealth.isDue(seconds(), isOpen, Math.random())) {
            this.refreshKkt();
        }
        this.kktKeeper.tick();
        this.keepKktSales();
        if (this.kktKeeper.isDue(facts.unsynced > 0)) {
            this.resendKktOrders();
        }
    },

    /** Core sends again with the next sale or after a reload. */
    async resendKktOrders() {
        this.kktKeeper.noteTry();
        await this.syncAllOrders({ orders: this.unsyncedKktOrders });
        return this.unsyncedKktOrders.length;
    },

    async keepKktSales() {
        await this.data.kktJournal.keepOnly(this.unsyncedKktOrders);
    },

    /** Sales are kept whole in this browser before they leave it, one after another in the order in which they were made. */
    async syncAllOrders(options = {}) {
        await this.keepKktSales();
        const { orderToCreate, orderToUpdate } = this.getPendingOrder();
        const orders = options.orders || [...orderToCreate, ...orderToUpdate];
        const sales = orders.filter((order) => order.isAwaitingKkt).sort(byStamp);
        if (!sales.length || this.data.network.offline) {
            return await super.syncAllOrders(...arguments);
        }
        const synced = await this._syncKktSales(sales, options);
        const others = orders.filter((order) => !sales.includes(order));
        const rest =
            synced && others.length && (await super.syncAllOrders({ ...options, orders: others }));
        this.keepKktSales();
        return synced && [...synced, ...(rest || [])];
    },

    /** Where the connection is lost, a later sale must not arrive first. One that the server refuses keeps no other one here, and only
     *  the last one's refusal is told to who has just been paid.
     */
    async _syncKktSales(sales, options) {
        const synced = [];
        for (const sale of sales) {
            if (this.syncingOrders.has(sale.uuid)) {
                return;
            }
            try {
                const done = await super.syncAllOrders({ ...options, orders: [sale], throw: true });
                synced.push(...(done || []));
            } catch (error) {
                const isLost = error instanceof ConnectionLostError;
                this.kktKeeper.isLost ||= isLost;
                if (options.throw && (isLost || sale === sales.at(-1))) {
                    throw error;
                }
                if (isLost) {
                    break;
                }
                this.deviceSync.readDataFromServer();
            }
        }
        return synced;
    },

    /** Ask the server how this till's receipts are doing, and what became of those on the screen. Nothing waits for the answer,
     *  and without one nobody is bothered.
     */
    async refreshKkt() {
        if (this.data.network.offline) {
            return;
        }
        const shown = this.openKktOrders.map((order) => [order.id, ...order.kktMark]);
        const report = await this.kktHealth.ask(() =>
            this.data.orm.silent.call("kkt.register", "get_till_report", [
                [this.config.raw.kkt_register_id],
                shown,
            ])
        );
        for (const { id, ...values } of report?.orders || []) {
            this.models["pos.order"].get(id)?.takeKktValues(values);
        }
        if (report && this.kktKeeper.isLost) {
            this.kktKeeper.hurry();
        }
        this._tellOfLateShift();
        if (this.kktHealth.askAgain && report) {
            await this.refreshKkt();
        }
    },

    /** The browser may have ended before it had stored the last stamp: what it has of sales is earlier than the next one. */
    _setKktClock() {
        const stamps = this.models["pos.order"]
            .getAll()
            .map((order) => order.kkt_hlc)
            .filter(isStamp);
        if (stamps.length) {
            this.kktClock.tick(...stamps);
        }
    },

    /** Core's database was damaged or emptied, or the browser ended while it was written. */
    _tellOfFoundSales() {
        const { found } = this.data.kktJournal;
        if (found) {
            this.notification.add(
                _t(
                    "Sales that were not whole in this browser's database, and have been restored from its journal: %s. They are sent now.",
                    found
                ),
                { type: "info", sticky: true }
            );
        }
    },

    /** Once for each shift: it has to be closed within the hour. */
    _tellOfLateShift() {
        const { shift } = this.kktHealth;
        if (!isShiftLate(this.kktHealth, seconds()) || this.kktToldOfShift === shift.number) {
            return;
        }
        this.kktToldOfShift = shift.number;
        this.dialog.add(AlertDialog, {
            title: _t("The shift is almost over"),
            body: shift.refuses
                ? _t(
                      "Shift %s is open for 23 hours. After 24 hours this till stops until it is closed: close the session, or ask the administrator to press Close Shift on the register.",
                      shift.number
                  )
                : _t(
                      "Shift %s is open for 23 hours. Please close the session soon. Otherwise the first sale after 24 hours closes the shift and opens the next one.",
                      shift.number
                  ),
        });
    },

    /** When the till is opened, not after the money was taken. A server of a version before sends no list. */
    _tellOfKktProblems(problems = []) {
        if (problems.length) {
            this.dialog.add(AlertDialog, {
                title: _t("This till is not ready for fiscal receipts"),
                body: [
                    _t(
                        "Until this is put right, receipts are wrong or can't be made at all. Please tell the administrator."
                    ),
                    ...problems,
                ].join("\n\n"),
            });
        }
    },

    async deliverKktNow() {
        const register = this.config.raw.kkt_register_id;
        const action = await this.data.orm.silent.call("kkt.register", "action_deliver_now", [
            [register],
        ]);
        await this.refreshKkt();
        return action;
    },

    // -- what core does ---------------------------------------------------------------------------

    /** The next stamp of this till is later than every receipt it has seen; of a rejected one the cashier hears at once. */
    postSyncAllOrders(orders) {
        const documents = orders.flatMap((order) => order.kkt_documents || []);
        const stamps = documents.map((document) => document.hlc).filter(Boolean);
        if (stamps.length) {
            this.kktClock.tick(...stamps);
        }
        if (orders.some((order) => order.kkt_state === "rejected")) {
            this.refreshKkt();
        }
        return super.postSyncAllOrders(...arguments);
    },

    async pay() {
        if (!this.hasKktRegister || (await this.askDespiteKktFault(this.getOrder()))) {
            return await super.pay(...arguments);
        }
    },

    /** Before money changes hands: whether the sale goes on. What would be rejected is asked about once, what is too large can't be sold. */
    async askDespiteKktFault(order) {
        const size = Math.max(...leastSizes(order.lines));
        if (size > LARGEST_DOCUMENT) {
            this.dialog.add(AlertDialog, {
                title: _t("Too much for one fiscal receipt"),
                body: _t(
                    "The fiscal receipt of this order would have more than %(size)s bytes, and may have %(most)s. Sell it in several orders.",
                    { size, most: LARGEST_DOCUMENT }
                ),
            });
            return false;
        }
        const fault = findFault(order, this.kktHealth.rates);
        if (fault && order.uiState.kktFault !== fault) {
            const title = _t("This sale would have no fiscal receipt");
            const goesOn = await ask(this.dialog, {
                title,
                body: fault,
                confirmLabel: _t("Sell Anyway"),
            });
            order.uiState.kktFault = goesOn && fault;
            return goesOn;
        }
        return true;
    },

    canEditPayment(order) {
        return !order.kkt_state && !order.isAwaitingKkt && super.canEditPayment(...arguments);
    },

    /** Only prints of fiscal documents count: what is printed before there is one makes no copy of its first print. */
    async printReceipt({ basic = false, order = this.getOrder(), printBillActionTriggered } = {}) {
        const isDocument = !basic && order.kkt_documents?.some((document) => document.fd_number);
        const isCounted = isDocument || !this.hasKktRegister;
        return await super.printReceipt({
            basic,
            order,
            printBillActionTriggered: printBillActionTriggered || !isCounted,
        });
    },

    /** "Reload Data" empties this browser's database. */
    async reloadData() {
        if (await this.sendKktOrdersFirst(_t("Data can't be reloaded now"))) {
            return await super.reloadData(...arguments);
        }
    },

    /** Closing leaves no sale behind in a browser: they are sent first, and where that fails it is said how many are where. */
    async pushOrdersWithClosingPopup() {
        return (
            (await this.sendKktOrdersFirst(_t("Sales are only in this browser"))) &&
            (await super.pushOrdersWithClosingPopup(...arguments))
        );
    },

    /** What the popup says is to be true when it opens. */
    async closeSession() {
        await this.refreshKkt();
        return await super.closeSession(...arguments);
    },

    async sendKktOrdersFirst(title) {
        const count = this.unsyncedKktOrders.length && (await this.resendKktOrders());
        if (count) {
            this.dialog.add(AlertDialog, {
                title,
                body: _t(
                    "Sales that are only in this browser, at %(till)s: %(count)s. They could not be sent. Leave this window open until the connection is back, then try again.",
                    { till: this.config.name, count }
                ),
            });
        }
        return !count;
    },
});
