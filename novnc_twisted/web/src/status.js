/*
 * The state of the console, in the bar, on the page's body and in the tab's title.
 */
import { $ } from './page.js';
import { text } from './strings.js';

const TAIL = 8; // characters at the end of a long name that always show

/** Split a name in two parts: the first may be shortened if it does not fit, the second may not. */
export function cut(name) {
    const characters = Intl.Segmenter // Firefox has it since 125
        ? [...new Intl.Segmenter().segment(name)].map(({ segment }) => segment)
        : [...name];
    const at = characters.length > 2 * TAIL ? characters.length - TAIL : characters.length;
    return [characters.slice(0, at).join(''), characters.slice(at).join('')];
}

/** The tab's title: the state unless it is good, the server's name, and what the page is. */
export function titled(name, state) {
    return [state, name, text.console].filter(Boolean).join(' - ');
}

export class Status {
    constructor() {
        this._name = '';
        this._words = '';
        this._rang = false;
        this.state = 'connecting';
    }

    /** @param {string} state  for the style sheet  @param {string} words  for people */
    set(state, words) {
        this.state = state;
        this._words = words;
        document.body.dataset.state = state;
        $('bar').dataset.state = state;
        if ($('state').textContent !== words) { // screen readers read the text when it changes
            $('state').textContent = words;
        }
        this._title();
    }

    /** The server's name. */
    set name(name) {
        this._name = name;
        const [head, tail] = cut(name);
        const parts = [head, tail].filter(Boolean).map((part) => {
            const span = document.createElement('span');
            span.textContent = part;
            return span;
        });
        $('name').replaceChildren(...parts);
        if (parts.length > 1) { // the style sheet reserves this width for the second
            const size = parseFloat(getComputedStyle($('name')).fontSize);
            $('name').style.setProperty('--tail', `${parts[1].getBoundingClientRect().width / size || TAIL / 2}em`);
        }
        $('name').title = name;
        this._title();
    }

    /** Whether the title shows that the bell rang. */
    set rang(on) {
        this._rang = on;
        this._title();
    }

    /* With several tabs, the title must show which console has a problem; only "connected" is left out. */
    _title() {
        document.title = (this._rang ? '🔔 ' : '') + titled(this._name, this.state === 'connected' ? '' : this._words);
    }
}
