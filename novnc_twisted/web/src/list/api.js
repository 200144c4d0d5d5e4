/*
 * Requests to the console API.  The browser's cookie identifies the user.
 */

import { say, text, translated } from './words.js';

const MOST_PAGES = 10; // of sessions; the event stream covers the same number

/* Thrown when the log-in has ended. */
export class LoggedOut extends Error {}

/* Thrown, with the server's sentence, for any other error status. */
export class Refused extends Error {}

export class Api {
    constructor(base) {
        this.base = base; // "/console/", or with a prefix
        this.compute = new URL('../v2.1/', new URL(base, location.href)).pathname;
    }

    async json(path, options = {}) {
        const response = await this.#ask(`${this.base}v1/${path}`, options);
        return response.status === 204 ? null : response.json();
    }

    /* All servers, in pages. */
    async servers() {
        return (await this.#pages('servers', Infinity)).found;
    }

    /* One server. */
    async server(id) {
        return (await this.json(`servers/${id}`)).server;
    }

    /* Up to 10,000 sessions, in pages, and whether there are more. */
    async sessions() {
        return this.#pages('sessions', MOST_PAGES);
    }

    /* A new link to a console: its address, its right, when it expires, and in how many seconds. */
    async link(id, terms = {}) {
        const body = JSON.stringify({ type: 'novnc', ...terms });
        const answer = await this.json(`servers/${id}/consoles`, {
            method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
        return answer.console;
    }

    async power(id, action) {
        const response = await this.#ask(`${this.compute}servers/${id}/action`, {
            method: 'POST', body: JSON.stringify(action), headers: { 'Content-Type': 'application/json' } });
        await response.text(); // empty; left unread, Chromium reports the request as aborted
    }

    /* A picture as a blob; null if there is none now. */
    async picture(id, width) {
        try {
            const response = await this.#ask(`${this.base}v1/servers/${id}/screenshot?width=${width}`, {
                headers: { Accept: 'image/webp, image/jpeg;q=0.9' } });
            return await response.blob();
        } catch (error) {
            if (error instanceof Refused) {
                return null;
            }
            throw error;
        }
    }

    async #pages(name, most) {
        const found = [];
        let marker = '';
        for (let count = 0; count === 0 || (marker && count < most); count += 1) {
            const page = await this.json(`${name}?limit=1000${marker && `&marker=${marker}`}`);
            found.push(...page[name]);
            marker = page.next ?? '';
        }
        return { found, more: marker !== '' };
    }

    async #ask(address, options) {
        let response;
        try {
            response = await fetch(address, { cache: 'no-store', credentials: 'same-origin', ...options });
        } catch {
            throw new Error(text.noAnswer); // the browser's own message is for programmers
        }
        if (response.status === 401) {
            throw new LoggedOut();
        }
        if (!response.ok) {
            throw new Refused(await sentence(response));
        }
        return response;
    }
}

async function sentence(response) {
    try {
        const [fault] = Object.values(await response.json());
        return translated(fault.message);
    } catch {
        return say.status({ status: String(response.status) });
    }
}
