/*
 * Several consoles on one page, each in a frame with the proxy's page; on a phone, one at a time.
 */
import { PANE } from '../pane.js';
import { splitAddress } from './chosen.js';
import { follow } from './follow.js';
import { leave } from './list.js';
import { startOf } from './starter.js';
import { element, LIVE } from './tile.js';
import { say, STATES, text } from './words.js';

const BLOCKED_AFTER = 10000; // ms until a console that has sent no message counts as blocked

export function showSplit(root, api, base, starter) {
    new Split(root, api, base, starter);
}

/* The element of a pane to focus: the console, or else the button or the link that leads to it. */
const target = (pane) => pane.frame ?? pane.root.querySelector('.none button, .why button, .why a');

/* Whether no element has the focus. */
const idle = () => [document.body, null].includes(document.activeElement);

class Split {
    constructor(root, api, base, starter) {
        this.api = api;
        this.base = base;
        this.starter = starter;
        this.tabs = element('nav', { className: 'tabs' });
        this.tabs.setAttribute('aria-label', text.splitTitle);
        this.panes = [...root.querySelectorAll('.pane')].map((each) => this.#pane(each));
        root.querySelector('.panes').before(this.tabs, element('p', { className: 'split-hint', textContent: text.moveHint }));
        this.#number();
        this.#show(this.panes[0]);
        addEventListener('message', (event) => this.#heard(event));
        addEventListener('keydown', (event) => {
            if (event.key === 'F6') {
                event.preventDefault();
                this.#move(this.panes.find((pane) => pane.root.contains(document.activeElement)), event.shiftKey ? -1 : 1);
            }
        });
        for (const pane of this.panes) {
            this.#open(pane);
        }
        if (this.panes.some(({ off }) => off)) {
            const store = { apply: (kind, { changed }) => kind === 'servers' && changed.forEach((row) => this.#changed(row)) };
            follow(`${base}v1/events`, store, () => this.#look());
        }
    }

    #pane(root) {
        const { id, name } = root.dataset;
        const pane = { root, id, name, frame: null, tab: element('button', { type: 'button', textContent: name }) };
        root.querySelector('form')?.remove();
        const [close, closeTab] = [0, 1].map(() => {
            const button = element('button', { type: 'button', className: 'close', textContent: '×' });
            button.setAttribute('aria-label', `${text.close}: ${name}`);
            button.addEventListener('click', () => this.#close(pane));
            return button;
        });
        pane.closeTab = closeTab;
        pane.tab.addEventListener('click', () => {
            this.#show(pane);
            pane.frame?.focus();
        });
        root.append(close);
        this.tabs.append(pane.tab, closeTab);
        return pane;
    }

    async #open(pane) {
        if (!LIVE.includes(pane.root.querySelector('.state').dataset.state)) {
            this.#offer(pane);
            return;
        }
        try {
            const { url } = await this.api.link(pane.id);
            pane.origin = new URL(url).origin;
            pane.frame = element('iframe', { src: url + PANE, title: pane.name, allow: 'clipboard-read; clipboard-write; fullscreen' });
            pane.blocked = setTimeout(() => this.#explain(pane, url), BLOCKED_AFTER);
            pane.root.append(pane.frame);
        } catch (error) {
            if (!leave(this.base, error)) {
                this.#why(pane, error.message, ' ', this.#again(pane));
            }
        }
    }

    /* A button that asks for the console again. */
    #again(pane) {
        const again = element('button', { type: 'button', textContent: text.again });
        again.setAttribute('aria-label', `${text.again}: ${pane.name}`);
        again.addEventListener('click', async () => {
            again.parentNode.remove();
            await this.#open(pane);
            if (idle()) {
                this.#focus(pane);
            }
        });
        return again;
    }

    /* Show that a server has no screen, with a button that starts it. */
    #offer(pane) {
        const status = pane.root.querySelector('.state').dataset.state;
        const action = startOf(status);
        const off = element('div', { className: 'none' });
        const words = element('p', { textContent: say.noScreen({ name: pane.name }) });
        words.setAttribute('role', 'status');
        off.append(words);
        if (action) {
            const label = { start: text.startServer, resume: text.resumeServer }[action.name];
            const start = element('button', { type: 'button', className: 'main', textContent: label });
            start.setAttribute('aria-label', `${label}: ${pane.name}`);
            start.addEventListener('click', () => this.#start(pane, words, start));
            off.append(start);
        }
        pane.off?.remove();
        pane.off = off;
        pane.root.append(off);
    }

    async #start(pane, words, button) {
        if (button.getAttribute('aria-disabled') === 'true') {
            return;
        }
        button.setAttribute('aria-disabled', 'true');
        words.textContent = text.startBegun;
        if (!await this.starter.start(pane.id)) {
            button.setAttribute('aria-disabled', 'false');
            words.textContent = say.noScreen({ name: pane.name });
        }
    }

    /* Show the new state of a server, or the console if it has begun to run. */
    #changed({ id, status }) {
        const pane = this.panes.find((each) => each.id === id);
        const state = pane?.root.querySelector('.state');
        if (!pane?.off || status === state.dataset.state) {
            return;
        }
        state.dataset.state = status;
        state.textContent = STATES[status] ?? STATES.UNKNOWN;
        if (LIVE.includes(status)) {
            const focused = pane.off.contains(document.activeElement);
            pane.off.remove();
            pane.off = null;
            this.#open(pane).then(() => focused && this.#focus(pane));
        } else {
            this.#offer(pane);
        }
    }

    /* Load the states that changed before the stream of events began, or while it was broken. */
    async #look() {
        for (const pane of this.panes.filter(({ off }) => off)) {
            try {
                this.#changed(await this.api.server(pane.id));
            } catch (error) {
                leave(this.base, error);
            }
        }
    }

    /* Handle a message of the page in a frame (../pane.js, ../start.js). */
    #heard(event) {
        const { source, data, origin } = event;
        const pane = this.panes.find((each) => each.frame?.contentWindow === source);
        const message = pane && data?.console;
        if (typeof message !== 'string') {
            return;
        }
        clearTimeout(pane.blocked);
        pane.root.querySelector('.why')?.remove();
        pane.root.querySelector('.state').hidden = true; // the page in the frame shows its own
        if (['off', 'start'].includes(message) && origin === pane.origin) {
            this.starter.answer(event, pane.id);
        }
        if (message === 'next' || message === 'previous') {
            this.#move(pane, message === 'next' ? 1 : -1);
        } else if (message === 'focused' && document.activeElement !== pane.frame) {
            // Chromium does not notice that a click moved the focus to another frame of the same process.
            this.#focus(pane);
        } else if (message === 'connected' && idle()) {
            this.#focus(this.panes.find(({ frame }) => frame)); // the user has chosen none yet
        }
    }

    #move(from, step) {
        const open = this.panes.filter((pane) => target(pane));
        const found = open.indexOf(from);
        const place = found < 0 && step < 0 ? 0 : found; // outside all panes: to the first one, or to the last one
        const to = open.at((place + step) % open.length);
        if (to) {
            this.#focus(to);
        }
    }

    #focus(pane) {
        this.#show(pane);
        target(pane)?.focus();
    }

    /* Show this pane on a phone, which shows one at a time. */
    #show(shown) {
        for (const pane of this.panes) {
            pane.root.classList.toggle('shown', pane === shown);
            pane.tab.setAttribute('aria-pressed', String(pane === shown));
        }
    }

    #close(pane) {
        const place = this.panes.indexOf(pane);
        this.panes.splice(place, 1);
        pane.root.remove();
        pane.tab.remove();
        pane.closeTab.remove();
        const left = this.panes.map(({ id }) => id);
        if (!left.length) {
            location.href = this.base;
            return;
        }
        if (left.length > 1) { // the address of one console is not an address of this page
            history.replaceState(null, '', splitAddress(this.base, left));
        }
        this.#number();
        this.#focus(this.panes[Math.min(place, left.length - 1)]);
    }

    #number() {
        const count = this.panes.length;
        for (const [index, { root, name }] of this.panes.entries()) {
            root.setAttribute('aria-label', say.pane({ place: index + 1, count, name }));
        }
    }

    #explain(pane, url) {
        const link = element('a', { href: url, target: '_blank', rel: 'noopener', textContent: text.openTab });
        link.setAttribute('aria-label', `${text.openTab}: ${pane.name}`);
        this.#why(pane, text.blocked, ' ', link, element('br'), say.askOperator({ origin: location.origin }));
        const focused = document.activeElement === pane.frame;
        pane.frame.remove();
        pane.frame = null;
        if (focused) {
            this.#focus(pane);
        }
    }

    #why(pane, ...words) {
        const why = element('p', { className: 'why' });
        why.setAttribute('role', 'alert');
        why.append(...words);
        pane.root.append(why);
    }
}
