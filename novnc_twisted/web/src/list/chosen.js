/*
 * The servers that the user has chosen to see side by side.
 */
import { note } from './note.js';
import { element } from './tile.js';
import { say, text } from './words.js';

const LEAST = 2;
const MOST = 4;

export class Chosen {
    #ids = new Set();

    constructor(base) {
        this.base = base;
        this.element = element('div', { className: 'chosen', hidden: true });
        this.count = element('p');
        this.count.setAttribute('role', 'status');
        this.go = element('button', { type: 'button', className: 'main', textContent: text.sideBySide });
        this.go.addEventListener('click', () => {
            location.href = splitAddress(this.base, this.#ids);
        });
        this.element.append(this.count, this.go);
    }

    /* Add a server to the chosen ones, or remove it; returns whether it is chosen now. */
    change(server, wanted) {
        if (wanted && this.#ids.size >= MOST) {
            note(text.fourAtMost);
            return false;
        }
        this.#ids[wanted ? 'add' : 'delete'](server.id);
        this.#show();
        return wanted;
    }

    has(id) {
        return this.#ids.has(id);
    }

    /* Forget the chosen servers that are not among these any more. */
    keep(servers) {
        const gone = [...this.#ids].filter((id) => !servers.has(id));
        if (gone.length) {
            gone.forEach((id) => this.#ids.delete(id));
            this.#show();
        }
    }

    #show() {
        const count = this.#ids.size;
        this.element.hidden = !count;
        this.go.hidden = count < LEAST;
        this.count.textContent = count < LEAST ? text.chooseHint : say.chosen({ count });
    }
}

export function splitAddress(base, ids) {
    return `${base}split?${new URLSearchParams([...ids].map((id) => ['server', id]))}`;
}
