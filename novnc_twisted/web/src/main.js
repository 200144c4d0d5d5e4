/*
 * The console page: connects automatically, stays connected, and reports why if it cannot.
 */
import { initLogging } from '../node_modules/@novnc/novnc/core/util/logging.js';
import { Awake } from './awake.js';
import { Bell } from './bell.js';
import { brand } from './branding.js';
import { Chips } from './chips.js';
import { Clipboard } from './clipboard.js';
import { enterOnce, ownRepeats } from './held.js';
import { Info } from './info.js';
import { KeyPanel } from './keypanel.js';
import { KeyRow } from './keyrow.js';
import { offerLanguages } from './languages.js';
import { viewOptions } from './location.js';
import { Modifiers } from './modifiers.js';
import { hasExtendedClipboard, releaseOnBlur, sendKey } from './novnc.js';
import { framed, OwnWindow } from './own_window.js';
import { $, fillIn } from './page.js';
import { joinPanes } from './pane.js';
import { keepSharp, save } from './picture.js';
import { People } from './people.js';
import { Power } from './power.js';
import { Session } from './session.js';
import { Status } from './status.js';
import { text } from './strings.js';
import { waiter } from './timer.js';
import { Toolbar } from './toolbar.js';
import { TouchKeyboard } from './touch.js';
import { Typist } from './typist.js';
import { touch, View } from './view.js';
import { Zoom } from './zoom.js';

const options = viewOptions(location.href);
initLogging(options.logging); // by default nothing: noVNC logs a refusal as an error, but the card shows it

const screen = {
    get controlled() {
        return Boolean(session.connection?.connected) && !session.connection.rfb.viewOnly;
    },
    get live() {
        return screen.controlled && session.connection.live;
    },
    sendKey(keysym, code, down, capsLock = null) {
        if (!(down ? screen.live : screen.controlled)) { // keys can be released even while the console does not answer
            return false;
        }
        sendKey(session.connection.rfb, keysym, code, down, capsLock);
        return true;
    },
    get extendedClipboard() {
        return Boolean(session.connection?.connected) && hasExtendedClipboard(session.connection.rfb);
    },
    paste(words) {
        if (!screen.live) {
            return false;
        }
        session.connection.rfb.clipboardPasteFrom(words);
        return true;
    },
    focus() {
        if (touchKeyboard.wanted) {
            touchKeyboard.show();
        } else {
            session.connection?.rfb.focus({ preventScroll: true });
        }
    },
};

enterOnce();
fillIn();
offerLanguages($('language'), $('language-hint'));
brand();
const toolbar = new Toolbar(() => screen.focus());
const view = new View(options, (changed) => {
    if (changed.viewOnly) {
        modifiers.releaseNow();
    }
    if (!changed.scale || changed.resize) { // otherwise noVNC would request the size of the enlarged picture
        zoom.reset();
    }
    session.connection?.show(changed);
    session.refresh();
}, toolbar);
const status = new Status();
const session = new Session(status, view);
const bell = new Bell(status);
const awake = new Awake();
const info = new Info(() => session.connection);
const chips = new Chips(() => screen.focus());
new OwnWindow(chips);
const zoom = new Zoom($('stage'), view, chips);
const people = new People(session, view, toolbar);
const power = new Power(session, toolbar);
const typist = new Typist(screen.sendKey, waiter($('script').dataset.timer));
const modifiers = new Modifiers(typist, chips);
const keyPanel = new KeyPanel(typist, modifiers, keySent);
const keyRow = new KeyRow(typist, modifiers);
const clipboard = new Clipboard(screen, typist, modifiers, chips);
const touchKeyboard = new TouchKeyboard($('field'), typist, () => clipboard.layout);
toolbar.onopen = (id) => ({ clipboard, more: info, power })[id]?.opened();

/* Close the panels and give the focus to the screen. On a device with a touch screen, the panel stays open, because
   users of phones press several keys in a row. */
function keySent() {
    if (!touch) {
        toolbar.closePanels();
        screen.focus();
    }
}

session.addEventListener('state', () => {
    keyPanel.enable(screen.live);
    keyRow.enable(screen.controlled);
    if (!session.connection?.connected) {
        zoom.reset();
        view.ended();
        people.ended();
        power.ended();
    }
    clipboard.enable(screen.live);
    awake.connected = Boolean(session.connection?.connected);
    $('screenshot').disabled = !session.connection?.connected;
    $('connect').textContent = session.busy ? text.disconnect : text.reconnect;
});
session.addEventListener('connect', ({ detail }) => {
    const canvas = $('stage').querySelector('canvas');
    canvas.setAttribute('role', 'application');
    canvas.setAttribute('aria-label', text.screen);
    canvas.setAttribute('aria-description', text.screenHelp);
    canvas.tabIndex = 0;
    keepSharp(canvas);
    ownRepeats(canvas);
    releaseOnBlur(session.connection.rfb, canvas);
    session.connection.rfb.focusOnClick = !touchKeyboard.wanted;
    if (detail.focus) {
        screen.focus();
    }
});
session.addEventListener('message', ({ detail }) => {
    people.receive(detail);
    power.receive(detail);
    clipboard.limit(detail);
});
session.addEventListener('bell', () => bell.ring());
session.addEventListener('clipboard', ({ detail }) => clipboard.receive(detail));
session.addEventListener('clipping', ({ detail }) => view.clipping(detail));

$('touch').hidden = !touch;
$('touch').addEventListener('click', () => {
    if (touchKeyboard.wanted) {
        touchKeyboard.hide();
    } else {
        touchKeyboard.show();
    }
    $('touch').setAttribute('aria-pressed', String(touchKeyboard.wanted));
    $('keyrow').classList.toggle('wanted', touchKeyboard.wanted);
    if (session.connection) {
        session.connection.rfb.focusOnClick = !touchKeyboard.wanted; // a tap on the screen keeps the keyboard
    }
});
$('screenshot').addEventListener('click', () => save(session.connection.rfb, $('name').title));
$('connect').addEventListener('click', () => {
    toolbar.closePanels();
    session.toggle();
});
/* A click beside the buttons gives the focus to the screen, as dashboards tell users ("click the status bar"). */
$('bar').addEventListener('click', (event) => {
    if (!event.target.closest('button') && getSelection().isCollapsed) {
        screen.focus();
    }
});
/* A frame that gets the focus, by a click beside the screen or from the parent page, gives it to the screen. */
window.addEventListener('focus', () => framed && document.activeElement === document.body && screen.focus());
window.addEventListener('online', () => session.wake());
window.addEventListener('offline', () => session.connection?.probe());
document.addEventListener('visibilitychange', () => !document.hidden && session.wake());

/* Ctrl+W closes the tab if the page cannot keep this key for the server. So let the browser ask first while there is a
   session. Browsers ask only after the user has done something on the page; Chromium complains if a page tries before. */
window.addEventListener('beforeunload', (event) => {
    if (session.connection?.connected && navigator.userActivation?.hasBeenActive !== false) {
        event.preventDefault();
        event.returnValue = true; // for Chrome before 119
    }
});

joinPanes(session, () => screen.focus());
session.connect();
