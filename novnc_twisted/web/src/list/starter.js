/*
 * Starts servers that are off or suspended.  Consoles that this page has opened or shows request this (../start.js).
 */
import { ACTIONS } from './words.js';

const KEY = 'novnc_twisted.consoles';
const STARTS = ACTIONS.filter(({ name }) => ['start', 'resume'].includes(name));

/** The action that starts or resumes a server in this state, or undefined. */
export const startOf = (status) => STARTS.find(({ states }) => states.includes(status));

export class Starter {
    /** @param {(error: Error) => void} failed  says why a server was not started */
    constructor(api, failed) {
        this.api = api;
        this.failed = failed;
    }

    /* Answer windows that this page, or an earlier page in this tab, has opened. */
    listen() {
        addEventListener('message', (event) => {
            const id = event.data?.server;
            if (typeof id === 'string' && Object.hasOwn(opened(), id) && opened()[id] === event.origin) {
                this.answer(event, id);
            }
        });
    }

    /* Remember that a window was opened with the console of a server. */
    opened(id, address) {
        try {
            sessionStorage.setItem(KEY, JSON.stringify({ ...opened(), [id]: new URL(address).origin }));
        } catch {
            // the browser stores nothing: the console offers no start
        }
    }

    /* Answer a console: by which action its server can be started, or whether the start has begun. */
    async answer({ data, source, origin }, id) {
        const reply = (list) => source.postMessage({ list }, origin);
        try {
            if (data.console === 'off') {
                reply(startOf((await this.api.server(id)).status)?.name ?? 'nothing');
            } else if (data.console === 'start') {
                reply(await this.start(id) ? 'begun' : 'failed');
            }
        } catch {
            reply('nothing'); // its state is not known
        }
    }

    /* Start a server; resolves to whether it begins to run. */
    async start(id) {
        try {
            const { status } = await this.api.server(id);
            const action = startOf(status);
            if (action) {
                await this.api.power(id, action.body);
            }
            return true; // without an action: it is neither off nor suspended
        } catch (error) {
            this.failed(error);
            return false;
        }
    }
}

function opened() {
    try {
        return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
    } catch {
        return {};
    }
}
