/*
 * Keeps the user's screen on while a console is connected and visible, where the browser can (over https only).
 */
export class Awake {
    constructor() {
        this._wanted = false;
        this._lock = null;
        document.addEventListener('visibilitychange', () => this._apply());
    }

    /** Whether a console is connected. */
    set connected(on) {
        if (this._wanted !== on) {
            this._wanted = on;
            this._apply();
        }
    }

    async _apply() {
        if (!this._wanted) {
            const lock = this._lock;
            this._lock = null;
            await lock?.release();
            return;
        }
        const allowed = window.self === window.top || document.featurePolicy?.allowsFeature('screen-wake-lock');
        if (document.hidden || !allowed || !navigator.wakeLock || (this._lock && !this._lock.released)) {
            return; // browsers release the lock of a hidden page, and complain if a frame may not request one
        }
        try {
            const lock = await navigator.wakeLock.request('screen');
            if (this._wanted) {
                this._lock = lock;
            } else {
                await lock.release();
            }
        } catch {
            // the browser refuses, as with a low battery
        }
    }
}
