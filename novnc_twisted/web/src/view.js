/*
 * How the screen is shown: scaled, 1:1 or resized, dragged, view only, full screen.
 */
import { remember, remembered } from './memory.js';
import { $, label } from './page.js';
import { setting, site } from './site.js';
import { text } from './strings.js';

/** Whether the device is probably used with fingers. */
export const touch = matchMedia('(pointer: coarse)').matches || navigator.maxTouchPoints > 0;

const PICTURES = ['scale', 'original', 'remote']; // the radio buttons of the panel

export class View {
    /**
     * @param {{picture: 'scale'|'original'|'remote'|null, viewOnly: boolean}} options  null: as the last time
     * @param {(view: View) => void} onchange
     */
    constructor({ picture, viewOnly }, onchange, toolbar) {
        const last = PICTURES.find((each) => each === remembered('picture')) ?? null; // with undefined, `setting` reads the stored value
        this.picture = setting('picture', picture, last) ?? 'scale';
        const saved = remembered('save-data');
        this.saveData = setting('save_data', null, saved && saved === 'yes') ?? false;
        this.limited = false; // whether the session may only watch
        this._mayResize = true;
        this.viewOnly = site.fixed.view_only ?? (viewOnly || (site.defaults.view_only ?? false));
        this.drag = false;
        this._onchange = onchange;
        this._toolbar = toolbar;
        $('fit').addEventListener('click', () => this._choose(this.scale ? 'original' : 'scale'));
        for (const id of PICTURES) {
            $(id).addEventListener('change', () => this._choose(id));
        }
        $('drag').addEventListener('change', () => this._set({ drag: $('drag').checked }));
        $('view-only').addEventListener('change', () => this._set({ viewOnly: $('view-only').checked }));
        $('save-data').addEventListener('change', () => {
            remember('save-data', $('save-data').checked ? 'yes' : 'no');
            this._set({ saveData: $('save-data').checked });
        });
        for (const id of ['full', 'full-too']) {
            $(id).hidden = !document.fullscreenEnabled;
            $(id).addEventListener('click', () => this._toggleFullScreen());
        }
        wholePixels($('stage'));
        document.addEventListener('fullscreenchange', () => this._fullScreenChanged());
        this._fullScreenChanged(true);
        // where the phone's keyboard lies over the page (iOS), the page ends above it
        window.visualViewport?.addEventListener('resize', () => {
            const covered = window.innerHeight - window.visualViewport.height * window.visualViewport.scale > 40;
            document.body.style.height = covered ? `${window.visualViewport.height}px` : '';
        });
        this._render();
    }

    /** Whether the picture is scaled to the window; also while another size is requested from the server. */
    get scale() {
        return this.picture !== 'original';
    }

    /** Whether the server is requested to fit its screen to the window. */
    get resize() {
        return this.picture === 'remote' && this._mayResize && !this.limited;
    }

    /** Whether keys and clicks are not sent: by the user's choice, or because the session may only watch. */
    get viewOnly() {
        return this._wish || this.limited;
    }

    set viewOnly(on) {
        this._wish = on;
    }

    /** Apply the rights of the session: `{mode: 'control'|'view', resizes}`. */
    limit({ mode, resizes }) {
        const limited = mode !== 'control';
        if (limited !== this.limited || resizes !== this._mayResize) {
            this._mayResize = resizes;
            this._set({ limited });
        }
    }

    /** Whether the picture is clipped, and dragged instead of scrolled: fingers cannot use its scroll bars. */
    get clip() {
        return touch && !this.scale;
    }

    /** The picture is larger than the stage, or no longer so. */
    clipping(on) {
        $('drag-row').hidden = !on;
        this._set({ drag: on });
    }

    /** The connection has ended: the next one reports whether its picture is larger than the stage. */
    ended() {
        $('drag-row').hidden = true;
        this.drag = false;
        this._render();
    }

    /** Scale the picture to the window, or show its original size, without changing the stored choice. */
    fit(on = true) {
        this._set({ picture: on ? 'scale' : 'original' });
    }

    _choose(picture) {
        remember('picture', picture);
        this._set({ picture });
    }

    _set(change) {
        Object.assign(this, change);
        this._render();
        this._onchange(this);
    }

    _render() {
        $(this.picture).checked = true;
        $('drag').checked = this.drag;
        $('view-only').checked = this.viewOnly;
        $('view-only').disabled = this.limited || 'view_only' in site.fixed;
        $('save-data').checked = this.saveData;
        $('watching').hidden = !this.viewOnly;
        $('still').classList.toggle('original', !this.scale);
        $('fit').querySelector('use').setAttribute('href', this.scale ? '#i-original' : '#i-fit');
        label($('fit'), this.scale ? text.fitOn : text.fitOff);
    }

    async _toggleFullScreen() {
        if (document.fullscreenElement) {
            await document.exitFullscreen();
            return;
        }
        try {
            await document.documentElement.requestFullscreen({ navigationUI: 'hide' });
            // where the browser can, Escape, Alt-Tab and the like go to the server; holding Escape leaves
            await navigator.keyboard?.lock?.();
        } catch (error) {
            console.info('full screen:', error.message); // the browser refused, and has informed the user
        }
    }

    _fullScreenChanged(first = false) {
        const on = Boolean(document.fullscreenElement);
        $('full').querySelector('use').setAttribute('href', on ? '#i-leave' : '#i-full');
        label($('full'), on ? text.fullscreenLeave : text.fullscreen);
        $('full-too').textContent = on ? text.fullscreenLeave : text.fullscreen;
        if (first) {
            return;
        }
        if (on) {
            this._toolbar.collapse();
        } else {
            navigator.keyboard?.unlock?.();
            this._toolbar.expand();
        }
    }
}

/* noVNC compares the size of its element with that of the server's screen, which has whole pixels.  If the element's
   size had a fraction, noVNC would request another size again and again.  So the fraction becomes padding. */
function wholePixels(element) {
    const odd = { width: 0, height: 0 };
    new ResizeObserver(([{ contentRect }]) => {
        for (const side of ['width', 'height']) {
            odd[side] = (contentRect[side] + odd[side]) % 1;
            element.style.setProperty(`--odd-${side}`, `${odd[side]}px`);
        }
    }).observe(element);
}
