import { Component, onWillStart, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useAutofocus, useService } from "@web/core/utils/hooks";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";

const EMULATOR = "PYTHONPATH=addons/opterp_kkt_tests python -m ofd_emulator --port ";

/** A step: its number or a tick, its name, and what is in it. */
class KktStep extends Component {
    static template = "opterp_kkt.StartStep";
    static props = { name: String, title: String, number: Number, done: Boolean, slots: Object };
}

/** What came of a button, where it was pressed. */
class KktAnswer extends Component {
    static template = "opterp_kkt.StartAnswer";
    static props = { answer: { optional: true } };
}

/**
 * The steps of `kkt.start`. Each call returns all of them as they are then, with what was wrong in a field (`wrong`) and what came
 * of a button (`answers`). Forms of records open in place of this page, which looks again when one comes back to it.
 */
export class KktStart extends Component {
    static template = "opterp_kkt.Start";
    static components = { KktStep, KktAnswer };
    static props = { ...standardActionServiceProps };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.state = useState({
            steps: null,
            wrong: {},
            answers: {},
            busy: "",
            inn: "",
            taxationSystem: "1",
            rate: "",
            url: "http://127.0.0.1:8080",
        });
        useAutofocus({ refName: "kkt_trial_inn" });
        onWillStart(() => this.call("get_page"));
    }

    /** What was typed in is kept where it was wrong. */
    async call(method, ...values) {
        this.state.busy = method;
        try {
            const { steps, wrong, answers, ofd } = await this.orm.call("kkt.start", method, values);
            Object.assign(this.state, {
                steps,
                wrong,
                answers: { ...this.state.answers, ...answers },
            });
            if (!Object.keys(wrong).length) {
                this.state.inn = steps.company.inn;
                this.state.taxationSystem = steps.company.taxation_system;
                this.state.rate = steps.taxes.rate;
            }
            return ofd;
        } finally {
            this.state.busy = "";
        }
    }

    async makeTrial() {
        const { inn, taxationSystem, url } = this.state;
        const ofd = await this.call("make_trial", inn.trim(), taxationSystem, url.trim());
        if (ofd) {
            await this.call("test_connection", ofd);
        }
    }

    setCompany() {
        return this.call("set_company", this.state.inn.trim(), this.state.taxationSystem);
    }

    async openTill(config) {
        this.action.doAction(await this.orm.call("kkt.start", "open_till", [config]));
    }

    openAction(name, options) {
        this.action.doAction(name, options);
    }

    openForm(model, id, context = {}) {
        this.action.doAction({
            type: "ir.actions.act_window",
            res_model: model,
            res_id: id,
            views: [[false, "form"]],
            context,
        });
    }

    connectRegister(row) {
        this.openForm("kkt.register", false, {
            default_pos_config_id: row.id,
            default_name: row.name,
        });
    }

    get doneCount() {
        return Object.values(this.state.steps).filter((step) => step.done).length;
    }

    get count() {
        return Object.keys(this.state.steps).length;
    }

    get progress() {
        return _t("%(done)s of %(count)s steps are done", {
            done: this.doneCount,
            count: this.count,
        });
    }

    get isTaxMissing() {
        return this.state.steps.taxes.rates.some(([_code, _name, tax]) => !tax);
    }

    get hasRegister() {
        return this.state.steps.register.rows.some((row) => row.register);
    }

    get isTest() {
        return this.state.steps.register.rows.some((row) => row.is_test);
    }

    get command() {
        const url = this.state.steps.ofd.ofds[0]?.url || this.state.url;
        return EMULATOR + (url.match(/:(\d+)\/?$/)?.[1] || "8080");
    }
}

registry.category("actions").add("opterp_kkt.start", KktStart);
