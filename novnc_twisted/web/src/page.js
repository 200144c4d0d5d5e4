/*
 * The page's elements and words.
 */
import { text } from './strings.js';

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** Set the accessible name and the tooltip of a control. */
export function label(element, words) {
    element.setAttribute('aria-label', words);
    element.title = words;
}

/** Insert the texts of strings.js where the HTML names them. */
export function fillIn(root = document) {
    for (const element of root.querySelectorAll('[data-text]')) {
        element.textContent = text[element.dataset.text];
    }
    for (const element of root.querySelectorAll('[data-label]')) {
        const words = text[element.dataset.label];
        if (element.tagName === 'BUTTON') {
            label(element, words);
        } else {
            element.setAttribute('aria-label', words);
        }
    }
    for (const element of root.querySelectorAll('[data-placeholder]')) {
        element.placeholder = text[element.dataset.placeholder];
    }
}

/** Redraw a part.  If the focused element disappears, focus the button with its `data-key`, or else `instead`. */
export function keepingFocus(part, instead, draw) {
    const focused = document.activeElement;
    const inside = part.contains(focused);
    draw();
    if (inside && (!focused.isConnected || focused.closest('[hidden]'))) {
        const { key } = focused.dataset;
        ([...part.querySelectorAll('button[data-key]')].find((each) => each.dataset.key === key) ?? instead).focus();
    }
}

/** A button with words on it. */
export function button(words, onclick) {
    const element = document.createElement('button');
    element.type = 'button';
    element.textContent = words;
    element.addEventListener('click', () => onclick(element));
    return element;
}
