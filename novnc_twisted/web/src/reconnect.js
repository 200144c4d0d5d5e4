/*
 * How long to wait before the next try.
 */

export const FIRST = 1000; // ms
export const LONGEST = 5000; // ms; short, so that the page reconnects soon after the service is back
export const POLL = 1800; // ms between two tries for a server that is off; with the try itself, about two seconds
export const SLOW_POLL = 10000; // the same, in ms, after POLL_FOR
export const POLL_FOR = 60000; // ms for which POLL applies

/** The ms to wait before try number `attempt` (from 0): random, from half to all of `first` * 2 ** `attempt`, which
    LONGEST limits.  The minimum is FIRST, or half of a `first` that is shorter than FIRST. */
export function delay(attempt, random = Math.random, first = FIRST) {
    const whole = Math.min(LONGEST, first * 2 ** Math.min(attempt, 16));
    return Math.max(first < FIRST ? first / 2 : FIRST, Math.round(whole * (0.5 + random() / 2)));
}

/** Counts tries; `next()` gives the ms to wait, or null after `giveUpAfter` ms of waiting have been spent. */
export class Backoff {
    constructor(random = Math.random) {
        this._random = random;
        this.reset();
    }

    /* Call this when a connection has lasted, not when it has opened. Otherwise a server that accepts and closes
       at once would be tried once a second without end. */
    reset() {
        this._cause = null;
        this._attempt = 0;
        this._waited = 0;
    }

    /**
     * @param {{poll?: boolean, first?: number, giveUpAfter?: number}} policy  `poll`: try at a steady pace, without an end
     * @param {*} cause  tries for another cause are counted anew
     */
    next({ poll = false, first = FIRST, giveUpAfter = 180000 } = {}, cause = null) {
        if (cause !== this._cause) {
            this.reset();
            this._cause = cause;
        }
        if (!poll && this._waited >= giveUpAfter) {
            return null;
        }
        const wait = poll ? (this._waited < POLL_FOR ? POLL : SLOW_POLL) : delay(this._attempt, this._random, first);
        this._attempt += 1;
        this._waited += wait;
        return wait;
    }
}
