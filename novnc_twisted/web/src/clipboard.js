/*
 * The clipboard panel: text for the server, to its clipboard or typed for it, and text from the server.
 */
import { LIMIT, obstacle, wellFormed } from './cliptext.js';
import { NAMES, spell } from './layouts.js';
import { remember, remembered } from './memory.js';
import { label, $ } from './page.js';
import { say, text } from './strings.js';

const LONGEST = 1 << 20; // characters kept of what a server puts on its clipboard

export class Clipboard {
    /**
     * @param {{paste: (words: string) => boolean, extendedClipboard: boolean}} screen
     * @param {Typist} typist   @param {Modifiers} modifiers   @param {Chips} chips
     */
    constructor(screen, typist, modifiers, chips) {
        this._screen = screen;
        this._typist = typist;
        this._modifiers = modifiers;
        this._chips = chips;
        this._typing = false;
        for (const [id, name] of NAMES) {
            $('layout').append(new Option(name, id));
        }
        // not guessed: the browser's language is no hint at the server's layout, and most servers use US
        this._chooseLayout(remembered('layout') ?? 'us');
        $('send').addEventListener('click', () => this._send());
        $('type').addEventListener('click', () => this._type());
        $('copy').addEventListener('click', () => this._copy());
        $('outgoing').addEventListener('input', () => this._judge());
        $('layout').addEventListener('change', () => {
            remember('layout', this.layout);
            this._judge();
        });
        this.enable(false);
    }

    get layout() {
        return $('layout').value;
    }

    enable(on) {
        this._on = on;
        $('send').disabled = !on;
        $('type').disabled = !on && !this._typing;
        if (!on) {
            this._typist.stop();
        }
    }

    /** Text came from the server. */
    receive(words) {
        $('incoming').value = words.slice(0, LONGEST);
        $('copied').textContent = '';
        if ($('panel-clipboard').hidden) {
            $('news').hidden = false;
            label($('clipboard'), text.clipboardNew);
        }
    }

    /** The panel was opened. */
    opened() {
        $('news').hidden = true;
        label($('clipboard'), text.clipboard);
        this._chips.hide('stopped');
    }

    _chooseLayout(id) {
        const known = NAMES.some(([each]) => each === id);
        $('layout').value = known ? id : 'us';
        $('typing').textContent = known ? '' : say.unknownLayout({ id });
    }

    /* Report what cannot be sent, before anything is sent. */
    _judge() {
        const words = $('outgoing').value;
        const unknown = spell(words, this.layout).filter(({ known }) => !known).length;
        const no = words ? obstacle(words, this._screen.extendedClipboard) : null;
        $('typing').textContent = [unknown && say.unknownCharacters({ count: unknown }), no && say[no.why]({ ...no, most: LIMIT })]
            .filter(Boolean).join(' ');
    }

    _send() {
        const words = wellFormed($('outgoing').value);
        const no = obstacle(words, this._screen.extendedClipboard);
        if (no) {
            $('typing').textContent = say[no.why]({ ...no, most: LIMIT });
        } else if (this._screen.paste(words)) {
            $('typing').textContent = text.sent;
        }
    }

    async _type() {
        if (this._typing) {
            this._stop();
            return;
        }
        const words = $('outgoing').value;
        if (!words) {
            $('typing').textContent = say.empty();
            return;
        }
        this._typing = true;
        this._stopped = false; // on purpose
        this._modifiers.release(); // with Ctrl held down, the letters would be commands
        $('type').textContent = text.stop;
        const progress = { done: 0, count: 0 };
        const all = await this._typist.type(words, this.layout, (done, count) => {
            Object.assign(progress, { done, count });
            if (done % 10 === 1 || done === count) {
                this._progress(done, count);
            }
        });
        this._typing = false;
        this._ended(all, progress);
    }

    /* Figures that change fast have no separators. */
    _progress(done, count) {
        $('typing').textContent = say.typing({ done: `${done}`, all: `${count}` });
        this._chips.show('typing', say.typingShort({ done: `${done}`, all: `${count}` }), text.stopTyping, () => this._stop());
    }

    _stop() {
        this._stopped = true;
        this._typist.stop();
    }

    _ended(all, { done, count }) {
        this._chips.hide('typing');
        $('type').textContent = text.type;
        $('type').disabled = !this._on;
        $('typing').textContent = all ? text.typed : say.stopped({ done: `${done}`, all: `${count}` });
        if (!all && !this._stopped && $('panel-clipboard').hidden) {
            this._chips.show('stopped', say.stoppedShort({ done: `${done}`, all: `${count}` }), text.dismiss, () => this._chips.hide('stopped'));
        }
    }

    async _copy() {
        const field = $('incoming');
        try {
            await navigator.clipboard.writeText(field.value); // only there over https and on loopback
            $('copied').textContent = text.copied;
        } catch {
            field.focus();
            field.select();
            $('copied').textContent = document.execCommand('copy') ? text.copied : text.copyFailed;
        }
    }
}
