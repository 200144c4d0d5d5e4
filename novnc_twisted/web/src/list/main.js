/*
 * The page of servers.  This script replaces the table of the HTML with tiles that follow each change.
 */
import { Api } from './api.js';
import { ask } from '../ask.js';
import { follow } from './follow.js';
import { enterOnce } from '../held.js';
import { leave, List } from './list.js';
import { note } from './note.js';
import { Pictures } from './pictures.js';
import { share } from './share.js';
import { showSplit } from './split.js';
import { Starter } from './starter.js';
import { Store } from './store.js';
import { say, text } from './words.js';

const base = document.body.dataset.base;
const root = document.getElementById('list');
const split = document.getElementById('split');

/* Whether a window is new.  A console has another origin, so its address can't be read. */
function isBlank(view) {
    try {
        return view.location.href === 'about:blank';
    } catch {
        return false;
    }
}

enterOnce();
const api = new Api(base);
const failed = (error) => leave(base, error) || note(error.message);
const starter = new Starter(api, failed);
starter.listen(); // also on a server's page, because the list's tab may show it now

if (split) {
    showSplit(split, api, base, starter);
}
if (root) {
    const store = new Store();
    const run = {
        async open(server) {
            // Opened before the answer: browsers block windows that are not opened by the click itself.
            const view = window.open('', `console-${server.id}`);
            const opened = view !== null && !isBlank(view);
            if (opened && store.users(server.id).length) {
                view.focus(); // a new address would end the session that lives there
                return;
            }
            try {
                const { url: address } = await api.link(server.id);
                starter.opened(server.id, address);
                if (view) {
                    view.location = address;
                } else {
                    location.href = address;
                }
            } catch (error) {
                if (!opened) {
                    view?.close();
                }
                failed(error);
            }
        },
        share(server) {
            share(server.name, (mode, seconds, once) => api.link(server.id, { mode, expires_in: seconds, one_time: once }),
                failed);
        },
        async power(server, action) {
            const question = say.question({ action: action.label, name: server.name });
            if (action.ask && !(await ask(question, action.consequence, action.label, text.cancelAction))) {
                return;
            }
            try {
                await api.power(server.id, action.body);
                note(say.report({ name: server.name, done: action.done }));
            } catch (error) {
                failed(error);
            }
        },
    };
    const rows = [...root.querySelectorAll('tbody > tr')].map((row) => ({
        host: null, project: null, ...row.dataset, name: row.querySelector('th').textContent,
    }));
    new List(root, store, new Pictures(api, failed), 'readsOnly' in root.dataset ? null : run, base);
    store.begin(rows);
    const load = async () => {
        try {
            await store.load(() => Promise.all([api.servers(), api.sessions()]));
        } catch (error) {
            failed(error);
        }
    };
    follow(`${base}v1/events`, store, load);
}
