/*
 * Which texts a server's clipboard can take.  Pure.
 */

/* Bytes: what the proxy takes, and QEMU itself (MAX_CUT_TEXT in novnc_twisted/rfb/client_messages.py). */
export const LIMIT = 1 << 20;
const EXTENDED_OVERHEAD = 5; // bytes: the text's length before it, and a NUL behind it

/** A text without lone halves of surrogate pairs, which no encoding can carry. */
export const wellFormed = (text) => text.replace(/\p{Surrogate}/gu, '\ufffd');

/**
 * Why a text cannot be put on the server's clipboard, or null if it can.
 *
 * @param {boolean} extended  whether the server has the extended clipboard; else its clipboard is Latin-1 (RFC 6143, 7.5.6)
 * @param {number} most  bytes
 * @returns {null|{why: 'empty'}|{why: 'long', bytes: number}|{why: 'foreign', count: number}}
 */
export function obstacle(text, extended, most = LIMIT) {
    if (!text) {
        return { why: 'empty' };
    }
    const foreign = extended ? 0 : [...text].filter((character) => character > '\xff').length;
    if (foreign) {
        return { why: 'foreign', count: foreign };
    }
    const bytes = extended
        ? new TextEncoder().encode(text.replace(/\r\n|\r|\n/g, '\r\n')).length + EXTENDED_OVERHEAD
        : text.length;
    return bytes > most ? { why: 'long', bytes } : null;
}
