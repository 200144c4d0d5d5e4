/*
 * Sends keys no faster than the server takes them: a text that is typed, and what a phone's keyboard writes.
 */
import { strokes } from './keys.js';
import { spell } from './layouts.js';

/* QEMU spaces key events by 10 ms and queues some hundreds; further events are lost without an error. */
const EVENT = 12; // ms for each key event
const LINE = 120; // ms more after Enter: shells and boot loaders read line by line

const CAPS_LOCK = false; // texts are typed as on a keyboard without it

export class Typist {
    /**
     * @param {(keysym: number, code: string|null, down: boolean, capsLock: boolean) => boolean} send
     *   false: keys are not accepted now
     * @param {(ms: number) => Promise<void>} wait
     */
    constructor(send, wait = (ms) => new Promise((done) => setTimeout(done, ms))) {
        this._send = send;
        this._wait = wait;
        this._queue = []; // of {chords, sent, ended}
        this._busy = false;
    }

    /** Press chords one after another, behind what is being typed. */
    press(chords) {
        this._add({ chords });
    }

    /** Type a text.  Resolves to whether all was typed; `progress(done, all)` is called along the way. */
    type(text, layout, progress = () => {}) {
        return new Promise((ended) => {
            const characters = spell(text, layout);
            const items = characters.map(({ chords }, i) => ({ chords, sent: () => progress(i + 1, characters.length) }));
            this._add(...items, { chords: [], ended });
        });
    }

    /** Discard the keys that have not been sent yet. */
    stop() {
        const dropped = this._queue.splice(0);
        dropped.forEach(({ ended }) => ended?.(false));
    }

    async _add(...items) {
        this._queue.push(...items);
        if (this._busy) {
            return;
        }
        this._busy = true;
        while (this._queue.length) {
            await this._next();
        }
        this._busy = false;
    }

    async _next() {
        const { chords, sent, ended } = this._queue.shift();
        const events = chords.flatMap(strokes);
        // all events of a character are sent together, so that a stop between them leaves no key down
        if (!events.map((event) => this._send(...event, CAPS_LOCK)).every(Boolean)) {
            this.stop();
            return;
        }
        sent?.();
        ended?.(true);
        const pause = chords[0]?.[0][1] === 'Enter' ? LINE : 0;
        await this._wait(events.length * EVENT + pause);
    }
}
