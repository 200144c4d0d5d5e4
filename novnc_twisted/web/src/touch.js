/*
 * The on-screen keyboard of a phone: an invisible text field, whose changes become keys.
 *
 * Phones report no key codes for text.  So the field has content, and what is added or removed at its end was typed.
 */
import { ownRepeats } from './held.js';
import { BACKSPACE, ENTER, ROW } from './keys.js';
import { spell } from './layouts.js';

/* Keys that are not characters, by `KeyboardEvent.key`, which is also their code. */
const NAMED = Object.fromEntries([ENTER, BACKSPACE, ...ROW.map(({ key }) => key).filter(Boolean)].map(
    (key) => [key[1], key]));
const PADDING = ' '.repeat(100); // characters for Backspace to remove

/** What changed between two values of the field: `{backspaces, added}`. */
export function difference(before, after) {
    const [old, fresh] = [[...before], [...after]]; // whole characters, as Backspace removes them
    let same = 0;
    while (same < old.length && same < fresh.length && old[same] === fresh[same]) {
        same += 1;
    }
    return { backspaces: old.length - same, added: fresh.slice(same).join('') };
}

export class TouchKeyboard {
    /** @param {Typist} typist   @param {() => string} layout  of the server's keyboard */
    constructor(field, typist, layout) {
        this._field = field;
        this._typist = typist;
        this._layout = layout;
        this.wanted = false;
        this._empty();
        ownRepeats(field);
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

    _keydown(event) {
        const key = NAMED[event.key];
        if (key && !event.isComposing) {
            event.preventDefault();
            this._typist.press([[key]]);
        }
    }

    _input(event) {
        const { backspaces, added } = difference(this._before, this._field.value);
        this._before = this._field.value;
        for (let i = 0; i < backspaces; i++) {
            this._typist.press([[BACKSPACE]]);
        }
        spell(added, this._layout()).forEach(({ chords }) => this._typist.press(chords));
        const used = this._before.length;
        if (!event.isComposing && (used < PADDING.length / 2 || used > 4 * PADDING.length)) {
            this._empty();
        }
    }
}
