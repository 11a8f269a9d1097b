import { patch } from "@web/core/utils/patch";
import { Navbar } from "@point_of_sale/app/components/navbar/navbar";
import { KktStatus } from "@opterp_kkt/app/components/navbar/kkt_status/kkt_status";

patch(Navbar, { components: { ...Navbar.components, KktStatus } });
