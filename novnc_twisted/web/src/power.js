/*
 * The panel "Power": what can be done with the server in its present state.  The proxy decides; the page shows and asks.
 */
import { ask, INTERRUPTING } from './ask.js';
import { $, button, keepingFocus } from './page.js';
import { actions, say, text } from './strings.js';

const SETTLES = 1000; // ms after which an action shows in the state of the server
const REASONS = { forbidden: text.peopleForbidden, state: text.wrongState };

export class Power {
    /**
     * @param {Session} session  gives `tell(message)`; its messages come to `receive`
     * @param {Toolbar} toolbar
     */
    constructor(session, toolbar) {
        this._session = session;
        this._toolbar = toolbar;
        this._actions = null; // null: the state of the server is not known yet
        this._begun = ''; // the action that is not answered yet
        $('power-too').addEventListener('click', () => toolbar.toggle('power', true));
    }

    /** Handle a message of the proxy. */
    receive({ type, of, power, actions: offered, reason }) {
        if (type === 'rights') {
            this._offer(power === true);
        } else if (type === 'server') {
            this._show(offered ?? []);
        } else if (of === 'power' && this._begun) {
            this._answered(type === 'done', reason);
        }
    }

    /** The panel was opened: the server's state may have changed. */
    opened() {
        $('power-note').textContent = '';
        this._session.tell({ type: 'state' });
    }

    /** The session has ended: nothing can be asked for. */
    ended() {
        this._actions = null;
        this._begun = '';
        this._offer(false);
    }

    _offer(offered) {
        $('power').hidden = $('power-too').hidden = !offered;
        if (!offered) {
            document.querySelector('dialog.ask')?.close(); // as if the user had not agreed
            this._toolbar.closePanel('power');
        }
    }

    _show(offered) {
        const known = offered.filter((action) => Object.hasOwn(actions, action));
        if (known.join() === this._actions?.join()) {
            return; // a question about one of them may be open
        }
        this._actions = known;
        const panel = $('panel-power'); // it has the focus while there is no button in it
        const opened = document.activeElement === panel;
        keepingFocus($('power-actions'), panel, () => $('power-actions').replaceChildren(...known.flatMap((action) => this._row(action))));
        $('power-none').hidden = known.length > 0;
        if (opened) {
            $('power-actions').querySelector('button')?.focus();
        }
    }

    _row(action) {
        const { label, consequence } = actions[action];
        const made = button(label, () => this._act(action));
        made.dataset.key = action;
        const words = document.createElement('p');
        words.className = 'hint';
        words.id = `power-${action}`;
        words.textContent = consequence;
        made.setAttribute('aria-describedby', words.id);
        made.classList.toggle('interrupting', INTERRUPTING.includes(action));
        return [made, words];
    }

    async _act(action) {
        const { label, consequence } = actions[action];
        const question = say.question({ action: label, name: $('name').title });
        if (INTERRUPTING.includes(action) && !(await ask(question, consequence, label, text.cancelAction))) {
            return;
        }
        if (!this._begun) {
            this._begun = action;
            this._session.tell({ type: 'power', action });
        }
    }

    _answered(done, reason) {
        const words = say.report({ name: $('name').title, done: actions[this._begun].done });
        this._begun = '';
        $('power-note').textContent = done ? words : REASONS[reason] ?? text.peopleFailed;
        setTimeout(() => this._session.tell({ type: 'state' }), SETTLES);
    }
}
