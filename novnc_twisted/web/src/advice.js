/*
 * Shows a sentence about the server at the edge of the screen during a session, with a button if the user can act.
 */
import { $ } from './page.js';

export class Advice {
    /** @param {() => void} go  what the button does   @param {() => void} leave  gives the focus back to the screen */
    constructor(go, leave) {
        this._leave = leave;
        $('advice-go').addEventListener('click', go);
    }

    /** Show a sentence; '': show nothing.  `offers`: show the button; `busy`: its action is under way. */
    show(words, { offers = false, busy = false } = {}) {
        const focused = document.activeElement === $('advice-go');
        $('advice').hidden = !words;
        $('advice-go').hidden = !offers;
        $('advice-go').setAttribute('aria-disabled', String(busy));
        // screen readers read a status when its text changes, so the text is set after the element is visible
        if ($('advice-words').textContent !== words) {
            $('advice-words').textContent = words;
        }
        if (focused && !$('advice-go').getClientRects().length) {
            this._leave();
        }
    }
}
