/*
 * The life of the console: connects, notices when it does not answer, retries, and reports why it cannot connect.
 */
import { Advice } from './advice.js';
import { Card } from './card.js';
import { Connection } from './connection.js';
import { hasToken, isOwnWindow, socketURL, titleOf } from './location.js';
import { $ } from './page.js';
import { Paused } from './paused.js';
import { isPane } from './pane.js';
import { black } from './picture.js';
import { Backoff } from './reconnect.js';
import { clean, describe } from './refusals.js';
import { Start } from './start.js';
import { Starting } from './starting.js';
import { still } from './still.js';
import { lost, text } from './strings.js';

const BUSY = ['connecting', 'connected', 'stalled']; // states in which there is something to disconnect
const NAME = 120; // characters of a server's name that the page shows
const PROVEN = 10000; // ms that a connection lives before earlier failures are forgotten

/** Events: `connect`, `state`, `bell`; `clipboard` and `clipping` with noVNC's `detail`; `message` of the proxy. */
export class Session extends EventTarget {
    /** @param {Status} status   @param {View} view */
    constructor(status, view) {
        super();
        this.connection = null;
        this._status = status;
        this._view = view;
        this._card = new Card({ again: () => this.connect(), cancel: () => this._stopTrying() });
        this._backoff = new Backoff();
        this._timer = null; // of the countdown
        this._proven = null; // timer
        this._paused = new Paused((message) => this.tell(message), () => this.refresh());
        this._starting = new Starting(() => black($('stage').querySelector('canvas')), () => this.refresh());
        this._advice = new Advice(() => this._paused.go(), () => this.connection?.rfb.focus({ preventScroll: true }));
        this._start = new Start(() => this._hurry());
        this._gaveUp = false;
        this._quiet = false; // whether the page made the newest attempt by itself
        // what `describe` of refusals.js takes into account; `off` is for Starting
        this._past = {
            token: hasToken(location.href),
            ownWindow: isOwnWindow(location.href),
            before: false,
            off: false, // since the last session, the server was off
            restarted: false,
            previous: null,
        };
        this._title = clean(titleOf(location.href), NAME);
        if (this._title) {
            this._status.name = this._title;
        }
    }

    /** Whether there is something to disconnect. */
    get busy() {
        return BUSY.includes(this._status.state);
    }

    /** Connect. `quietly`: an automatic retry, which keeps the card until it succeeds or fails. */
    connect({ quietly = false } = {}) {
        clearInterval(this._timer);
        this._gaveUp = false;
        this._quiet = quietly;
        this._leave();
        const attempt = new Connection($('stage'), socketURL(location.href), this._view);
        this.connection = attempt;
        attempt.addEventListener('connect', () => this._connected());
        attempt.addEventListener('health', () => this._healthChanged());
        attempt.addEventListener('end', ({ detail }) => this.connection === attempt && this._ended(detail));
        attempt.addEventListener('name', ({ detail }) => {
            this._status.name = clean(detail, NAME) || this._title || text.console;
        });
        for (const type of ['bell', 'clipboard', 'clipping', 'message']) {
            attempt.addEventListener(type, ({ detail }) => this._emit(type, detail));
        }
        attempt.addEventListener('message', ({ detail }) => this._paused.receive(detail));
        if (quietly) {
            this._card.trying();
        } else {
            this._card.hide();
            this._set('connecting');
        }
    }

    /** Disconnect; or connect again if there is nothing to disconnect. */
    toggle() {
        if (this.busy) {
            this.connection.close();
        } else {
            this._backoff.reset();
            this.connect();
        }
    }

    /** The network changed, or the user is back: retry now, or check whether the session answers. */
    wake() {
        if (this._status.state === 'waiting' || this._gaveUp) {
            this.connect({ quietly: true });
        } else {
            this.connection?.probe();
        }
    }

    /** Send a message to the proxy. */
    tell(message) {
        this.connection?.tell(message);
    }

    /** Show the state again. */
    refresh() {
        this._set(this._status.state);
    }

    _set(state) {
        this._status.set(state, {
            connecting: this._past.before ? text.reconnecting : text.connecting,
            connected: this._connectedWords(),
            waiting: this._past.previous === 4409 ? text.notRunning : text.waiting,
        }[state] ?? text[state]);
        $('bar').dataset.server = state === 'connected' ? this._server : '';
        this._advise();
        this._emit('state');
    }

    /* What is known about the server: 'paused', 'starting', 'black', or ''. */
    get _server() {
        return this._paused.paused ? 'paused' : this._starting.stage;
    }

    _advise() {
        const { limited, viewOnly } = this._view;
        const { offers, busy, failed, guest } = this._paused;
        const paused = failed ? text.peopleFailed : offers ? text.pausedHint : limited || guest ? text.pausedAsk : text.pausedList;
        const server = $('bar').dataset.server;
        const words = { paused, starting: text.startingHint, black: viewOnly ? text.blankWatch : text.blankHint }[server] ?? '';
        this._advice.show(words, { offers: server === 'paused' && offers, busy });
    }

    _connectedWords() {
        const { limited, viewOnly } = this._view;
        if (this._server === 'paused' || this._server === 'starting') {
            return text[this._server];
        }
        const watching = limited ? text.mayWatch : viewOnly ? text.viewOnlyState : null;
        return watching ?? (this.connection?.unmoved ? text.unmoved : text.connected);
    }

    _connected() {
        this._start.over();
        this._starting.begin(this._past.off);
        Object.assign(this._past, { before: true, off: false, restarted: false, previous: null });
        const focus = unfocused();
        this._card.hide();
        still.drop();
        this._set('connected');
        this._proven = setTimeout(() => this._backoff.reset(), PROVEN);
        this._emit('connect', { focus });
    }

    /* A session that does not answer may still continue, so the screen stays, and keeps the focus. */
    _healthChanged() {
        this._paused.watch(this.connection.unmoved);
        if (this.connection.stalled) {
            this._card.show({ ...lost.stalled, hint: '', retry: 'reconnect' });
            this._set('stalled');
        } else {
            this._card.hide();
            this._set('connected');
        }
    }

    _ended(end) {
        clearTimeout(this._proven);
        this._starting.end();
        this._paused.reset();
        const past = this._past;
        const why = describe(end, past);
        const repeated = this._quiet && past.previous === why.code;
        past.restarted ||= why.code === 1001 || (why.code === 1006 && !end.opened);
        past.off ||= why.code === 4409;
        past.previous = why.code;
        this._start[why.code === 4409 ? 'off' : 'over']();
        if (!why.keep) {
            still.drop();
        } else if (end.connected) {
            still.take(this.connection.rfb);
        }
        const wait = why.auto && this._backoff.next(why.auto, why.code);
        this._card.show(why, { waiting: Boolean(wait) });
        if (wait) {
            this._set('waiting');
            this._countDown(Date.now() + wait, why.auto.poll);
        } else {
            this._gaveUp = Boolean(why.auto);
            if (this._gaveUp) {
                this._card.gaveUp();
            }
            this._backoff.reset();
            this._set(end.connected || end.code === 1000 ? 'disconnected' : 'refused');
        }
        if (!repeated && unfocused()) { // do not take the focus from a user who works elsewhere
            this._card.focus();
        }
    }

    /* The server is being started: try now, and then with short waits. */
    _hurry() {
        if (this._status.state === 'waiting') {
            this._backoff.reset();
            this.connect({ quietly: true });
        }
    }

    _countDown(at, silently) {
        const tick = () => {
            const left = at - Date.now();
            if (left <= 0) {
                this.connect({ quietly: true });
            } else {
                this._card.countdown(silently ? null : Math.ceil(left / 1000));
            }
        };
        clearInterval(this._timer);
        this._timer = setInterval(tick, Math.min(250, Math.max(50, (at - Date.now()) / 4)));
        tick();
    }

    _stopTrying() {
        clearInterval(this._timer);
        this._leave();
        this._ended({ code: 1000, reason: '', opened: false, connected: false });
    }

    /* Close the connection without showing its end. */
    _leave() {
        const { connection } = this;
        this.connection = null;
        if (connection?.connected) {
            still.take(connection.rfb);
        }
        clearTimeout(this._proven);
        this._starting.end();
        this._paused.reset();
        connection?.close();
    }

    _emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }
}

/* Whether the focus is on the stage, or on nothing usable: a button that was hidden or disabled keeps the focus. */
function unfocused() {
    if (isPane() && !document.hasFocus()) {
        return false; // the user works in another console beside this one
    }
    const active = document.activeElement;
    const usable = active && active !== document.body && active.getClientRects().length && !active.disabled;
    return !usable || $('stage').contains(active);
}
