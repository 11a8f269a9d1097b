import { registry } from "@web/core/registry";

const WITHOUT_CONNECTION = /^(Failed to fetch|NetworkError|Load failed)/; // in Chromium's, Firefox's and Safari's words

/** What core fetches beside its calls, as the translations once more when a page comes out of the browser's storage: while the
 *  server is away, nobody at a till could do anything about it.
 */
function lostFetchHandler(env, error, originalError) {
    const { pos } = env.services;
    return (
        originalError instanceof TypeError &&
        WITHOUT_CONNECTION.test(originalError.message) &&
        (!pos || pos.data.network.offline)
    );
}

registry.category("error_handlers").add("opterp_kkt.lost_fetch", lostFetchHandler, { sequence: 1 });
