/*
 * The bar as a WAI-ARIA toolbar: one tab stop, arrow keys between the buttons; its panels; Escape.
 *
 * While the server's screen has the focus, every key belongs to the server.  So the bar handles keys on its own
 * elements only, except Ctrl+Alt+Shift (`_chord`).
 */
import { $ } from './page.js';

const PANELS = {
    people: 'panel-people', power: 'panel-power', keys: 'panel-keys', clipboard: 'panel-clipboard', more: 'panel-more',
};

const CHORD = /^(Control(Left|Right)|AltLeft|Shift(Left|Right))$/;

export class Toolbar {
    /** @param {() => void} leave  give the focus back to the server's screen */
    constructor(leave) {
        this._leave = leave;
        this._bar = $('bar');
        this._tools = $('tools');
        this.onopen = () => {};
        this._rove();
        for (const [id, panel] of Object.entries(PANELS)) {
            $(id).addEventListener('click', () => this.toggle(id));
            $(panel).addEventListener('keydown', (event) => this._escape(event, id));
        }
        // after a click, the focus returns to the screen; with the keyboard, it stays on the button
        for (const id of ['fit', 'full']) {
            $(id).addEventListener('click', (event) => event.detail && this._leave());
        }
        $('hide').addEventListener('click', () => this.collapse());
        $('show').addEventListener('click', () => this.expand(true));
        $('show').addEventListener('keydown', (event) => this._escape(event));
        $('stage').addEventListener('mousedown', () => this.closePanels(), true);
        $('stage').addEventListener('touchstart', () => this.closePanels(), { capture: true, passive: true });
        this._armed = false; // Ctrl, Alt and Shift are down together
        this._spoilt = false; // another key was pressed in between
        window.addEventListener('keydown', (event) => this._chord(event), true);
        window.addEventListener('keyup', (event) => this._chord(event), true);
    }

    get collapsed() {
        return this._bar.hidden;
    }

    collapse() {
        this.closePanels();
        this._bar.hidden = true;
        $('float').append($('chips')); // active states must be visible without the bar, too
        $('show').hidden = false;
        this._leave();
    }

    expand(focus = false) {
        this._bar.hidden = false;
        this._tools.before($('chips'));
        $('show').hidden = true;
        if (focus) {
            this._keepStop();
            this._shown().find((element) => element.tabIndex === 0)?.focus();
        }
    }

    toggle(id, open = $(PANELS[id]).hidden) {
        this.closePanels();
        $(PANELS[id]).hidden = !open;
        $(id).setAttribute('aria-expanded', String(open));
        if (open) {
            this.onopen(id);
            const panel = $(PANELS[id]);
            (panel.querySelector('button:not([hidden], :disabled), textarea, input:checked') ?? panel).focus();
        }
    }

    /** Give the focus back to the server's screen. */
    leave() {
        this._leave();
    }

    closePanel(id) {
        $(PANELS[id]).hidden = true;
        $(id).setAttribute('aria-expanded', 'false');
    }

    closePanels() {
        Object.keys(PANELS).forEach((id) => this.closePanel(id));
    }

    _shown() {
        return [...this._tools.querySelectorAll('button')].filter(
            (element) => !element.disabled && element.getClientRects().length);
    }

    /* Make this button the only tab stop of the bar. */
    _stopAt(button) {
        for (const each of this._tools.querySelectorAll('button')) {
            each.tabIndex = each === button ? 0 : -1;
        }
    }

    /* Choose another tab stop if the present one was hidden or disabled. */
    _keepStop() {
        const shown = this._shown();
        if (shown.length && !shown.some(({ tabIndex }) => tabIndex === 0)) {
            this._stopAt($('keys')); // shown at every width
        }
    }

    _rove() {
        this._stopAt($('keys'));
        this._tools.addEventListener('focusin', (event) => this._stopAt(event.target.closest('button')));
        new ResizeObserver(() => this._keepStop()).observe(this._tools);
        new MutationObserver(() => this._keepStop()).observe(this._tools, { attributeFilter: ['disabled', 'hidden'], subtree: true });
        this._tools.addEventListener('keydown', (event) => {
            const shown = this._shown();
            const at = shown.indexOf(document.activeElement);
            const to = {
                ArrowRight: (at + 1) % shown.length,
                ArrowLeft: (at - 1 + shown.length) % shown.length,
                Home: 0,
                End: shown.length - 1,
            }[event.key];
            if (to !== undefined) {
                event.preventDefault();
                shown[to].focus();
            } else if (event.key === 'ArrowDown' && document.activeElement.hasAttribute('aria-expanded')) {
                event.preventDefault();
                this.toggle(document.activeElement.id, true);
            } else {
                this._escape(event);
            }
        });
    }

    _escape(event, id) {
        if (event.key !== 'Escape') {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
        if (id) {
            this.closePanels();
            ($(id).getClientRects().length ? $(id) : $('more')).focus(); // a narrow bar has fewer buttons
        } else if (Object.values(PANELS).some((panel) => !$(panel).hidden)) {
            this.closePanels();
        } else {
            this._leave();
        }
    }

    /* Ctrl, Alt and Shift, pressed without any other key, move the focus out of the screen. The server receives their
       presses and releases as well, so the focus moves only when all three are released. */
    _chord(event) {
        if (event.type === 'keydown') {
            const all = event.ctrlKey && event.altKey && event.shiftKey;
            this._spoilt ||= !CHORD.test(event.code);
            this._armed = !this._spoilt && (this._armed || all) && document.activeElement?.tagName === 'CANVAS';
        } else if (!event.ctrlKey && !event.altKey && !event.shiftKey) {
            if (this._armed) {
                setTimeout(() => this.expand(true)); // the screen sees this release first
            }
            this._armed = this._spoilt = false;
        }
    }
}
