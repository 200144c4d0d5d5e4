/*
 * The panel of keys: modifiers that stay down, and combinations.
 */
import { COMBINATIONS, CONSOLES, CTRL_ALT_DEL, HOLD, SYSRQS, strokes } from './keys.js';
import { $, button, label } from './page.js';

export class KeyPanel {
    /** @param {{sendKey: Function, focus: () => void}} screen   @param {() => void} close  the panel */
    constructor(screen, close) {
        this._screen = screen;
        this._close = close;
        this._held = new Map();
        for (const { name, key } of HOLD) {
            const toggle = button(name, () => this._hold(toggle, key));
            toggle.setAttribute('aria-pressed', 'false');
            $('hold').append(toggle);
        }
        this._fill('press', COMBINATIONS);
        this._fill('consoles', CONSOLES);
        this._fill('sysrq', SYSRQS);
        $('cad').addEventListener('click', () => this._press(CTRL_ALT_DEL));
    }

    /** Let go of what is held down. */
    release() {
        this._held.forEach((key, toggle) => {
            toggle.setAttribute('aria-pressed', 'false');
            this._screen.sendKey(...key, false); // where nobody is connected any more, nothing is down either
        });
        this._held.clear();
    }

    enable(on) {
        if (!on) {
            this.release();
        }
        $('panel-keys').querySelectorAll('button').forEach((each) => {
            each.disabled = !on;
        });
        $('cad').disabled = !on;
    }

    _fill(group, combinations) {
        for (const { name, means, keys } of combinations) {
            const key = button(name, () => this._press(keys));
            if (means) {
                label(key, `${name}: ${means}`);
            }
            $(group).append(key);
        }
    }

    _press(keys) {
        strokes(keys).forEach((event) => this._screen.sendKey(...event));
        this._close();
        this._screen.focus();
    }

    _hold(toggle, key) {
        const down = !this._held.has(toggle);
        if (down) {
            this._held.set(toggle, key);
        } else {
            this._held.delete(toggle);
        }
        toggle.setAttribute('aria-pressed', String(down));
        this._screen.sendKey(...key, down);
    }
}
