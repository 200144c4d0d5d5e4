/*
 * When to try again: exponential back-off with jitter, and an end to it.  Pure: no clock, no timer.
 */

export const FIRST = 1000; // ms
export const LONGEST = 30000; // ms

/** How long to wait before try number `attempt` (from 0), in ms: between half and the whole of 1, 2, 4 .. 30 s. */
export function delay(attempt, random = Math.random, first = FIRST) {
    const whole = Math.min(LONGEST, first * 2 ** Math.min(attempt, 16));
    return Math.max(FIRST, Math.round(whole * (0.5 + random() / 2)));
}

/** Counts tries; `next()` gives the ms to wait, or null once `giveUpAfter` ms of waiting have been spent. */
export class Backoff {
    constructor(random = Math.random) {
        this._random = random;
        this.reset();
    }

    /* To be called when a connection has proved itself, not when it merely opened: a server that
       accepts and drops at once would otherwise be asked once a second for ever. */
    reset() {
        this.attempt = 0;
        this.waited = 0;
    }

    next({ first = FIRST, giveUpAfter = 180000 } = {}) {
        if (this.waited >= giveUpAfter) {
            return null;
        }
        const wait = delay(this.attempt, this._random, first);
        this.attempt += 1;
        this.waited += wait;
        return wait;
    }
}
