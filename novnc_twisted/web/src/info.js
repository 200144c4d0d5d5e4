/*
 * Size, rates and delays of the connection, in the panel.  They are measured only while the panel is open.
 */
import { $ } from './page.js';
import { language, text } from './strings.js';

const PAUSE = 1000; // ms between two measurements

const number = (value, unit, digits) => value.toLocaleString(language, { style: 'unit', unit, maximumFractionDigits: digits });
const delay = (ms) => (ms === null ? text.infoNone : number(ms, 'millisecond', 0));
const rate = (value) => number(value, 'kilobyte-per-second', value < 10 ? 1 : 0);

export class Info {
    /** @param {() => Connection|null} connection  the present one */
    constructor(connection) {
        this._connection = connection;
        this._timer = null;
    }

    /** The panel was opened. */
    opened() {
        clearInterval(this._timer);
        this._connection()?.rates(); // begin to count
        this._timer = setInterval(() => this._tick(), PAUSE);
        this._show(null);
    }

    _tick() {
        const connection = this._connection();
        if ($('panel-more').hidden) {
            clearInterval(this._timer);
        } else if (connection?.connected) {
            connection.measure();
            this._show(connection);
        } else {
            this._show(null);
        }
    }

    _show(connection) {
        const canvas = $('stage').querySelector('canvas');
        const { received, sent } = connection?.rates() ?? {};
        const none = text.infoNone;
        $('info-screen').textContent = canvas?.width ? `${canvas.width} × ${canvas.height}` : none;
        $('info-received').textContent = connection ? rate(received) : none;
        $('info-sent').textContent = connection ? rate(sent) : none;
        $('info-network').textContent = delay(connection?.meter.network ?? null);
        $('info-server').textContent = delay(connection?.meter.server ?? null);
    }
}
