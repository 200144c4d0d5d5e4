/*
 * The last picture, dimmed behind the card, so that users see where they were.
 */
import { $ } from './page.js';

export const still = {
    /** Take the present picture of noVNC's `rfb`. */
    take(rfb) {
        $('still').src = rfb.toDataURL('image/png');
        $('still').hidden = false;
    },

    drop() {
        $('still').hidden = true;
        $('still').removeAttribute('src');
    },
};
