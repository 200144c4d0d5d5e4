/*
 * The card on the stage that says why there is no console, and what comes next.
 */
import { $ } from './page.js';
import { say, text } from './strings.js';

export class Card {
    /** @param {{again: () => void, cancel: () => void}} on  what its two buttons do */
    constructor(on) {
        $('again').addEventListener('click', on.again);
        $('cancel').addEventListener('click', on.cancel);
    }

    /** Show why, as `describe` of refusals.js tells it. Words from outside come as text, never as markup. */
    show({ title, sentence, hint, retry }, { waiting = false } = {}) {
        $('card-title').textContent = title;
        $('card').hidden = false;
        // an alert is read out when its text changes: so the text comes after the card is there
        if ($('sentence').textContent !== sentence) {
            $('sentence').textContent = sentence;
        }
        $('hint').textContent = hint;
        $('hint').hidden = !hint;
        $('again').textContent = waiting ? text.retryNow : text[retry];
        $('countdown').hidden = !waiting;
        $('cancel').hidden = !waiting;
    }

    focus() {
        $('again').focus({ preventScroll: true });
    }

    /** How long until the next try; null: it is not told, since it is soon and often. */
    countdown(seconds) {
        $('countdown').hidden = seconds === null;
        $('countdown').textContent = seconds === null ? '' : say.countdown(seconds);
    }

    /** The page tries by itself now. */
    trying() {
        $('countdown').textContent = text.trying;
    }

    gaveUp() {
        $('countdown').textContent = text.gaveUp;
        $('countdown').hidden = false;
    }

    hide() {
        $('card').hidden = true;
        $('sentence').textContent = '';
    }
}
