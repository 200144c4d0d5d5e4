/*
 * Uses of private members of noVNC's RFB object.
 *
 * package.json pins noVNC's version, and the tests of tests/web that use these functions fail if a name is missing.
 */

/**
 * Send a key event.  noVNC first adjusts the server's Caps Lock if the server reports its state (QEMU does).
 *
 * This is the function that noVNC's own keyboard calls.  `capsLock`: whether Caps Lock has to be on for this key;
 * null: it does not matter.
 */
export function sendKey(rfb, keysym, code, down, capsLock) {
    rfb._handleKeyEvent(keysym, code, down, null, capsLock);
}

/** When the screen loses the focus, release on the server the keys that are held down. */
export function releaseOnBlur(rfb, canvas) {
    canvas.addEventListener('blur', () => rfb._keyboard._allKeysUp());
}

/** Whether the server has the extended clipboard, which accepts any text, not only Latin-1. */
export function hasExtendedClipboard(rfb) {
    const TEXT = 1;
    const NOTIFY = 1 << 27;
    return Boolean(rfb._clipboardServerCapabilitiesFormats[TEXT] && rfb._clipboardServerCapabilitiesActions[NOTIFY]);
}
