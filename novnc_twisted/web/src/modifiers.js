/*
 * Modifiers that stay down until they are released: one state for the key panel, the key row and the chips in the bar.
 */
import { HOLD } from './keys.js';
import { button } from './page.js';
import { say } from './strings.js';

export class Modifiers {
    /** @param {Typist} typist   @param {Chips} chips */
    constructor(typist, chips) {
        this._typist = typist;
        this._chips = chips;
        this._buttons = new Map(HOLD.map(({ name }) => [name, []]));
        this._held = new Set(); // names
    }

    /** A button that presses a modifier, and at the next click releases it. */
    button(name) {
        const toggle = button(name, () => this._set(name, !this._held.has(name)));
        toggle.setAttribute('aria-pressed', String(this._held.has(name)));
        this._buttons.get(name).push(toggle);
        return toggle;
    }

    /** Release all, after the queued keys. */
    release() {
        [...this._held].forEach((name) => this._set(name, false));
    }

    /** Release all now, and discard the queued keys: call this when the server receives no further keys. */
    releaseNow() {
        this.release();
        this._typist.stop();
    }

    _set(name, down) {
        const { key } = HOLD.find((each) => each.name === name);
        this._show(name, down);
        this._typist.hold(key, down, () => down && this._show(name, false));
    }

    _show(name, down) {
        if (down) {
            this._held.add(name);
            this._chips.show(name, say.held({ name }), say.release({ name }), () => this._set(name, false));
        } else {
            this._held.delete(name);
            this._chips.hide(name);
        }
        this._buttons.get(name).forEach((toggle) => toggle.setAttribute('aria-pressed', String(down)));
    }
}
