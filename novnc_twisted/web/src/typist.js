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

    /** Resolves to whether all was typed; `progress(done, all)` is called along the way. */
    async type(text, layout, progress = () => {}) {
        const run = ++this._run;
        const characters = spell(text, layout);
        for (let i = 0; i < characters.length; i++) {
            const events = characters[i].chords.flatMap(strokes);
            // the events of one character go in one turn: no key is left down by a stop between them
            if (!events.map((event) => this._send(...event)).every(Boolean)) {
                return false;
            }
            progress(i + 1, characters.length);
            const pause = characters[i].chords[0][0][1] === 'Enter' ? LINE : 0;
            await this._wait(events.length * EVENT + pause);
            if (run !== this._run) {
                return false;
            }
        }
        return true;
    }

    stop() {
        this._run += 1;
    }
}
