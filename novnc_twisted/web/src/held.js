/*
 * Keys that are held down: the browser repeats a key wherever the focus is by then, also in another page.
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
    }, true); // before noVNC's own
    element.addEventListener('blur', () => pressed.clear());
}

/** Let a press of Enter act once: a browser clicks a button again at each repeat, also one that has just got the focus. */
export function enterOnce() {
    addEventListener('keydown', (event) => {
        if (event.repeat && event.key === 'Enter' && event.target.tagName !== 'TEXTAREA') {
            event.preventDefault();
        }
    });
}
