/*
 * The servers and sessions of the list, and which servers match the filters.
 */

export class Store extends EventTarget {
    servers = new Map();
    sessions = new Map();

    complete = false; // whether `servers` has every server that the user may see
    crowded = false; // whether there are more sessions than in `sessions`
    #names = null; // server -> the people on its console
    #since = null; // events since the newest `load` began, while it runs

    /* Begin with the servers of the table in the HTML, which has one page of them. */
    begin(servers) {
        this.servers = new Map(servers.map((each) => [each.id, each]));
        this.#changed();
    }

    /* Fill the store with what `read` finds.  Events that arrive meanwhile may be newer, so they are applied again. */
    async load(read) {
        const since = this.#since = [];
        try {
            const found = await read();
            if (this.#since === since) { // no newer load has begun
                this.fill(...found);
            }
        } finally {
            if (this.#since === since) {
                this.#since = null;
                since.forEach((event) => this.apply(...event));
            }
        }
    }

    fill(servers, { found, more }) {
        this.complete = true;
        this.crowded = more;
        this.servers = new Map(servers.map((each) => [each.id, each]));
        this.sessions = new Map(found.map((each) => [each.id, each]));
        this.#changed();
    }

    /* Apply an event of the server: rows that changed, ids that are gone. */
    apply(kind, { changed, removed }) {
        this.#since?.push([kind, { changed, removed }]);
        const rows = kind === 'servers' ? this.servers : this.sessions;
        for (const row of changed) {
            rows.set(row.id, row);
        }
        for (const id of removed) {
            rows.delete(id);
        }
        this.#changed();
    }

    /* Who is on a server's console, by name. */
    users(id) {
        if (!this.#names) {
            this.#names = new Map();
            for (const { server_id: server, user_id: user } of this.sessions.values()) {
                const names = this.#names.get(server) ?? new Set();
                this.#names.set(server, names.add(user ?? '?'));
            }
        }
        return [...this.#names.get(id) ?? []].sort();
    }

    /* The servers that match, by name. */
    matching({ text, state, project, host }) {
        const wanted = text.toLocaleLowerCase();
        const matches = (each) => (!wanted || each.name.toLocaleLowerCase().includes(wanted) || each.id.startsWith(wanted))
            && (!state || each.status === state) && (!project || each.project === project) && (!host || each.host === host);
        return [...this.servers.values()].filter(matches).sort(byName);
    }

    /* The values that a filter can have. */
    values(field) {
        const found = new Set([...this.servers.values()].map((each) => each[field]).filter(Boolean));
        return [...found].sort();
    }

    #changed() {
        this.#names = null;
        this.dispatchEvent(new Event('change'));
    }
}

function byName(one, other) {
    return one.name.localeCompare(other.name, undefined, { numeric: true }) || (one.id < other.id ? -1 : 1);
}
