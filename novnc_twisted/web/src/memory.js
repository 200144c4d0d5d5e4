/*
 * What the browser remembers for the next visit.
 */
const PREFIX = 'novnc_twisted.';

/** The value, or null. */
export function remembered(name) {
    try {
        return localStorage.getItem(PREFIX + name);
    } catch {
        return null; // the browser stores nothing
    }
}

export function remember(name, value) {
    try {
        localStorage.setItem(PREFIX + name, value);
    } catch {
        // the browser stores nothing: the choice is valid for this visit only
    }
}
