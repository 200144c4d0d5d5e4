/*
 * Chips in the bar: what is going on while the panel that shows it is shut.  A click on one ends it.
 */
import { $, button, label } from './page.js';

export class Chips {
    /** @param {() => void} done  called after a click: the chip that had the focus is gone */
    constructor(done) {
        this._done = done;
        this._shown = new Map();
    }

    /** Show a chip, or change its words.  `ends`: what a click does, in words; `end`: the same as a function. */
    show(id, words, ends, end) {
        let chip = this._shown.get(id);
        if (!chip) {
            chip = button('', () => {
                this._shown.get(id)?.end();
                this._done();
            });
            chip.className = 'chip';
            chip.append(document.createElement('span'), cross());
            this._shown.set(id, chip);
            $('chips').append(chip);
        }
        chip.end = end;
        chip.firstChild.textContent = words;
        label(chip, `${words}. ${ends}`);
        chip.title = ends;
    }

    hide(id) {
        this._shown.get(id)?.remove();
        this._shown.delete(id);
    }
}

function cross() {
    const mark = document.createElement('span');
    mark.textContent = '×';
    mark.className = 'cross';
    mark.setAttribute('aria-hidden', 'true');
    return mark;
}
