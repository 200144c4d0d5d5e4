/*
 * Keys that are held down: the browser sends the repeats of a key to the focused element, also in a new page.
 */

/** Let an element receive the repeats of a key only if the key was pressed there. */
export function ownRepeats(element) {
    const pressed = new Set();
    element.addEventListener('keydown', (event) => {
        if (!event.repeat) {
            pressed.add(event.code);
        } else if (!pressed.has(event.code)) {
            event.preventDefault();
            event.stopImmediatePropagation();
        }
    }, true); // before noVNC's listener
    element.addEventListener('blur', () => pressed.clear());
}

/** Ignore repeats of Enter: each would click the focused button, also one that got the focus after the press. */
export function enterOnce() {
    addEventListener('keydown', (event) => {
        if (event.repeat && event.key === 'Enter' && event.target.tagName !== 'TEXTAREA') {
            event.preventDefault();
        }
    });
}
