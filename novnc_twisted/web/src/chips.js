/*
 * Chips in the bar: states that last, such as a modifier that is held down.  A click on a chip ends its state.
 */
import { $, button, label } from './page.js';

export class Chips {
    /** @param {() => void} done  called after a click, because the chip that had the focus is removed */
    constructor(done) {
        this._done = done;
        this._shown = new Map();
    }

    /** Show a chip, or change its text.  `ends`: what a click does, as a text; `end`: the function that does it. */
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
