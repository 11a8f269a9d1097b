import { Component, onMounted, onWillUnmount, useState } from "@odoo/owl";
import { useService } from "@web/core/utils/hooks";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import { KktPanel } from "@opterp_kkt/app/components/kkt_panel/kkt_panel";
import { judge, seconds } from "@opterp_kkt/app/utils/kkt_health";

const TICK = 5_000; // ms: ages grow on the screen, and the store looks whether there is something to ask or to send

/** How the fiscal receipts of this till are doing: by colour, shape, count and words, from the moment it is opened. */
export class KktStatus extends Component {
    static template = "opterp_kkt.KktStatus";
    static props = {};

    setup() {
        this.pos = usePos();
        this.ui = useService("ui");
        this.dialog = useService("dialog");
        this.state = useState({ now: seconds() });
        onMounted(() => {
            this.timer = setInterval(() => this.tick(), TICK);
        });
        onWillUnmount(() => clearInterval(this.timer));
    }

    tick() {
        this.state.now = seconds();
        this.pos.tickKkt();
    }

    get verdict() {
        return judge(this.pos.getKktFacts(this.state.now));
    }

    onClick() {
        this.pos.refreshKkt();
        this.dialog.add(KktPanel);
    }
}
