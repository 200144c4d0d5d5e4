/*
 * Requests to the console API.  The browser's cookie says who asks.
 */

import { say, translated } from './words.js';

/* Thrown when the log-in has ended. */
export class LoggedOut extends Error {}

/* Thrown with the sentence of the server. */
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
        const found = [];
        let marker = '';
        do {
            const page = await this.json(`servers?limit=1000${marker && `&marker=${marker}`}`);
            found.push(...page.servers);
            marker = page.next ?? '';
        } while (marker);
        return found;
    }

    async sessions() {
        return (await this.json('sessions?limit=1000')).sessions;
    }

    /* A new link to a console: its address, its right, and when it expires. */
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

    async #ask(address, options) {
        const response = await fetch(address, { cache: 'no-store', credentials: 'same-origin', ...options });
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
