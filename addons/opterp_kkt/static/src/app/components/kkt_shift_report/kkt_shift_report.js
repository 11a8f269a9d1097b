import { Component } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { Dialog } from "@web/core/dialog/dialog";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import { asLine } from "@opterp_kkt/app/utils/kkt_document";

/** A report on a shift as it is printed. */
export class KktShiftSlip extends Component {
    static template = "opterp_kkt.KktShiftSlip";
    static props = { paper_width: String, lines: Array };

    get slips() {
        const lines = this.props.lines.map(asLine);
        return [{ paper_width: this.props.paper_width, lines, fd_number: true }];
    }
}

/** X while the shift goes on, Z when it is closed: to look at, and to print. */
export class KktShiftReport extends Component {
    static template = "opterp_kkt.KktShiftReport";
    static components = { Dialog, KktShiftSlip };
    static props = { slip: Object, close: Function };

    setup() {
        this.pos = usePos();
    }

    get title() {
        return this.props.slip.is_closed ? _t("Z Report") : _t("X Report");
    }

    get paper() {
        const { paper_width, lines } = this.props.slip;
        return { paper_width, lines };
    }

    async print() {
        await this.pos.printer.print(KktShiftSlip, this.paper, this.pos.printOptions);
    }
}
