/*
 * The server's bell: the stage flashes, screen readers announce the bell, and the title of a hidden tab shows it.
 */
import { $ } from './page.js';
import { text } from './strings.js';

const FLASH = 300; // ms

export class Bell {
    /** @param {Status} status  shows in the title that the bell rang */
    constructor(status) {
        this._status = status;
        this._timer = null;
        document.addEventListener('visibilitychange', () => {
            if (!document.hidden) {
                this._status.rang = false;
            }
        });
    }

    ring() {
        if (this._timer !== null) { // one flash for a burst
            return;
        }
        $('stage').classList.add('rings');
        $('notice').textContent = text.bell;
        this._status.rang = document.hidden;
        this._timer = setTimeout(() => {
            this._timer = null;
            $('stage').classList.remove('rings');
            if ($('notice').textContent === text.bell) {
                $('notice').textContent = '';
            }
        }, FLASH);
    }
}
