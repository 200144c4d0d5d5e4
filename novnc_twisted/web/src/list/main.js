/*
 * The page of servers.  Without this script it is a table; with it, tiles that live.
 */
import { Api } from './api.js';
import { ask, note } from './dialog.js';
import { follow } from './follow.js';
import { leave, List } from './list.js';
import { Pictures } from './pictures.js';
import { share } from './share.js';
import { Store } from './store.js';
import { say } from './words.js';

const base = document.body.dataset.base;
const root = document.getElementById('list');

/* Whether a window is new.  A console has another origin, so its address can't be read. */
function isBlank(view) {
    try {
        return view.location.href === 'about:blank';
    } catch {
        return false;
    }
}

if (root) {
    const api = new Api(base);
    const store = new Store();
    const failed = (error) => leave(base, error) || note(error.message);
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
            if (action.ask && !(await ask(say.question({ action: action.label, name: server.name }), action.consequence, action.label))) {
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
    new List(root, store, new Pictures(api, failed), run, base);
    const load = async () => {
        try {
            store.fill(...await Promise.all([api.servers(), api.sessions()]));
        } catch (error) {
            failed(error);
        }
    };
    follow(`${base}v1/events`, store, load);
}
