import {
    Component,
    onMounted,
    onWillStart,
    onWillUnmount,
    status,
    useEffect,
    useRef,
    useState,
} from "@odoo/owl";
import { loadBundle } from "@web/core/assets";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { formatFloat } from "@web/views/fields/formatters";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";

const { DateTime } = luxon;
const CHANNEL = "kkt_dashboard";
const PACE = 1000; // ms between two looks when something has changed
const PERIOD = 15000; // … and when nothing is heard of: ages grow, and the bus may be down
const COLOURS = {
    closed: "success",
    half_open: "warning",
    open: "danger",
    forced_open: "danger",
    disabled: "secondary",
};
const ICONS = {
    success: "fa-check-circle",
    warning: "fa-exclamation-triangle",
    danger: "fa-times-circle",
};

/** Sixty bars: what an OFD took in each minute of the last hour. */
class DeliveriesPerMinute extends Component {
    static template = "opterp_kkt.DeliveriesPerMinute";
    static props = { counts: Array, label: String };

    setup() {
        this.canvas = useRef("canvas");
        useEffect(
            () => {
                this.chart = this.draw();
                return () => this.chart.destroy();
            },
            () => [JSON.stringify(this.props.counts)]
        );
    }

    draw() {
        const style = getComputedStyle(this.canvas.el);
        return new Chart(this.canvas.el, {
            type: "bar",
            data: {
                labels: this.props.counts.map((_count, at) => at - 59),
                datasets: [
                    {
                        data: this.props.counts,
                        backgroundColor: style.getPropertyValue("--kkt-bar").trim() || "#017e84",
                    },
                ],
            },
            options: {
                animation: false,
                maintainAspectRatio: false,
                plugins: {
                    legend: { display: false },
                    tooltip: {
                        callbacks: {
                            title: ([bar]) => _t("%s min ago", -bar.label),
                            label: (bar) => _t("%s delivered", bar.raw),
                        },
                    },
                },
                scales: {
                    x: {
                        grid: { display: false },
                        ticks: { color: style.color, maxTicksLimit: 7, maxRotation: 0 },
                    },
                    y: {
                        beginAtZero: true,
                        suggestedMax: 4,
                        ticks: { color: style.color, precision: 0, maxTicksLimit: 4 },
                    },
                },
            },
        });
    }
}

/**
 * The figures of `kkt.dashboard`, asked for again when something has changed, and from time to time, while the page is seen. Each
 * leads to the records behind it.
 */
export class KktDashboard extends Component {
    static template = "opterp_kkt.Dashboard";
    static components = { DeliveriesPerMinute };
    static props = { ...standardActionServiceProps };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.bus = useService("bus_service");
        this.state = useState({ figures: null, failed: false });
        this.breakerStates = {
            closed: _t("closed"),
            half_open: _t("half-open"),
            open: _t("open"),
            forced_open: _t("forced open"),
            disabled: _t("disabled"),
        };
        this.conditions = {
            held: _t("Held"),
            forced_open: _t("Breaker forced open"),
            paused: _t("OFD paused"),
            open: _t("Breaker open"),
            no_delivery_job: _t("No delivery job"),
            delivery_silent: _t("Nothing delivers"),
            delivery_fails: _t("Delivery jobs fail"),
            backoff: _t("Tried again soon"),
            sending: _t("Being sent"),
            due: _t("Waits for its turn"),
        };
        onWillStart(async () => {
            await loadBundle("web.chartjs_lib");
            await this.look();
        });
        this.onChanged = () => this.lookSoon();
        onMounted(() => {
            this.bus.addChannel(CHANNEL);
            this.bus.subscribe("KKT_CHANGED", this.onChanged);
            this.lookIn(PERIOD);
        });
        onWillUnmount(() => {
            this.bus.unsubscribe("KKT_CHANGED", this.onChanged);
            this.bus.deleteChannel(CHANNEL);
            clearTimeout(this.timer);
        });
    }

    /** One question at a time: the next is asked so long after the answer. */
    lookIn(milliseconds) {
        clearTimeout(this.timer);
        this.timer = setTimeout(async () => {
            this.timer = null;
            this.hasChanged = false;
            if (!document.hidden) {
                await this.look();
            }
            if (status(this) === "mounted") {
                this.lookIn(this.hasChanged ? PACE : PERIOD);
            }
        }, milliseconds);
    }

    /** What changes while an answer is awaited, or within a second, is asked for once. */
    lookSoon() {
        if (!this.hasChanged && this.timer) {
            this.lookIn(PACE);
        }
        this.hasChanged = true;
    }

    async look() {
        try {
            this.state.figures = await this.orm.silent.call("kkt.dashboard", "get_figures", []);
            this.state.failed = false;
        } catch (error) {
            if (!this.state.figures) {
                throw error;
            }
            this.state.failed = true;
        }
    }

    // -- words ------------------------------------------------------------------------------------------------------------

    get time() {
        return DateTime.fromMillis(this.state.figures.now).toFormat("HH:mm:ss");
    }

    get alarming() {
        return this.state.figures.registers.filter((register) => register.attention !== "success");
    }

    get waiting() {
        return this.state.figures.registers.reduce((sum, register) => sum + register.waiting, 0);
    }

    get rejected() {
        return this.state.figures.registers.reduce((sum, register) => sum + register.rejected, 0);
    }

    get delivered() {
        return this.state.figures.ofds.reduce((sum, ofd) => sum + ofd.delivered, 0);
    }

    get oldest() {
        const ages = this.state.figures.registers.map((register) => register.oldest ?? -1);
        const oldest = Math.max(-1, ...ages);
        return oldest < 0 ? null : oldest;
    }

    icon(attention) {
        return ICONS[attention];
    }

    colour(state) {
        return COLOURS[state];
    }

    describe(register) {
        if (register.condition) {
            return this.conditions[register.condition];
        }
        return register.attention === "success" ? _t("All delivered") : _t("Look at it");
    }

    number(value) {
        return formatFloat(value, { digits: [16, 1] });
    }

    /** A length of time in one or two units that people say. */
    duration(seconds) {
        if (seconds === null || seconds === undefined) {
            return "–";
        }
        if (seconds < 10) {
            return _t("%s s", this.number(seconds));
        }
        if (seconds < 120) {
            return _t("%s s", Math.round(seconds));
        }
        if (seconds < 7200) {
            return _t("%s min", Math.round(seconds / 60));
        }
        return seconds < 172800
            ? _t("%s h", Math.round(seconds / 3600))
            : _t("%s d", Math.round(seconds / 86400));
    }

    since(register) {
        return register.since ? DateTime.fromMillis(register.since).toFormat("dd.MM HH:mm") : "";
    }

    shift(register) {
        if (!register.shift) {
            return "–";
        }
        return register.hours_left === null || register.hours_left === false
            ? _t("No. %s", register.shift)
            : _t("No. %(number)s, %(hours)s h left", {
                  number: register.shift,
                  hours: this.number(register.hours_left),
              });
    }

    spanTitle(span) {
        const seconds = (span.end - span.begin) * this.state.figures.hours * 3600;
        return _t("%(state)s for %(time)s", {
            state: this.breakerStates[span.state],
            time: this.duration(seconds),
        });
    }

    // -- the records behind a figure --------------------------------------------------------------------------------------

    openReceipts(name, domain) {
        this.action.doAction({
            type: "ir.actions.act_window",
            name,
            res_model: "kkt.receipt",
            views: [
                [false, "list"],
                [false, "form"],
            ],
            domain,
        });
    }

    openWaiting(domain = []) {
        this.openReceipts(_t("Waiting"), [["state", "in", ["pending", "sending"]], ...domain]);
    }

    openRejected(domain = []) {
        this.openReceipts(_t("Rejected"), [
            ["state", "=", "rejected"],
            ["handled_at", "=", false],
            ...domain,
        ]);
    }

    openDelivered(domain = []) {
        const hour = DateTime.fromMillis(this.state.figures.now, { zone: "utc" }).minus({
            hours: 1,
        });
        const since = hour.toFormat("yyyy-MM-dd HH:mm:ss");
        this.openReceipts(_t("Delivered in the Last Hour"), [
            ["delivered_at", ">", since],
            ...domain,
        ]);
    }

    openNewest(register) {
        this.openReceipts(register.name, [["register_id", "=", register.id]]);
    }

    openForm(model, id) {
        this.action.doAction({
            type: "ir.actions.act_window",
            res_model: model,
            res_id: id,
            views: [[false, "form"]],
        });
    }

    openEvents(ofd) {
        this.action.doAction({
            type: "ir.actions.act_window",
            name: _t("Circuit Breaker: %s", ofd.name),
            res_model: "kkt.circuit.breaker.event",
            views: [[false, "list"]],
            domain: [["breaker_id", "=", ofd.breaker]],
        });
    }
}

registry.category("actions").add("opterp_kkt.dashboard", KktDashboard);
