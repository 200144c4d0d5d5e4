/*
 * Whether the server is starting, which the page assumes if the server was off; otherwise, whether its screen is black.
 */
export const LOOK = 500; // ms between two looks at the screen
export const SHOWN = 3000; // minimum of ms for which the page says that the server is starting
export const LONGEST = 120000; // ms after which a black screen does not mean that the server is starting
export const BLACK = 2000; // ms for which a screen can be black before the page mentions it

const CLOCK = {
    now: () => performance.now(),
    every: (work, ms) => setInterval(work, ms),
    not: (timer) => clearInterval(timer),
};

export class Starting {
    /**
     * @param {() => boolean} black  whether the whole screen is black, or has no picture yet
     * @param {() => void} changed  called when `stage` has changed
     */
    constructor(black, changed, clock = CLOCK) {
        this.stage = ''; // 'starting', 'black', or '': nothing is to be said
        this._black = black;
        this._changed = changed;
        this._clock = clock;
        this._timer = null;
    }

    /** A session has begun. `off`: the server was off, and the page waited for it. */
    begin(off) {
        this.end();
        this._began = this._clock.now();
        this._off = off;
        this.stage = off ? 'starting' : '';
        this._timer = this._clock.every(() => this._look(), LOOK);
    }

    /** The session has ended. */
    end() {
        this._clock.not(this._timer);
        this.stage = '';
    }

    _look() {
        const black = this._black();
        const since = this._clock.now() - this._began;
        const before = this.stage;
        if (this._off && since < (black ? LONGEST : SHOWN)) {
            this.stage = 'starting';
        } else {
            this.stage = black && since >= BLACK ? 'black' : '';
        }
        if (!black && !this.stage) { // if the screen becomes black later, the server is not starting
            this._clock.not(this._timer);
        }
        if (this.stage !== before) {
            this._changed();
        }
    }
}
