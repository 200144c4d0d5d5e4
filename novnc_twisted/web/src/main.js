/*
 * The console page: connects by itself, keeps connected, and says why when it can't.
 */
import { initLogging } from '../node_modules/@novnc/novnc/core/util/logging.js';
import { Card } from './card.js';
import { Clipboard } from './clipboard.js';
import { Connection } from './connection.js';
import { KeyPanel } from './keypanel.js';
import { socketURL, viewOptions } from './location.js';
import { $, fillIn } from './page.js';
import { Backoff } from './reconnect.js';
import { clean, describe } from './refusals.js';
import { say, text } from './strings.js';
import { Toolbar } from './toolbar.js';
import { TouchKeyboard } from './touch.js';
import { touch, View } from './view.js';

const PROVEN = 10000; // ms that a connection lives before earlier failures are forgotten

const options = viewOptions(location.href);
initLogging(options.logging); // a refusal is no error of the page: it is told on the card

let connection = null;
let timer = null; // of the countdown
let proven = null; // timer
let before = false; // was there a screen since the page was opened?
const backoff = new Backoff();

const screen = {
    get live() {
        return Boolean(connection?.connected) && !connection.rfb.viewOnly;
    },
    sendKey(keysym, code, down) {
        if (!screen.live) {
            return false;
        }
        connection.rfb.sendKey(keysym, code, down);
        return true;
    },
    paste(words) {
        if (!screen.live) {
            return false;
        }
        connection.rfb.clipboardPasteFrom(words);
        return true;
    },
    focus() {
        if (touchKeyboard.wanted) {
            touchKeyboard.show();
        } else {
            connection?.rfb.focus({ preventScroll: true });
        }
    },
};

fillIn();
const toolbar = new Toolbar(() => screen.focus());
const view = new View(options, (changed) => {
    if (changed.viewOnly) {
        keyPanel.release();
    }
    connection?.show(changed);
    setState($('bar').dataset.state);
}, toolbar);
const keyPanel = new KeyPanel(screen, () => toolbar.closePanels());
const clipboard = new Clipboard(screen);
const touchKeyboard = new TouchKeyboard($('field'), screen.sendKey, () => clipboard.layout);
const card = new Card({ again: connect, cancel: stopTrying });
toolbar.onopen = (id) => id === 'clipboard' && clipboard.seen();

function setState(state) {
    document.body.dataset.state = state;
    $('bar').dataset.state = state;
    const words = {
        connecting: before ? text.reconnecting : text.connecting,
        connected: view.viewOnly ? text.viewOnlyState : text.connected,
    }[state] ?? text[state];
    if ($('state').textContent !== words) { // it is read out when it changes
        $('state').textContent = words;
    }
    keyPanel.enable(screen.live);
    clipboard.enable(screen.live);
    $('connect').textContent = ['connecting', 'connected'].includes(state) ? text.disconnect : text.reconnect;
}

function connect() {
    clearInterval(timer);
    card.hide();
    connection?.close();
    const attempt = new Connection($('stage'), socketURL(location.href), view);
    connection = attempt;
    attempt.addEventListener('connect', connected);
    attempt.addEventListener('end', ({ detail }) => connection === attempt && ended(detail));
    attempt.addEventListener('name', ({ detail }) => named(detail));
    attempt.addEventListener('clipboard', ({ detail }) => clipboard.receive(detail));
    attempt.addEventListener('clipping', ({ detail }) => view.clipping(detail));
    setState('connecting');
}

function connected() {
    setState('connected');
    showStill(null);
    const canvas = $('stage').querySelector('canvas');
    canvas.setAttribute('role', 'application');
    canvas.setAttribute('aria-label', text.screen);
    canvas.setAttribute('aria-description', text.screenHelp);
    canvas.tabIndex = 0;
    connection.rfb.focusOnClick = !touchKeyboard.wanted;
    before = true;
    proven = setTimeout(() => backoff.reset(), PROVEN);
    if (unfocused()) {
        screen.focus();
    }
}

/* Nobody is in the middle of anything elsewhere on the page. */
function unfocused() {
    const active = document.activeElement;
    return !active || active === document.body || $('stage').contains(active);
}

function named(raw) {
    const name = clean(raw, 120) || text.console;
    $('name').textContent = name;
    $('name').title = name;
    document.title = say.title(name);
}

function ended(end) {
    clearTimeout(proven);
    const why = describe({ ...end, before });
    showStill(why.keep && end.connected ? connection.rfb : undefined, !why.keep);
    const wait = why.auto && backoff.next(why.auto);
    const focus = unfocused();
    card.show(why, { waiting: Boolean(wait) });
    if (focus) {
        card.focus();
    }
    if (wait) {
        setState('waiting');
        countDown(Date.now() + wait);
    } else {
        if (why.auto) {
            card.gaveUp();
        }
        backoff.reset();
        setState(end.connected || end.code === 1000 ? 'disconnected' : 'refused');
    }
}

function countDown(at) {
    const tick = () => {
        const left = at - Date.now();
        if (left <= 0) {
            connect();
        } else {
            card.countdown(Math.ceil(left / 1000));
        }
    };
    clearInterval(timer);
    timer = setInterval(tick, 250);
    tick();
}

function stopTrying() {
    clearInterval(timer);
    ended({ code: 1000, reason: '', opened: false, connected: false });
}

/* The last picture stays behind the card, dimmed, so that people know where they were: rfb takes it,
   null lets it go, undefined leaves it unless it must not stay. */
function showStill(rfb, mustGo = false) {
    const still = $('still');
    if (rfb === null || mustGo) {
        still.hidden = true;
        still.removeAttribute('src');
    } else if (rfb) {
        still.src = rfb.toDataURL('image/png');
        still.hidden = false;
    }
}

$('touch').hidden = !touch;
$('touch').addEventListener('click', () => {
    if (touchKeyboard.wanted) {
        touchKeyboard.hide();
    } else {
        touchKeyboard.show();
    }
    $('touch').setAttribute('aria-pressed', String(touchKeyboard.wanted));
    if (connection) {
        connection.rfb.focusOnClick = !touchKeyboard.wanted; // a tap on the screen keeps the keyboard
    }
});
$('connect').addEventListener('click', () => {
    toolbar.closePanels();
    if (connection?.connected || document.body.dataset.state === 'connecting') {
        connection.close();
    } else {
        backoff.reset();
        connect();
    }
});
/* The network is back, or the person is: no need to wait any longer, and reason to ask who is still there. */
function awake() {
    if (document.body.dataset.state === 'waiting') {
        connect();
    } else {
        connection?.probe();
    }
}
window.addEventListener('online', awake);
document.addEventListener('visibilitychange', () => !document.hidden && connection?.probe());

connect();
