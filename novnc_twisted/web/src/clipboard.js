/*
 * The clipboard panel: sends a text to the server's clipboard, or types it, and shows text from the server.
 */
import { LIMIT, obstacle, wellFormed } from './cliptext.js';
import { NAMES, spell } from './layouts.js';
import { remember } from './memory.js';
import { label, $ } from './page.js';
import { setting } from './site.js';
import { say, text } from './strings.js';

const LONGEST = 1 << 20; // maximum of characters shown of the server's clipboard

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
        this._most = LIMIT; // bytes that a text for the server can have; 0: no text is allowed
        for (const [id, name] of NAMES) {
            $('layout').append(new Option(name, id));
        }
        // not guessed: the browser's language does not show the server's layout, and most servers use US
        this._chooseLayout(setting('layout') ?? 'us');
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
        $('send').disabled = !on || !this._most;
        $('type').disabled = !on && !this._typing;
        if (!on) {
            this._typist.stop();
        }
    }

    /** Handle a message of the proxy: the operator can limit the text to the server and from it. */
    limit({ type, clipboard, clipboard_from: from }) {
        if (type !== 'rights') {
            return;
        }
        this._most = Math.min(clipboard ?? LIMIT, LIMIT);
        $('to-barred').hidden = this._most > 0;
        $('incoming').hidden = $('copy').hidden = from === 0;
        $('from-limit').hidden = (from ?? LIMIT) >= LIMIT;
        $('from-limit').textContent = from ? say.fromLimit({ most: from }) : text.fromBarred;
        $('send').disabled = !this._on || !this._most;
    }

    /** Show a text from the server. */
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
        this._say(unknown(words, this.layout), words && this._obstacle(words));
    }

    _send() {
        const words = wellFormed($('outgoing').value);
        const no = this._obstacle(words);
        if (no) {
            $('typing').textContent = no;
        } else if (this._screen.paste(words)) {
            $('typing').textContent = text.sent;
        }
    }

    /* Why a text cannot be put on the server's clipboard, for the user; '' if it can, or if there is no session. */
    _obstacle(words) {
        const no = this._on && this._most && obstacle(words, this._screen.extendedClipboard, this._most);
        return no ? say[no.why]({ ...no, most: this._most }) : '';
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
        this._stopped = false; // whether the user stopped the typing
        this._modifiers.release(); // with Ctrl held down, the letters would be commands
        $('type').textContent = text.stop;
        const progress = { done: 0, count: 0 };
        const { layout } = this;
        const all = await this._typist.type(words, layout, (done, count) => {
            Object.assign(progress, { done, count });
            if (done % 10 === 1 || done === count) {
                this._progress(done, count);
            }
        });
        this._typing = false;
        this._ended(all, progress, unknown(words, layout));
    }

    /* No digit grouping, because the numbers change fast. */
    _progress(done, count) {
        $('typing').textContent = say.typing({ done: `${done}`, all: `${count}` });
        this._chips.show('typing', say.typingShort({ done: `${done}`, all: `${count}` }), text.stopTyping, () => this._stop());
    }

    _say(...sentences) {
        $('typing').textContent = sentences.filter(Boolean).join(' ');
    }

    _stop() {
        this._stopped = true;
        this._typist.stop();
    }

    _ended(all, { done, count }, lost) {
        this._chips.hide('typing');
        $('type').textContent = text.type;
        $('type').disabled = !this._on;
        this._say(all ? text.typed : say.stopped({ done: `${done}`, all: `${count}` }), lost);
        if (!all && !this._stopped && $('panel-clipboard').hidden) {
            this._chips.show('stopped', say.stoppedShort({ done: `${done}`, all: `${count}` }), text.dismiss, () => this._chips.hide('stopped'));
        }
    }

    async _copy() {
        const field = $('incoming');
        try {
            await navigator.clipboard.writeText(field.value); // exists only over https and on loopback
            $('copied').textContent = text.copied;
        } catch {
            field.focus();
            field.select();
            $('copied').textContent = document.execCommand('copy') ? text.copied : text.copyFailed;
        }
    }
}

/* The sentence about characters that the layout lacks, or ''. */
function unknown(words, layout) {
    const count = spell(words, layout).filter(({ known }) => !known).length;
    return count ? say.unknownCharacters({ count }) : '';
}
