/*
 * A question, and a note that goes away.
 */
import { element } from './tile.js';
import { text } from './words.js';

/* Resolves to whether the person agreed. */
export function ask(title, consequence, yes) {
    const dialog = element('dialog', { className: 'ask' });
    const agree = element('button', { type: 'submit', value: 'yes', textContent: yes });
    const cancel = element('button', { type: 'submit', value: '', textContent: text.cancel, autofocus: true });
    const form = element('form', { method: 'dialog' });
    const heading = element('h2', { textContent: title, id: 'question' });
    form.append(heading, element('p', { textContent: consequence }), cancel, agree);
    dialog.setAttribute('aria-labelledby', 'question');
    dialog.append(form);
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
        dialog.addEventListener('close', () => {
            dialog.remove();
            resolve(dialog.returnValue === 'yes');
        });
    });
}

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
