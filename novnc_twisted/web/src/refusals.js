/*
 * Why a connection ended, in words, and what the page does about it.  Pure.
 *
 * The codes are those of novnc_twisted/errors.py.  The sentence comes with the close frame; the ones here
 * stand in where it did not.
 */
import { refusals, lost } from './strings.js';

/* keep: the last picture may stay, dimmed. Where the right to look is over, it may not. */
const POLICY = {
    1000: { keep: true },
    1001: { auto: { first: 2000, giveUpAfter: 180000 }, keep: true },
    1002: {},
    1003: {},
    1009: {},
    4401: {},
    4403: {},
    4404: {},
    4408: {},
    4409: { keep: true },
    4410: {},
    4429: {},
    4502: { auto: { first: 4000, giveUpAfter: 20000 }, keep: true },
    4503: { auto: { first: 2000, giveUpAfter: 180000 }, keep: true },
    /* A console that closes may have moved (live migration ends the stream): look for it a few times. */
    4504: { auto: { first: 4000, giveUpAfter: 10000 }, keep: true },
};

const NETWORK = { auto: { first: 1000, giveUpAfter: 180000 }, keep: true };

/**
 * What to show and do when a connection ended.
 *
 * @param {{code: number, reason: string, opened: boolean, connected: boolean, before: boolean}} end
 *   `reason` is the close frame's, or the RFB failure's where there was no close frame; `connected`: this connection
 *   had a screen; `before`: an earlier one of this page had
 * @returns {{code: number, title: string, sentence: string, hint: string, keep: boolean,
 *   auto: {first: number, giveUpAfter: number}|null, retry: string}}
 */
export function describe({ code, reason = '', opened = false, connected = false, before = false }) {
    const words = refusals[code];
    const policy = POLICY[code];
    if (words && policy) {
        return {
            code,
            title: words.title,
            sentence: clean(reason) || words.sentence,
            hint: (before && !connected && words.again) || '',
            keep: Boolean(policy.keep),
            auto: policy.auto ?? null,
            retry: connected ? 'reconnect' : 'retry',
        };
    }
    if (clean(reason)) { // a failure that came without a code we know
        return { code, title: lost.refused, sentence: clean(reason), hint: '', keep: false, auto: null, retry: 'retry' };
    }
    const lostWords = opened ? lost.dropped : lost.unreachable;
    return { code, ...lostWords, hint: '', ...NETWORK, retry: opened ? 'reconnect' : 'retry' };
}

/** Text from outside, fit for one line: no control or direction-changing characters, not too long. */
export function clean(text, limit = 300) {
    const line = String(text ?? '').replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
    return line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}
