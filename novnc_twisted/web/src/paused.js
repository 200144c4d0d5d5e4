/*
 * Whether the server is paused, which VNC does not show.  The page asks the proxy every few seconds while the server is
 * paused or keys change nothing on the screen.  If the user may only watch, and so presses no keys, the page asks now
 * and then.
 */
const AGAIN = 5000; // ms between two questions
const WATCHING = 30000; // ms between two questions of somebody who only watches
const SOON = 500; // ms after an attempt to unpause the server

export class Paused {
    /**
     * @param {(message: object) => void} tell  send a message to the proxy
     * @param {() => void} changed  called when a field has changed
     */
    constructor(tell, changed, later = (work, ms) => setTimeout(work, ms), cancel = (timer) => clearTimeout(timer)) {
        this.paused = false;
        this._tell = tell;
        this._changed = changed;
        this._later = later;
        this._cancel = cancel;
        this._end();
    }

    /** A session has begun, or has ended: nothing is known. */
    reset() {
        this._cancel(this._timer);
        this._end();
        this._set({ paused: false });
    }

    /** Handle a message of the proxy. Any message shows that the proxy has a channel for questions. */
    receive({ type, of, state, actions = [], shares, mode }) {
        this._channel = true;
        if (type === 'server') {
            const paused = state === 'paused';
            this._set({ paused, offers: paused && actions.includes('unpause'), failed: paused && this.failed });
            this._ask();
        } else if (type === 'rights') {
            this._set({ guest: shares === false });
            this._watches = mode === 'view';
            this._ask();
        } else if (of === 'power' && this.busy) {
            this._set({ busy: false, failed: type === 'refused' });
            this._cancel(this._timer);
            this._timer = null;
            this._ask(SOON);
        }
    }

    /** Whether keys change nothing on the screen. */
    watch(unmoved) {
        this._unmoved = unmoved;
        if (unmoved || this.paused) {
            this._ask(0);
        }
    }

    /** Unpause the server. */
    go() {
        if (this.offers && !this.busy) {
            this._set({ busy: true, failed: false });
            this._tell({ type: 'power', action: 'unpause' });
        }
    }

    _end() {
        this._timer = null;
        this._channel = this._unmoved = this._watches = false;
        this.guest = false; // the link is one for a guest, who sees no list of servers
        this.offers = false; // whether `go` can unpause the server
        this.busy = false; // `go` is under way
        this.failed = false; // `go` did not work
    }

    get _wanted() {
        return this.paused || this._unmoved || this._watches;
    }

    _ask(wait = this.paused || this._unmoved ? AGAIN : WATCHING) {
        if (this._timer === null && this._channel && this._wanted) {
            this._timer = this._later(() => {
                this._timer = null;
                if (this._wanted) {
                    this._tell({ type: 'state' });
                }
            }, wait);
        }
    }

    _set(values) {
        if (Object.entries(values).some(([name, value]) => this[name] !== value)) {
            Object.assign(this, values);
            this._changed();
        }
    }
}
