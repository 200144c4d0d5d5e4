/*
 * A note that disappears after some seconds.
 */
import { element } from './tile.js';

let shown = null;
let timer = 0;

export function note(words) {
    if (!shown) {
        shown = element('p', { className: 'note' });
        shown.setAttribute('role', 'status');
        document.body.append(shown);
    }
    shown.textContent = words;
    clearTimeout(timer);
    timer = setTimeout(() => {
        shown.textContent = '';
    }, 8000);
}
