/*
 * Why a connection ended, in words, and what the page does about it.
 *
 * The codes are those of novnc_twisted/errors.py.  The sentence is that of the close frame or, without one, that of the
 * RFB failure.  If there is no sentence, the page uses that of strings.js.
 */
import { lost, refusals, translated } from './strings.js';

/*
 * auto: how the page retries automatically, as arguments of `Backoff.next`.
 * newLink: whether only a new link helps.
 * keep: whether the last picture may stay, dimmed. It may not if the user no longer has the right to see it.
 */
const POLICY = {
    1000: { keep: true },
    1001: { auto: { first: 1000, giveUpAfter: 300000 }, keep: true },
    1002: {},
    1003: {},
    1009: {},
    4401: { newLink: true },
    4403: {},
    4404: {},
    4408: { newLink: true },
    /* The server is off: the page connects when it is started, as long as the link is good. */
    4409: { auto: { poll: true }, keep: true },
    4410: { newLink: true },
    4429: {},
    /* After a live migration, the new host may not be known yet. */
    4502: { auto: { first: 1000, giveUpAfter: 30000 }, keep: true },
    4503: { auto: { first: 1000, giveUpAfter: 300000 }, keep: true },
    /* A console that closes may have moved (live migration ends the stream): look for it soon, and a few times. */
    4504: { auto: { first: 500, giveUpAfter: 10000 }, keep: true },
};

const NETWORK = { auto: { first: 1000, giveUpAfter: 300000 }, keep: true };

/**
 * What to show and do when a connection ended.
 *
 * @param {{code: number, reason: string, opened: boolean, connected: boolean}} end
 *   `reason` is that of the close frame, or that of the RFB failure if there was no close frame; `connected`: this
 *   connection had a screen
 * @param {{token: boolean, ownWindow: boolean, before: boolean, restarted: boolean, previous: number|null}} past
 *   `token`: the page's address has one; `ownWindow`: the console page opened this one in a window of its own;
 *   `before`: an earlier connection of this page had a screen; since then, `restarted`: the service was stopping or out
 *   of reach, `previous`: the code of the last `end`
 * @returns {{code: number, title: string, sentence: string, hint: string, keep: boolean,
 *   newLink: boolean, auto: {poll?: boolean, first?: number, giveUpAfter?: number}|null, retry: string}}
 */
export function describe({ code, reason = '', opened = false, connected = false }, past = {}) {
    const words = refusals[code];
    const policy = POLICY[code];
    if (code === 4401 && past.token === false) {
        return { code, ...lost.noToken, hint: '', keep: false, newLink: true, auto: null, retry: 'retry' };
    }
    if (words && policy) {
        return {
            code,
            title: words.title,
            sentence: translated(clean(reason) || words.sentence),
            hint: hint(code, words, connected, past),
            keep: Boolean(policy.keep),
            newLink: Boolean(policy.newLink),
            auto: policy.auto ?? null,
            retry: connected ? 'reconnect' : 'retry',
        };
    }
    if (clean(reason)) { // a failure without a known code
        return { code, title: lost.refused, sentence: translated(clean(reason)), hint: '', keep: false, newLink: false, auto: null, retry: 'retry' };
    }
    const lostWords = opened ? lost.dropped : lost.unreachable;
    return { code, ...lostWords, hint: '', newLink: false, ...NETWORK, retry: opened ? 'reconnect' : 'retry' };
}

function hint(code, words, connected, { before, restarted, previous, ownWindow }) {
    if (code !== 4401) {
        return words.hint ?? '';
    }
    if (previous === 4409) {
        return words.waited;
    }
    if (restarted) {
        return words.restarted;
    }
    if (ownWindow && !before) {
        return words.ownWindow;
    }
    return before && !connected ? words.again : '';
}

/** Text from outside, fit for one line: no control or direction-changing characters, not too long. */
export function clean(text, limit = 300) {
    const line = String(text ?? '').replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
    return line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}
