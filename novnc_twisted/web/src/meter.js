/*
 * The bytes and delays of a connection.  The caller passes the time in ms.
 *
 * Two questions are sent together: an empty message, which our proxy answers itself, and a request for one pixel, which
 * the VNC server answers.  The proxy's answer takes as long as the network; the server's takes as long as network and
 * server.  A picture that was on its way counts as the server's answer, so the true delay can be longer.
 */
export class Meter {
    constructor(now) {
        this.network = null; // ms between browser and proxy; null: not known
        this._whole = null; // ms between browser and VNC server
        this._asked = { empty: null, picture: null }; // when the open questions were asked
        this._bytes = { received: 0, sent: 0, since: now };
    }

    /** ms that the VNC server itself takes, and its network to the proxy; null: not known. */
    get server() {
        return this.network === null || this._whole === null ? null : Math.max(0, this._whole - this.network);
    }

    /** Whether to ask now: the VNC server has answered the last question, or no question was asked. */
    ask(now) {
        if (this._asked.picture !== null) {
            return false;
        }
        this._asked = { empty: now, picture: now };
        return true;
    }

    heard(now, bytes) {
        this._bytes.received += bytes;
        if (bytes === 0 && this._asked.empty !== null) {
            this.network = now - this._asked.empty;
            this._asked.empty = null;
        } else if (bytes !== 0 && this._asked.picture !== null) {
            this._whole = now - this._asked.picture;
            this._asked.picture = null;
        }
    }

    sent(bytes) {
        this._bytes.sent += bytes;
    }

    /** kB/s since the last call: `{received, sent}`. */
    rates(now) {
        const { received, sent, since } = this._bytes;
        this._bytes = { received: 0, sent: 0, since: now };
        const ms = Math.max(now - since, 1); // bytes per ms are kB/s
        return { received: received / ms, sent: sent / ms };
    }
}
