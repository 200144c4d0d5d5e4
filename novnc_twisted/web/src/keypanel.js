/*
 * The panel of keys: modifiers that stay down, and combinations.
 */
import { confirmed } from './confirm.js';
import { COMBINATIONS, CONSOLES, CTRL_ALT_DEL, DESTRUCTIVE, HOLD, SYSRQS } from './keys.js';
import { $, button } from './page.js';
import { text } from './strings.js';

export class KeyPanel {
    /**
     * @param {Typist} typist   @param {Modifiers} modifiers
     * @param {() => void} done  called after a combination was sent
     */
    constructor(typist, modifiers, done) {
        this._typist = typist;
        this._modifiers = modifiers;
        this._done = done;
        $('hold').append(...HOLD.map(({ name }) => modifiers.button(name)));
        this._fill('press', COMBINATIONS);
        this._fill('consoles', CONSOLES);
        this._fill('sysrq', SYSRQS);
        for (const { name, note, keys } of DESTRUCTIVE) {
            const key = keyButton(name, note);
            confirmed(key, name, () => this._press(keys));
            $('destructive').append(key);
        }
        confirmed($('cad'), text.cad, () => this._press(CTRL_ALT_DEL));
    }

    enable(on) {
        if (!on) {
            this._modifiers.releaseNow();
        }
        $('panel-keys').querySelectorAll('button').forEach((each) => {
            each.disabled = !on;
        });
        $('cad').disabled = !on;
    }

    _fill(group, combinations) {
        for (const { name, note, keys } of combinations) {
            const key = keyButton(name, note);
            key.addEventListener('click', () => this._press(keys));
            $(group).append(key);
        }
    }

    _press(keys) {
        this._typist.press([keys], null);
        this._done();
    }
}

/* A button with a name. `note`: the keys, in small letters beside the name, if the name does not contain them. */
function keyButton(name, note) {
    const key = button(name, () => {});
    if (note) {
        const small = document.createElement('small');
        small.textContent = note;
        key.append(small);
    }
    return key;
}
