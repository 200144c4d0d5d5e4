/*
 * Types a text into the server, key by key, no faster than it can take it.
 */
import { strokes } from './keys.js';
import { spell } from './layouts.js';

/* QEMU spaces key events by 10 ms and queues some hundreds; what does not fit is lost without a word. */
const EVENT = 12; // ms for each key event
const LINE = 120; // ms more after Enter: shells and boot loaders read line by line

export class Typist {
    /**
     * @param {(keysym: number, code: string|null, down: boolean) => boolean} send  false: nobody takes keys now
     */
    constructor(send, wait = (ms) => new Promise((done) => setTimeout(done, ms))) {
        this._send = send;
        this._wait = wait;
        this._run = 0;
    }

    get busy() {
        return this._busy === this._run && this._run > 0;
    }

    /** Resolves to whether all was typed; `progress(done, all)` is called along the way. */
    async type(text, layout, progress = () => {}) {
        const run = ++this._run;
        this._busy = run;
        const characters = spell(text, layout);
        try {
            for (let i = 0; i < characters.length; i++) {
                const events = strokes(characters[i].keys);
                // the events of one character go in one turn: no key is left down by a stop between them
                const taken = events.map((event) => this._send(...event)).every(Boolean);
                progress(i + 1, characters.length);
                if (!taken) {
                    return false;
                }
                const pause = characters[i].keys[0][1] === 'Enter' ? LINE : 0;
                await this._wait(events.length * EVENT + pause);
                if (run !== this._run) {
                    return false;
                }
            }
            return true;
        } finally {
            if (this._busy === run) {
                this._busy = 0;
            }
        }
    }

    stop() {
        this._run += 1;
    }
}
