/*
 * The page's elements and words.
 */
import { text } from './strings.js';

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** Set the name of a button or other control, visible and for screen readers. */
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

/** A button with words on it. */
export function button(words, onclick) {
    const element = document.createElement('button');
    element.type = 'button';
    element.textContent = words;
    element.addEventListener('click', () => onclick(element));
    return element;
}
