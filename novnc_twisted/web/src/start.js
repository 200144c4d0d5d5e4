/*
 * The button that starts a server that is off.  A console link cannot start a server.  So the page asks the list of
 * servers that opened this page, or that shows it in a frame.  The list starts the server if the user is allowed to.
 */
import { $ } from './page.js';
import { isPane } from './pane.js';
import { text } from './strings.js';

const NAME = /^console-([0-9a-f-]{36})$/; // of the window that the list opened (list/main.js)
const LATE = 10000; // ms for which the list may still see the state before the start

export class Start {
    /** @param {() => void} begun  called when the list has started the server */
    constructor(begun) {
        this._list = isPane() ? window.parent : window.opener;
        this._off = false;
        this._until = 0; // the time until which the server is being started
        this._begun = begun;
        $('start').addEventListener('click', () => this._start());
        addEventListener('message', ({ source, data }) => this._list && source === this._list && this._heard(data?.list));
    }

    /** The server is off: ask whether it can be started. */
    off() {
        this._off = true;
        this._tell('off');
    }

    /** The server is not known to be off any more. */
    over() {
        this._off = false;
        this._until = 0;
        this._show('', '');
    }

    /* A list that shows this page in a frame knows the server by the frame. A list that opened this window knows the
       server by its id, which is in the window's name. */
    _tell(message) {
        this._list?.postMessage({ console: message, server: NAME.exec(window.name)?.[1] }, '*');
    }

    _heard(answer) {
        const label = { start: text.startServer, resume: text.resumeServer }[answer];
        if (!this._off) {
            return;
        }
        if (answer === 'begun') {
            this._begun();
        } else if (answer === 'failed') {
            this._until = 0;
            this._show($('start').textContent, text.startFailed);
        } else if (Date.now() >= this._until) {
            const failed = $('start-note').textContent === text.startFailed;
            this._show(label, label && (failed ? text.startFailed : text.connectsThen));
        }
    }

    _start() {
        if (Date.now() >= this._until) {
            this._until = Date.now() + LATE;
            this._show($('start').textContent, text.startBegun);
            this._tell('start');
        }
    }

    /* Show the button with a label, and a sentence beside it. Without a label, show neither. */
    _show(label = '', note = '') {
        const focused = document.activeElement === $('start');
        $('start').hidden = !label;
        $('start').textContent = label;
        $('start').setAttribute('aria-disabled', String(Date.now() < this._until));
        $('card').classList.toggle('startable', Boolean(label));
        if ($('start-note').textContent !== note) { // screen readers read the text when it changes
            $('start-note').textContent = note;
        }
        if (focused && !label) {
            $('again').focus({ preventScroll: true });
        }
    }
}
