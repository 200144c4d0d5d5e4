/*
 * The list of servers as tiles, in place of the table that the server sent.
 */
import { LoggedOut } from './api.js';
import { Chosen } from './chosen.js';
import { read, write } from './filters.js';
import { element, Tile } from './tile.js';
import { say, STATES, text } from './words.js';

export class List {
    #tiles = new Map();
    #drawing = 0;

    constructor(root, store, pictures, run, base) {
        this.store = store;
        this.pictures = pictures;
        this.run = run;
        this.base = base;
        this.filters = read(location.search);
        this.grid = element('ul', { className: 'grid' });
        this.count = element('p', { className: 'count' });
        this.count.setAttribute('role', 'status');
        this.empty = element('p', { className: 'empty', hidden: true });
        this.form = this.#form();
        this.chosen = new Chosen(base);
        root.replaceChildren(
            element('h1', { textContent: text.servers }), this.form, this.count, this.empty, this.grid, this.chosen.element);
        store.addEventListener('change', () => this.draw());
        addEventListener('popstate', () => this.#restore());
        this.grid.addEventListener('keydown', (event) => this.#walk(event));
    }

    /* Draw once for all changes that come together. */
    draw() {
        cancelAnimationFrame(this.#drawing);
        this.#drawing = requestAnimationFrame(() => this.#draw());
    }

    #draw() {
        this.#options();
        this.chosen.keep(this.store.servers);
        const servers = this.store.matching(this.filters);
        const wanted = new Set(servers.map((each) => each.id));
        for (const [id, tile] of this.#tiles) {
            if (!wanted.has(id)) {
                tile.remove();
                this.#tiles.delete(id);
            }
        }
        let before = null;
        for (const server of servers) {
            let tile = this.#tiles.get(server.id);
            if (!tile) {
                tile = new Tile(this.base, this.pictures, this.run, this.chosen);
                this.#tiles.set(server.id, tile);
            }
            tile.show(server, this.store.users(server.id));
            const next = before ? before.nextElementSibling : this.grid.firstElementChild;
            if (next !== tile.element) {
                this.grid.insertBefore(tile.element, next);
            }
            before = tile.element;
        }
        const all = this.store.servers.size;
        this.empty.hidden = !this.store.complete || servers.length > 0;
        this.empty.textContent = all ? text.noMatch : text.noServers;
        const [shown, count] = [servers.length, all];
        this.count.textContent = !this.store.complete ? '' : shown === count ? say.count({ count }) : say.some({ shown, count });
        if (this.store.crowded) {
            this.count.append(` · ${text.someUsers}`);
        }
    }

    #form() {
        const form = element('form', { className: 'filters' });
        form.setAttribute('role', 'search');
        this.fields = {
            text: element('input', { type: 'search', name: 'name', placeholder: text.nameOrId }),
            state: element('select', { name: 'state' }),
            project: element('select', { name: 'project' }),
            host: element('select', { name: 'host' }),
        };
        const labels = { ...text, text: text.search };
        for (const [name, field] of Object.entries(this.fields)) {
            const label = element('label', { textContent: `${labels[name]} ` });
            label.append(field);
            form.append(label);
            field.addEventListener('input', () => this.#changed(name === 'text'));
        }
        form.addEventListener('submit', (event) => event.preventDefault());
        this.fields.text.value = this.filters.text;
        return form;
    }

    #options() {
        const states = this.store.values('status');
        const values = {
            state: Object.keys(STATES).filter((each) => states.includes(each)),
            project: this.store.values('project'),
            host: this.store.values('host'),
        };
        for (const [name, options] of Object.entries(values)) {
            const field = this.fields[name];
            const chosen = this.filters[name];
            const shown = chosen && !options.includes(chosen) ? [...options, chosen] : options;
            field.closest('label').hidden = shown.length < 2 && !chosen;
            if (field.dataset.options !== JSON.stringify(shown)) {
                field.dataset.options = JSON.stringify(shown);
                field.replaceChildren(new Option(text.all, ''),
                    ...shown.map((value) => new Option((name === 'state' && STATES[value]) || value, value)));
            }
            field.value = chosen;
        }
    }

    #changed(typing) {
        for (const [name, field] of Object.entries(this.fields)) {
            this.filters[name] = field.value;
        }
        const address = location.pathname + write(this.filters);
        // Each letter of a search would be a step of the browser's history.
        history[typing ? 'replaceState' : 'pushState'](null, '', address);
        this.draw();
    }

    #restore() {
        this.filters = read(location.search);
        this.fields.text.value = this.filters.text;
        this.draw();
    }

    /* Arrow keys move between the screens of tiles, past those that are disabled. */
    #walk(event) {
        const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
        const columns = getComputedStyle(this.grid).gridTemplateColumns.split(' ').length;
        const step = { ...steps, ArrowUp: -columns, ArrowDown: columns }[event.key];
        const screens = [...this.grid.querySelectorAll('.screen')];
        const here = screens.indexOf(event.target);
        if (step === undefined || here < 0) {
            return;
        }
        event.preventDefault();
        const usable = (some) => some.filter((screen) => !screen.disabled);
        const next = step > 0
            ? usable(screens.slice(here + step))[0] ?? usable(screens).at(-1)
            : usable(screens.slice(0, Math.max(0, here + step + 1))).at(-1) ?? usable(screens)[0];
        next?.focus();
    }
}

/* If the log-in has ended, go to the log-in page, which leads back here. */
export function leave(base, error) {
    if (error instanceof LoggedOut) {
        location.href = `${base}login?next=${encodeURIComponent(location.pathname + location.search)}`;
        return true;
    }
    return false;
}
