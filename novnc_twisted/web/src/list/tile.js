/*
 * One server: its picture, its name, its state, its users, and what can be done with it.
 */
import { ACTIONS, say, STATES, text } from './words.js';

/** The states in which a server has a screen. */
export const LIVE = ['ACTIVE', 'PAUSED'];

export class Tile {
    /** @param run  what can be done with a server; null for a user who may only read */
    constructor(base, pictures, run, chosen) {
        this.pictures = pictures;
        this.base = base;
        this.run = run;
        this.chosen = chosen;
        this.element = element('li', { className: 'tile' });
        this.link = element('a', { className: 'name' });
        this.image = element('img', { alt: '', hidden: true, width: 320, height: 180 });
        this.screen = element('button', { type: 'button', className: 'screen' });
        this.screen.dataset.open = text.openShort;
        this.choose = element('input', { type: 'checkbox' });
        this.choice = element('label', { className: 'choose' });
        this.choice.append(this.choose);
        this.choose.addEventListener('change', () => {
            this.choose.checked = chosen.change(this.server, this.choose.checked);
        });
        this.state = element('p', { className: 'state' });
        this.where = element('p', { className: 'where' });
        this.users = element('p', { className: 'users' });
        this.share = element('button', { type: 'button', className: 'share', textContent: text.share });
        this.share.addEventListener('click', () => this.run.share(this.server));
        this.menu = element('details', { className: 'menu' });
        this.menu.append(element('summary', { textContent: text.power }), element('div', { className: 'actions' }));
        this.screen.append(this.image, element('span', { className: 'nothing' }));
        this.element.append(this.screen, this.link, this.state, this.where, this.users, this.menu, this.share, this.choice);
        this.screen.addEventListener('click', () => this.run.open(this.server));
        pictures.add(this.image);
    }

    show(server, users) {
        const same = this.server && JSON.stringify([this.server, this.shown]) === JSON.stringify([server, users]);
        if (same) {
            return;
        }
        const changed = this.server?.status !== server.status;
        const began = changed && this.server && server.status === 'ACTIVE';
        this.server = server;
        this.shown = users;
        const live = this.run !== null && LIVE.includes(server.status);
        this.link.textContent = server.name;
        this.link.href = `${this.base}servers/${server.id}`;
        this.state.textContent = STATES[server.status] ?? STATES.UNKNOWN;
        this.state.dataset.state = server.status;
        this.where.textContent = [server.project, server.host].filter(Boolean).join(' · ');
        this.users.textContent = users.length ? say.users({ names: users.join(', ') }) : '';
        this.image.dataset.id = server.id;
        this.image.dataset.live = live ? 'yes' : '';
        if (!live) {
            this.image.hidden = true;
        }
        this.screen.disabled = !live;
        this.share.hidden = !live;
        this.choose.checked = this.chosen.has(server.id);
        this.choice.hidden = !live && !this.choose.checked; // a chosen server that is off can be removed again
        this.choose.setAttribute('aria-label', say.choose({ name: server.name }));
        this.choice.title = say.choose({ name: server.name });
        this.share.setAttribute('aria-label', say.share({ name: server.name }));
        // with voice control, people say what they see, so the name contains the visible state
        const state = this.state.textContent;
        this.screen.setAttribute('aria-label', live ? say.open(server) : `${state}: ${this.run ? say.noScreen(server) : server.name}`);
        this.screen.lastElementChild.textContent = live ? '' : state;
        if (changed) {
            if (began) {
                this.pictures.renew(this.image);
            }
            this.#actions(server);
        }
    }

    remove() {
        this.pictures.remove(this.image);
        this.element.remove();
    }

    #actions(server) {
        const offered = ACTIONS.filter(({ states }) => states.includes(server.status));
        this.menu.hidden = this.run === null || !offered.length;
        this.menu.lastElementChild.replaceChildren(...offered.map((action) => {
            const button = element('button', { type: 'button', textContent: action.label, title: action.consequence });
            button.addEventListener('click', () => {
                this.menu.open = false;
                this.run.power(this.server, action);
            });
            return button;
        }));
    }
}

export function element(name, values = {}) {
    return Object.assign(document.createElement(name), values);
}
