/*
 * The on-screen keyboard of a phone: a text field nobody sees, whose changes become keys.
 *
 * Phones tell no key codes for what their keyboards write, so the field is filled, and what was added to or
 * taken from its end is what was typed.
 */
import { BACKSPACE, ENTER, ESCAPE, TAB, strokes } from './keys.js';
import { spell } from './layouts.js';

const NAMED = { Enter: ENTER, Backspace: BACKSPACE, Tab: TAB, Escape: ESCAPE };
const PADDING = ' '.repeat(100); // something to take away from

/** What changed between two values of the field: `{backspaces, added}`.  Pure. */
export function difference(before, after) {
    let same = 0;
    while (same < before.length && same < after.length && before[same] === after[same]) {
        same += 1;
    }
    return { backspaces: before.length - same, added: after.slice(same) };
}

export class TouchKeyboard {
    constructor(field, send, layout) {
        this._field = field;
        this._send = send;
        this._layout = layout;
        this.wanted = false;
        this._empty();
        field.addEventListener('input', (event) => this._input(event));
        field.addEventListener('compositionend', () => this._empty());
        field.addEventListener('keydown', (event) => this._keydown(event));
    }

    show() {
        this.wanted = true;
        this._empty();
        this._field.focus({ preventScroll: true });
    }

    hide() {
        this.wanted = false;
        this._field.blur();
    }

    _empty() {
        this._field.value = this._before = PADDING;
        this._field.setSelectionRange(PADDING.length, PADDING.length);
    }

    _press(keys) {
        strokes(keys).forEach((event) => this._send(...event));
    }

    _keydown(event) {
        const key = NAMED[event.key];
        if (key && !event.isComposing) {
            event.preventDefault();
            this._press([key]);
        }
    }

    _input(event) {
        const { backspaces, added } = difference(this._before, this._field.value);
        this._before = this._field.value;
        for (let i = 0; i < backspaces; i++) {
            this._press([BACKSPACE]);
        }
        spell(added, this._layout()).forEach(({ chords }) => chords.forEach((keys) => this._press(keys)));
        const used = this._before.length;
        if (!event.isComposing && (used < PADDING.length / 2 || used > 4 * PADDING.length)) {
            this._empty();
        }
    }
}
