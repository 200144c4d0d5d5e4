/*
 * The console as one of several side by side, in the page of list/split.js.
 */
import { framed } from './own_window.js';

/** The fragment in the address of a console in that page. */
export const PANE = '#pane';

/** Whether the page is one of several consoles in another page. */
export const isPane = () => framed && location.hash === PANE;

/**
 * Send the parent page the state of the console, and a message when this page gets the focus, or when F6 asks for the
 * next console.
 *
 * The parent page can have any origin.  It receives nothing else, except the messages of start.js.
 *
 * @param {EventTarget} session
 * @param {Function} focus  gives the focus to the screen
 */
export function joinPanes(session, focus) {
    if (!isPane()) {
        return;
    }
    document.body.classList.add('pane');
    const tell = (message) => window.parent.postMessage({ console: message }, '*');
    tell('here');
    session.addEventListener('state', () => tell(document.body.dataset.state));
    addEventListener('focus', () => tell('focused'));
    addEventListener('keydown', (event) => {
        if (event.key === 'F6' && document.activeElement?.tagName !== 'CANVAS') {
            event.preventDefault();
            focus(); // for the time when the focus comes back
            tell(event.shiftKey ? 'previous' : 'next');
        }
    });
}
