/*
 * The button for a new window with the console: in a frame, and where the browser does not allow full screen.
 *
 * The frame keeps its own connection, because it cannot know whether the link opens a second one (`one_time`).  Over
 * https, it also cannot see whether the new window connects (Cross-Origin-Opener-Policy).
 */
import { ownWindowURL } from './location.js';
import { $ } from './page.js';
import { text } from './strings.js';

/** Whether the page is in a frame of another page. */
export const framed = window.self !== window.top;

const LEAST = { width: 640, height: 480 }; // CSS pixels; the bar needs room, too

export class OwnWindow {
    /** @param {Chips} chips  where the page says that the browser opened no window */
    constructor(chips) {
        this._chips = chips;
        document.body.classList.toggle('framed', framed);
        for (const id of ['own', 'own-too']) {
            $(id).hidden = !framed && document.fullscreenEnabled;
            $(id).addEventListener('click', () => this._open());
        }
    }

    _open() {
        this._chips.hide('own');
        if (!window.open(ownWindowURL(location.href), '_blank', features())) {
            this._chips.show('own', text.ownBlocked, text.dismiss, () => this._chips.hide('own'));
        }
    }
}

/* As large as the server's screen and the bar, if that fits on the user's screen. */
function features() {
    const { width, height } = $('stage').querySelector('canvas') ?? LEAST;
    const bar = Math.ceil($('bar').getBoundingClientRect().height);
    const across = Math.min(Math.max(width, LEAST.width), screen.availWidth);
    const down = Math.min(Math.max(height + bar, LEAST.height), screen.availHeight);
    return `popup,width=${across},height=${down}`;
}
