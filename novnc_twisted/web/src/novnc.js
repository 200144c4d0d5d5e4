/*
 * What the page uses of noVNC's RFB object that has no public name there.
 *
 * package.json pins noVNC's version, and the tests of tests/web that use these functions fail if a name is missing.
 */

/**
 * Send a key event, after noVNC has adjusted the server's Caps Lock, if its state is known (QEMU sends it).
 *
 * This is the function that noVNC's own keyboard calls.  `capsLock`: whether Caps Lock has to be on for this key;
 * null: it does not matter.
 */
export function sendKey(rfb, keysym, code, down, capsLock) {
    rfb._handleKeyEvent(keysym, code, down, null, capsLock);
}

/** Release on the server the keys that are held down when the screen loses the focus. */
export function releaseOnBlur(rfb, canvas) {
    canvas.addEventListener('blur', () => rfb._keyboard._allKeysUp());
}

/** Whether the server takes any text on its clipboard (extended clipboard); without that it is Latin-1 only. */
export function hasExtendedClipboard(rfb) {
    const TEXT = 1;
    const NOTIFY = 1 << 27;
    return Boolean(rfb._clipboardServerCapabilitiesFormats[TEXT] && rfb._clipboardServerCapabilitiesActions[NOTIFY]);
}
