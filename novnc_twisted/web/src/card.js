/*
 * The card on the stage that states why there is no console, and what happens next.
 */
import { offerLinks } from './branding.js';
import { $ } from './page.js';
import { say, text } from './strings.js';

export class Card {
    /** @param {{again: () => void, cancel: () => void}} on  what its two buttons do */
    constructor(on) {
        $('again').addEventListener('click', on.again);
        $('cancel').addEventListener('click', on.cancel);
    }

    /** Show the reason that `describe` of refusals.js returns. Text from outside is inserted as text, never as markup. */
    show({ title, sentence, hint, newLink, retry }, { waiting = false } = {}) {
        $('card-title').textContent = title;
        $('card').hidden = false;
        // screen readers read an alert when its text changes, so the text is set after the card is visible
        if ($('sentence').textContent !== sentence) {
            $('sentence').textContent = sentence;
        }
        $('hint').textContent = hint;
        $('hint').hidden = !hint;
        offerLinks(newLink);
        $('again').textContent = waiting ? text.retryNow : text[retry];
        $('countdown').hidden = !waiting;
        $('cancel').hidden = !waiting;
    }

    focus() {
        $('again').focus({ preventScroll: true });
    }

    /** Show the seconds until the next attempt. null: show none, because attempts are frequent. */
    countdown(seconds) {
        $('countdown').hidden = seconds === null;
        $('countdown').textContent = seconds === null ? '' : say.countdown({ seconds });
    }

    /** Show that the page is trying to connect. */
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
