/*
 * The panel "Who is here": people, control, and a link for a guest.  The proxy decides; the page shows and asks.
 */
import { clean } from './refusals.js';
import { shareURL } from './location.js';
import { $, button, keepingFocus, label } from './page.js';
import { language, say, text } from './strings.js';
import { actions, changes, REASONS } from './who.js';

const NAME = 64; // characters of a name that is shown
const TIMES = [5, 15, 60, 240]; // minutes

export class People {
    /**
     * @param {Session} session  gives `tell(message)`; its messages come to `receive`
     * @param {View} view  is limited by the rights of the session
     * @param {Toolbar} toolbar
     */
    constructor(session, view, toolbar) {
        this._session = session;
        this._view = view;
        this._toolbar = toolbar;
        this._rights = null; // null: the proxy has no channel for this
        this._list = null;
        this._asking = []; // the sessions that ask for control; the page shows the first
        for (const id of ['request', 'take', 'release']) {
            $(`${id}-control`).addEventListener('click', () => session.tell({ type: id }));
        }
        $('asked-give').addEventListener('click', () => this._answer(true));
        $('asked-not').addEventListener('click', () => this._answer(false));
        $('share-time').append(...TIMES.map((minutes) => new Option(duration(minutes), minutes * 60)));
        $('share-form').addEventListener('submit', (event) => this._share(event));
        $('share-copy').addEventListener('click', () => this._copy());
    }

    /** Handle a message of the proxy, except the answers to `power` and `state`. */
    receive(message) {
        if (['power', 'state'].includes(message.of)) {
            return;
        }
        const handler = {
            rights: this._haveRights, people: this._havePeople, asked: this._isAsked,
            done: this._isDone, refused: this._isRefused, link: this._haveLink,
        }[message.type];
        handler?.call(this, message);
    }

    /** The session has ended: forget its people. */
    ended() {
        this._rights = this._list = null;
        this._ask([]);
        $('shared').hidden = true;
        $('shared-link').value = '';
        $('people-note').textContent = '';
        this._view.limit({ mode: 'control', resizes: true });
        this._render();
    }

    _haveRights(rights) {
        const before = this._rights;
        this._rights = rights;
        this._view.limit(rights);
        if (before && before.mode !== rights.mode) {
            this._announce(rights.mode === 'control' ? text.gotControl : text.lostControl);
            this._note(''); // the note was about the control that has just changed
        }
        if (rights.mode !== 'control') {
            this._ask([]);
        }
        this._render();
    }

    _havePeople(list) {
        const { joined, left } = changes(this._list, list);
        this._list = list;
        const said = [...joined.map((one) => say.joined({ name: nameOf(one) })), ...left.map((one) => say.left({ name: nameOf(one) }))];
        if (said.length) {
            this._announce(said.join('. '));
        }
        this._ask(this._asking);
        this._render();
    }

    _isAsked({ id }) {
        this._ask([...new Set([...this._asking, id])]); // last, so that a click answers the question that was shown
    }

    _isDone({ of }) {
        this._note(of === 'request' ? text.asked : '');
    }

    _isRefused({ reason }) {
        this._note(text[REASONS[reason]] ?? text.peopleFailed);
    }

    _haveLink({ token, seconds }) {
        this._note('');
        $('shared').hidden = false;
        $('shared-link').value = shareURL(location.href, token);
        const until = new Date(Date.now() + seconds * 1000);
        const time = until.toLocaleTimeString(language, { hour: 'numeric', minute: '2-digit' });
        $('shared-until').textContent = say.shareUntil({ time });
        $('shared-link').select();
        $('share-copy').focus();
    }

    _share(event) {
        event.preventDefault();
        this._session.tell({ type: 'share', mode: $('share-mode').value, seconds: Number($('share-time').value) });
    }

    async _copy() {
        $('shared-link').select();
        try {
            await navigator.clipboard.writeText($('shared-link').value);
            this._note(text.copied);
        } catch {
            this._note(text.copyFailed); // no https, or not allowed
        }
    }

    /* Set the sessions that ask for control, without those that have left. */
    _ask(ids) {
        const people = ids.map((id) => this._list?.people.find((one) => one.id === id)).filter(Boolean);
        this._asking = people.map(({ id }) => id);
        const [person] = people;
        const words = person ? say.asks({ name: nameOf(person) }) : '';
        $('asked').hidden = !person;
        if ($('asked-words').textContent !== words) { // screen readers read the text when it changes
            $('asked-words').textContent = words;
        }
    }

    _answer(yes) {
        const [id, ...others] = this._asking;
        if (yes) {
            this._session.tell({ type: 'give', id });
        }
        this._ask(yes ? [] : others); // after giving control, the user has none to give
        this._toolbar.leave();
    }

    _render() {
        const known = Boolean(this._rights && this._list);
        $('people').hidden = !known;
        if (!known) {
            this._toolbar.closePanel('people');
            return;
        }
        const { people, more } = this._list;
        const count = people.length + more;
        label($('people'), say.peopleCount({ count }));
        $('people-count').textContent = count > 1 ? count.toLocaleString(language) : '';
        const can = actions(this._list, this._rights);
        keepingFocus($('panel-people'), $('people'), () => {
            $('people-list').replaceChildren(
                ...people.map((one) => this._row(one, can)), ...(more ? [item(say.more({ count: more }))] : []));
            for (const id of ['request', 'take', 'release']) {
                $(`${id}-control`).hidden = !can[id];
            }
            $('share-form').hidden = !this._rights.shares;
        });
        const [watch, control] = $('share-mode').options;
        control.disabled = this._rights.own !== 'control';
        watch.selected ||= control.disabled;
    }

    _row(person, can) {
        const own = person.id === this._list.you;
        const row = item('');
        const name = document.createElement('span');
        name.className = 'person';
        name.dir = 'auto';
        name.textContent = own ? text.you : nameOf(person);
        const what = document.createElement('span');
        what.className = 'hint';
        what.textContent = [person.administrator && !own && text.administrator, person.mode === 'control' ? text.hasControl : text.watches]
            .filter(Boolean).join(', ');
        row.append(name, what);
        if (can.give.includes(person.id)) {
            row.append(this._button(person, text.giveControl, { type: 'give', id: person.id }));
        }
        if (can.stop.includes(person.id)) {
            row.append(this._button(person, text.takeControl, { type: 'take', id: person.id }));
        }
        return row;
    }

    _button(person, words, message) {
        const made = button(words, () => this._session.tell(message));
        made.dataset.key = `${message.type} ${person.id}`;
        made.setAttribute('aria-label', `${words}: ${nameOf(person)}`);
        return made;
    }

    _announce(words) {
        $('people-said').textContent = words;
    }

    _note(words) {
        $('people-note').textContent = words;
    }
}

function nameOf({ name, guest }) {
    const shown = clean(name, NAME);
    if (guest) {
        return shown ? say.guestOf({ name: shown }) : text.guest;
    }
    return shown || text.somebody;
}

function item(words) {
    const element = document.createElement('li');
    element.textContent = words;
    return element;
}

/* "15 minutes", "4 hours" */
function duration(minutes) {
    const [value, unit] = minutes < 60 ? [minutes, 'minute'] : [minutes / 60, 'hour'];
    return value.toLocaleString(language, { style: 'unit', unit, unitDisplay: 'long' });
}
