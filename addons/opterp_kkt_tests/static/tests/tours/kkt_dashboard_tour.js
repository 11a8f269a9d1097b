import { addTour } from "@opterp_kkt_tests/../tests/tours/kkt_tours";

addTour("KktDashboardTour", [
    {
        content: "what waits is told, and that it has waited for too long",
        trigger: ".kkt-sums .card:contains('waiting, the oldest for 40 h')",
    },
    {
        content: "the breaker's band says its state in words",
        trigger: ".kkt-ofd .kkt-band .kkt-closed:contains('closed')",
    },
    {
        content: "the chart is drawn",
        trigger: ".kkt-ofd .kkt-chart canvas[width]",
    },
    {
        content: "the register has a word on its state; the figure leads to what waits",
        trigger: ".kkt-registers tr:contains('Waits for its turn') td:nth-child(3) button",
        run: "click",
    },
    {
        content: "these receipts, and no others",
        trigger: ".o_list_view .o_data_row",
    },
    {
        content: "back",
        trigger: ".breadcrumb-item a, .o_back_button",
        run: "click",
    },
    {
        content: "the dashboard is there again",
        trigger: ".kkt-dashboard .kkt-registers",
    },
]);
