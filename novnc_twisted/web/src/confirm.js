/*
 * Buttons for actions that cannot be undone: they require a second click.
 */
import { $, label } from './page.js';
import { say } from './strings.js';

const TIME = 3000; // ms in which the second click counts

/**
 * Let a button act at a second click within 3 s.  The second click of a double click does not count.
 *
 * @param {string} name  what the button does
 */
export function confirmed(element, name, act) {
    const content = [...element.childNodes];
    const words = element.getAttribute('aria-label');
    let timer = null;

    const rest = () => {
        clearTimeout(timer);
        timer = null;
        element.classList.remove('armed');
        element.replaceChildren(...content);
        if (words) {
            label(element, words);
        } else {
            element.removeAttribute('aria-label');
            element.title = '';
        }
        if ($('notice').textContent === say.confirmHint({ name })) { // another button may have replaced the notice
            $('notice').textContent = '';
        }
    };
    element.addEventListener('click', (event) => {
        if (timer === null) {
            timer = setTimeout(rest, TIME);
            element.classList.add('armed');
            element.textContent = say.confirm({ name });
            label(element, say.confirmHint({ name }));
            $('notice').textContent = say.confirmHint({ name });
        } else if (event.detail !== 2) {
            rest();
            act();
        }
    });
}
