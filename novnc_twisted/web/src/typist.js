/*
 * Queues the keys of texts, a phone's keyboard and buttons, and sends them no faster than the server accepts them.
 */
import { strokes } from './keys.js';
import { spell } from './layouts.js';

/* QEMU spaces key events by 10 ms and queues some hundreds; further events are lost without an error. */
const EVENT = 12; // ms for each key event
const LINE = 120; // ms more after Enter: shells and boot loaders read line by line

const CAPS_LOCK = false; // texts are spelt for a keyboard with Caps Lock off

export class Typist {
    /**
     * @param {(keysym: number, code: string|null, down: boolean, capsLock: boolean|null) => boolean} send
     *   false: keys are not accepted now
     * @param {(ms: number) => Promise<void>} wait
     */
    constructor(send, wait = (ms) => new Promise((done) => setTimeout(done, ms))) {
        this._send = send;
        this._wait = wait;
        this._queue = []; // of {events, pause, sent, ended}; an event is [keysym, code, down, capsLock]
        this._busy = false;
    }

    /** Press chords one after another, after the queued keys. `capsLock`: the state that they need; null: any. */
    press(chords, capsLock = CAPS_LOCK) {
        this._add([pressed(chords, capsLock)]);
    }

    /** Press or release a modifier, after the queued keys. `dropped`: called if it is not sent. */
    hold(key, down, dropped = () => {}) {
        this._add([{ events: [[...key, down, null]], ended: (sent) => sent || dropped() }]);
    }

    /** Type a text.  Resolves to whether all was typed; `progress(done, all)` is called for each character. */
    type(text, layout, progress = () => {}) {
        return new Promise((ended) => {
            const characters = spell(text, layout);
            const items = characters.map(({ chords }, i) => (
                { ...pressed(chords, CAPS_LOCK), sent: () => progress(i + 1, characters.length) }));
            this._add([...items, { events: [], ended }]);
        });
    }

    /** Discard the keys that have not been sent yet. A modifier that is to be released is released now. */
    stop() {
        for (const { events, ended } of this._queue.splice(0)) {
            const [first] = events;
            if (first && !first[2]) {
                this._send(...first);
            }
            ended?.(false);
        }
    }

    async _add(items) {
        this._queue = this._queue.concat(items); // not push(...items): a call takes some 100,000 arguments at most
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
        const { events, pause = 0, sent, ended } = this._queue.shift();
        // all events of a character are sent together, so that a stop between them leaves no key down
        if (!events.map((event) => this._send(...event)).every(Boolean)) {
            ended?.(false);
            this.stop();
            return;
        }
        sent?.();
        ended?.(true);
        await this._wait(events.length * EVENT + pause);
    }
}

function pressed(chords, capsLock) {
    return {
        events: chords.flatMap(strokes).map((event) => [...event, capsLock]),
        pause: chords[0]?.[0][1] === 'Enter' ? LINE : 0,
    };
}
