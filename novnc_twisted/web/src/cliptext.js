/*
 * Which texts a server's clipboard accepts.
 */

/* Bytes that the proxy accepts, as QEMU does (MAX_CUT_TEXT in novnc_twisted/rfb/client_messages.py). */
export const LIMIT = 1 << 20;
const EXTENDED_OVERHEAD = 5; // bytes: the length before the text, and a NUL after it

/** A text without lone surrogates, which UTF-8 cannot encode. */
export const wellFormed = (text) => text.replace(/\p{Surrogate}/gu, '\ufffd');

/**
 * Why a text cannot be put on the server's clipboard, or null if it can.
 *
 * @param {boolean} extended  whether the server has the extended clipboard; otherwise it is Latin-1 (RFC 6143, 7.5.6)
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
