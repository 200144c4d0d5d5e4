/*
 * The panel of keys: modifiers that stay down, and combinations.
 */
import { COMBINATIONS, CONSOLES, CTRL_ALT_DEL, HOLD, SYSRQS, strokes } from './keys.js';
import { $, button } from './page.js';

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

    enable(on) {
        if (!on) { // a new connection begins with no key down
            this._held.forEach((key, toggle) => toggle.setAttribute('aria-pressed', 'false'));
            this._held.clear();
        }
        $('panel-keys').querySelectorAll('button').forEach((each) => {
            each.disabled = !on;
        });
        $('cad').disabled = !on;
    }

    _fill(group, combinations) {
        $(group).append(...combinations.map(({ name, keys }) => button(name, () => this._press(keys))));
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
