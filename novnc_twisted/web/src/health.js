/*
 * Whether the console still answers: when to ask, and what silence means.  The caller passes the time in ms.
 *
 * A network can fail without closing a connection; the WebSocket then seems open for many minutes.  The page asks the
 * proxy, not the VNC server, which may be busy for minutes without a fault.  There are two ways to ask: an empty
 * WebSocket message, which our proxy answers with an empty one, and a request for a file.  The message is more
 * reliable, because it uses the session's own connection.  The request for a file is for proxies that do not answer
 * empty messages; it also shows whether a new connection would succeed.
 */

export const AFTER_INPUT = 4000; // ms without an answer to a key or the mouse, after which the proxy is asked
export const AFTER_SILENCE = 15000; // the same, without input
export const ANSWER = 4000; // ms that an answer may take
export const AGAIN = 3000; // ms between two questions while the session is stalled
export const LOST = 6000; // ms after which the session is given up, if the proxy answers requests but the session does not
export const UNMOVED = 8000; // ms after a key without any change of the screen
const LATE = 3000; // if more ms than this lie between two ticks, the page itself was suspended or too busy to receive

export class Health {
    constructor(now) {
        this.stalled = false;
        this.lost = false; // the session does not answer, and a new one would succeed
        this.unmoved = false; // keys change nothing on the screen: the server may be paused, which VNC does not report
        this._typed = null; // when the first key since the last change was sent
        this._echoes = false; // whether the proxy answers empty messages
        this._heard = now;
        this._input = null; // when the first input since `_heard` was sent
        this._asked = null; // when the open question was asked
        this._reachable = null; // since when requests are answered while the session is stalled
        this._nudged = false;
        this._offline = false;
        this._ticked = now;
    }

    /** A message came on the session. `empty`: it was the answer to an empty message. */
    heard(now, empty = false) {
        this._echoes ||= empty;
        if (!empty) {
            this.unmoved = false;
            this._typed = null;
        }
        if (!this._offline) {
            this._rest(now);
        }
    }

    /** A key, a movement of the mouse, or text was sent. */
    sent(now, key = false) {
        this._input ??= now;
        if (key) {
            this._typed ??= now;
        }
    }

    /** The request for a file was answered, or failed. */
    answered(now, well) {
        if (this._offline && well) {
            this._rest(now);
        } else if (!well) {
            this._reachable = null;
            this.stalled ||= this._offline;
        } else if (this.stalled) {
            this._reachable ??= now;
        } else if (!this._echoes) {
            this._rest(now); // the request for a file is the only check with this proxy
        }
    }

    /** The browser reports whether it has a network. "None" can be wrong (VPN, same machine): a request decides. */
    network(there) {
        this._offline = !there;
        this.nudge();
    }

    /** Check now, because the network changed or the user is back. */
    nudge() {
        this._nudged = true;
    }

    /**
     * To be called twice a second.
     *
     * @returns {{file: boolean, picture: boolean}|null} null: do not ask now; otherwise ask with an empty message.
     *   `file`: also with a request for a file; `picture`: ask the VNC server for one pixel instead of the empty
     *   message, because this proxy does not answer empty messages
     */
    tick(now) {
        const late = now - this._ticked > LATE;
        this._ticked = now;
        this.unmoved = this._typed !== null && now - this._typed >= UNMOVED;
        if (this.stalled) {
            this.lost = this._reachable !== null && now - this._reachable >= LOST;
            return this._nudged || now - this._asked >= AGAIN ? this._ask(now) : null;
        }
        if (this._asked !== null && !late) {
            this.stalled = now - this._asked >= ANSWER;
            return this.stalled ? this._ask(now) : null;
        }
        const due = late && this._asked !== null
            || this._input !== null && now - this._input >= AFTER_INPUT
            || now - this._heard >= AFTER_SILENCE;
        return due || this._nudged ? this._ask(now) : null;
    }

    _ask(now) {
        this._asked = now;
        this._nudged = false;
        return { file: this.stalled || this._offline || !this._echoes, picture: this.stalled && !this._echoes };
    }

    _rest(now) {
        this.stalled = this.lost = false;
        this._heard = now;
        this._input = this._asked = this._reachable = null;
    }
}
