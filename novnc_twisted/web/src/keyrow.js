/*
 * The row of keys that a phone's keyboard lacks, above that keyboard.
 */
import { HOLD, ROW } from './keys.js';
import { $, button, label } from './page.js';

const REPEAT_AFTER = 450; // ms that a key is held before it repeats
const REPEAT = 90; // ms between repeated presses

export class KeyRow {
    /** @param {Typist} typist   @param {Modifiers} modifiers */
    constructor(typist, modifiers) {
        this._typist = typist;
        for (const { name, label: words, key } of ROW) {
            const element = key ? this._key(name, key) : modifiers.button(name);
            if (/\p{L}/u.test(name)) { // no label: with voice control, people say the name that they see
                element.title = words ?? '';
            } else {
                label(element, words);
            }
            $('keyrow').append(element);
        }
        // the phone's keyboard stays open: it belongs to the text field that keeps the focus
        $('keyrow').addEventListener('pointerdown', keepFocus);
        $('keyrow').addEventListener('mousedown', keepFocus);
        this.enable(false);
    }

    enable(on) {
        $('keyrow').hidden = !on;
    }

    _key(name, key) {
        let timer = null;
        let repeated = false;
        const press = () => this._typist.press([[key]]);
        const stop = () => clearTimeout(timer);
        const repeat = () => {
            repeated = true;
            press();
            timer = setTimeout(repeat, REPEAT);
        };
        const element = button(name, () => {
            if (!repeated) { // a click ends a long press, too
                press();
            }
            repeated = false;
        });
        element.addEventListener('pointerdown', () => {
            stop();
            repeated = false;
            timer = setTimeout(repeat, REPEAT_AFTER);
        });
        for (const type of ['pointerup', 'pointercancel', 'pointerleave']) { // cancelled: the row is scrolled
            element.addEventListener(type, stop);
        }
        element.addEventListener('contextmenu', (event) => event.preventDefault()); // what a long press brings up
        return element;
    }
}

function keepFocus(event) {
    if (document.activeElement === $('field')) {
        event.preventDefault();
    }
}
