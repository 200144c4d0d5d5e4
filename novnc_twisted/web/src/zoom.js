/*
 * Two fingers enlarge the picture and move it.
 *
 * noVNC recognises the gestures, and would turn a pinch into Ctrl and the mouse's wheel.  To enlarge the picture, the
 * page makes noVNC's element larger than the stage.  noVNC fits the picture to it, so its coordinates stay right.
 */
import { site } from './site.js';
import { language, say, text } from './strings.js';

const LARGEST = 8;
const SMALLEST = 1.03; // a smaller factor counts as 1: the whole picture
const ORIGINAL = site.fixed.picture === 'original'; // the operator has fixed the original size: it returns after a zoom

/** The new factor while two fingers move apart from `before` to `now` (px). */
export function scaled(factor, before, now) {
    const wanted = Math.min(LARGEST, factor * now / Math.max(before, 1));
    return wanted < SMALLEST ? 1 : wanted;
}

export class Zoom {
    /** @param {View} view   @param {Chips} chips */
    constructor(stage, view, chips) {
        this._stage = stage;
        this._view = view;
        this._chips = chips;
        this.factor = 1;
        this._moving = null; // the present gesture, if the page handles it: its type, and the values at its beginning
        for (const type of ['gesturestart', 'gesturemove', 'gestureend']) {
            stage.addEventListener(type, (event) => this._gesture(event), true); // before noVNC sees it
        }
    }

    /** End the zoom: show the whole picture again, or its original size if the operator has fixed this. */
    reset() {
        this._set(1);
        if (ORIGINAL && this._view.scale) {
            this._view.fit(false);
        }
    }

    _gesture(event) {
        const { type, clientX, clientY, magnitudeX, magnitudeY } = event.detail;
        if (event.type === 'gesturestart' && this._wants(type)) {
            this._moving = { type, x: clientX, y: clientY, size: Math.hypot(magnitudeX, magnitudeY) };
            if (type === 'pinch') {
                this._moving.factor = this._begin();
            }
        }
        if (!this._moving) {
            return;
        }
        event.stopPropagation();
        if (event.type === 'gestureend') {
            this._moving = null;
            if (this.factor === 1) {
                this.reset();
            }
        } else if (event.type === 'gesturemove') {
            this._move(event.detail);
        }
    }

    /* If the server's screen follows the size of the window, enlarging the element would change the screen of the server.
       So the page leaves pinches to noVNC then. */
    _wants(type) {
        return !this._view.resize && (type === 'pinch' || (this.factor > 1 && type === 'twodrag'));
    }

    /* The factor that a pinch begins with.  If the picture has its original size, the pinch begins at this size. */
    _begin() {
        if (!this._view.scale) {
            this._view.fit();
            const canvas = this._stage.querySelector('canvas');
            this._set(Math.max(1, canvas.width / canvas.getBoundingClientRect().width));
        }
        return this.factor;
    }

    _move({ clientX, clientY, magnitudeX, magnitudeY }) {
        const { type, x, y, size, factor } = this._moving;
        if (type === 'pinch') {
            this._set(scaled(factor, size, Math.hypot(magnitudeX, magnitudeY)), clientX, clientY);
        } else { // magnitudes: the distance of the fingers from where they began
            this._stage.scrollBy(x - clientX - magnitudeX, y - clientY - magnitudeY);
            Object.assign(this._moving, { x: clientX + magnitudeX, y: clientY + magnitudeY });
        }
    }

    /* Enlarge the picture, and keep the point at these coordinates of the window in its place. */
    _set(factor, clientX, clientY) {
        const stage = this._stage;
        const { left, top } = stage.getBoundingClientRect();
        const [dx, dy] = [clientX - left || 0, clientY - top || 0];
        const grown = factor / this.factor;
        const [scrollX, scrollY] = [(stage.scrollLeft + dx) * grown - dx, (stage.scrollTop + dy) * grown - dy];
        this.factor = factor;
        stage.classList.toggle('zoomed', factor > 1);
        stage.style.setProperty('--zoom', factor);
        stage.scrollTo(scrollX, scrollY);
        if (factor > 1) {
            this._chips.show('zoom', say.zoom({ percent: factor.toLocaleString(language, { style: 'percent', maximumFractionDigits: 0 }) }), ORIGINAL ? text.pictureOriginal : text.zoomEnd, () => this.reset());
        } else {
            this._chips.hide('zoom');
        }
    }
}
