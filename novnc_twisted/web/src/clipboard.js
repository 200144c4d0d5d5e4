/*
 * The clipboard panel: text for the server, to its clipboard or typed for it, and text from the server.
 */
import { label, $ } from './page.js';
import { NAMES, spell } from './layouts.js';
import { say, text } from './strings.js';
import { Typist } from './typist.js';

const LONGEST = 1 << 20; // characters kept of what a server puts on its clipboard

export class Clipboard {
    /** @param {{sendKey: Function, paste: (words: string) => boolean}} screen */
    constructor(screen) {
        this._screen = screen;
        this._typist = new Typist(screen.sendKey);
        this._typing = false;
        for (const [id, name] of NAMES) {
            $('layout').append(new Option(name, id));
        }
        this._chooseLayout(remembered());
        $('send').addEventListener('click', () => this._send());
        $('type').addEventListener('click', () => this._type());
        $('copy').addEventListener('click', () => this._copy());
        $('outgoing').addEventListener('input', () => this._count());
        $('layout').addEventListener('change', () => {
            remember(this.layout);
            this._count();
        });
        this.enable(false);
    }

    _chooseLayout(id) {
        const known = NAMES.some(([each]) => each === id);
        $('layout').value = known ? id : 'us';
        $('typing').textContent = known ? '' : say.unknownLayout(id);
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

    /** The panel was opened: its news are seen. */
    seen() {
        $('news').hidden = true;
        label($('clipboard'), text.clipboard);
    }

    _count() {
        const unknown = spell($('outgoing').value, this.layout).filter(({ known }) => !known).length;
        $('typing').textContent = unknown ? say.unknownCharacters(unknown) : '';
    }

    _send() {
        if (this._screen.paste($('outgoing').value)) {
            $('typing').textContent = text.sent;
        }
    }

    async _type() {
        if (this._typing) {
            this._typist.stop();
            return;
        }
        this._typing = true;
        $('type').textContent = text.stop;
        const all = await this._typist.type($('outgoing').value, this.layout, (done, count) => {
            if (done % 10 === 0 || done === count) {
                $('typing').textContent = say.typing(done, count);
            }
        });
        this._typing = false;
        $('type').textContent = text.type;
        $('type').disabled = !this._on;
        $('typing').textContent = all ? text.typed : text.stopped;
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

/* The layout is remembered, not guessed: the browser's language says nothing of the server, and most have the US one. */
const KEY = 'novnc_twisted.layout';

function remembered() {
    try {
        return localStorage.getItem(KEY) ?? 'us';
    } catch {
        return 'us'; // the browser keeps nothing
    }
}

function remember(layout) {
    try {
        localStorage.setItem(KEY, layout);
    } catch {
        // the browser keeps nothing: the choice holds for this visit
    }
}
