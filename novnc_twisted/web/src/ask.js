/*
 * The question before a power action.
 */

/** The actions that interrupt the server: the user is asked first. */
export const INTERRUPTING = ['stop', 'reboot', 'reset', 'pause', 'suspend'];

/** Ask; resolves to whether the user agreed.  `yes` and `no` are the labels of the buttons. */
export function ask(title, consequence, yes, no) {
    const dialog = element('dialog', { className: 'ask' });
    const agree = element('button', { type: 'submit', value: 'yes', textContent: yes });
    const cancel = element('button', { type: 'submit', value: '', textContent: no, autofocus: true });
    const form = element('form', { method: 'dialog' });
    const heading = element('h2', { textContent: title, id: 'question' });
    const words = element('p', { textContent: consequence, id: 'consequence' });
    form.append(heading, words, cancel, agree);
    dialog.setAttribute('aria-labelledby', heading.id);
    dialog.setAttribute('aria-describedby', words.id);
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

function element(name, values) {
    return Object.assign(document.createElement(name), values);
}
