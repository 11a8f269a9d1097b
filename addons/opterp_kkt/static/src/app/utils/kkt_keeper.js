import { browser } from "@web/core/browser/browser";
import { seconds } from "@opterp_kkt/app/utils/kkt_health";

const FIRST_PAUSE = 5; // s until what did not arrive is sent again, doubled with each try
const LONGEST_PAUSE = 300; // s
const FORGOTTEN_AFTER = 90; // s: a window in the background is allowed to speak once a minute

/** Seconds until the next try, after so many; `spread` (0…1) keeps tills from coming back in the same second. */
export function getPause(tries, spread) {
    return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** tries) * (0.5 + spread / 2);
}

/** Looks after what only this browser has: that it stays here until it is sent, and that it is sent. */
export class KktKeeper {
    persistence = ""; // "kept", "may_be_cleared", or not known
    isOpenTwice = false;
    isLost = false; // the connection was, at the last try
    tries = 0;
    nextTryAt = Infinity;

    constructor(name) {
        this.name = name;
        this.others = new Map(); // windows of the same till: when each spoke last
    }

    async askToPersist() {
        try {
            const kept = await browser.navigator.storage.persist();
            this.persistence = kept ? "kept" : "may_be_cleared";
        } catch {
            // An old browser, or a page that is not secure: it can't be asked.
        }
    }

    /** Tell other windows of this till that this one is open, and hear of them. */
    joinWindows() {
        const id = Math.random();
        this.channel = new BroadcastChannel(this.name);
        this.channel.onmessage = ({ data }) => this.hear(data);
        this.speak = (event) => this.channel.postMessage({ id, event });
        window.addEventListener("pagehide", () => this.speak("left"));
        this.speak("entered");
    }

    hear({ id, event }) {
        this.others.set(id, seconds());
        if (event === "left") {
            this.others.delete(id);
        } else if (event === "entered") {
            this.speak("here");
        }
        this.isOpenTwice = this.others.size > 0;
    }

    tick() {
        this.speak?.("here");
        for (const [id, heardAt] of this.others) {
            if (seconds() - heardAt > FORGOTTEN_AFTER) {
                this.others.delete(id);
            }
        }
        this.isOpenTwice = this.others.size > 0;
    }

    /** Whether what waits here is to be sent now; the first time it is seen it may still be on its way. */
    isDue(isWaiting) {
        if (!isWaiting) {
            this.tries = 0;
            this.nextTryAt = Infinity;
        } else if (this.nextTryAt === Infinity) {
            this.nextTryAt = seconds() + getPause(0, Math.random());
        }
        return seconds() >= this.nextTryAt;
    }

    /** The server is there again: what waits is sent within seconds. */
    hurry() {
        this.isLost = false;
        this.tries = 0;
        this.nextTryAt = Infinity;
    }

    noteTry() {
        this.tries += 1;
        this.nextTryAt = seconds() + getPause(this.tries, Math.random());
    }
}
