/*
 * The dialog that makes a link for a colleague.
 */
import { element } from './tile.js';
import { say, text } from './words.js';

const TIMES = [[300, text.minutes5], [600, text.minutes10], [3600, text.hour1], [28800, text.hours8]]; // seconds
/* Seconds by which clocks and the network can shorten a link.  A larger difference is the operator's limit. */
const SLACK = 30;
let longest = Infinity; // seconds that the operator allows, as far as this page knows
const RIGHTS = [['view', text.watchOnly], ['control', text.control]];

/* Ask for the right and the time, and show the link that make(right, seconds, oneTime) gives. */
export function share(name, make, failed) {
    const dialog = element('dialog');
    dialog.classList.add('ask', 'share');
    const right = choice(RIGHTS);
    const time = choice(TIMES.filter(([seconds], place) => !place || seconds <= longest + SLACK));
    const once = element('input', { type: 'checkbox' });
    const made = element('input', { readOnly: true, className: 'made', hidden: true, type: 'text' });
    made.setAttribute('aria-label', text.link);
    const about = element('p', { className: 'about' });
    about.setAttribute('role', 'status');
    const create = element('button', { type: 'submit', textContent: text.makeLink, className: 'main' });
    const close = element('button', { type: 'button', textContent: text.close });
    const form = element('form');
    const heading = element('h2', { textContent: say.share({ name }), id: 'share-title' });
    form.append(heading, field(text.may, right), field(text.validFor, time), tick(text.once, once),
        made, about, close, create);
    dialog.setAttribute('aria-labelledby', 'share-title');
    dialog.append(form);
    close.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => dialog.remove());
    form.addEventListener('submit', async (event) => {
        event.preventDefault();
        try {
            const asked = Number(time.value);
            const { url, expires_at: until, expires_in: seconds } = await make(right.value, asked, once.checked);
            made.value = url;
            made.hidden = false;
            made.select();
            about.textContent = say.until({ time: new Date(until).toLocaleTimeString(), how: await copied(url) });
            if (seconds > 0 && seconds < asked - SLACK) {
                longest = seconds;
                about.append(' ', say.capped({ minutes: Math.round(seconds / 60) }));
            }
        } catch (error) {
            dialog.close();
            failed(error);
        }
    });
    document.body.append(dialog);
    dialog.showModal();
}

async function copied(address) {
    try {
        await navigator.clipboard.writeText(address);
        return text.onClipboard;
    } catch {
        return text.copyIt; // no https, or not allowed
    }
}

function choice(values) {
    const select = element('select');
    select.append(...values.map(([value, text]) => new Option(text, value)));
    return select;
}

function field(words, control) {
    const label = element('label', { textContent: words });
    label.append(control);
    return label;
}

function tick(words, control) {
    const label = element('label', { className: 'tick' });
    label.append(control, words);
    return label;
}
